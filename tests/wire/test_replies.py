"""A reply's bytes become the Reply, whatever they are."""

import gzip
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.reply import Reply
from tests.wire.cuts import every_cut, random_cuts
from tests.wire.openai_streams import DONE, chunk, delta, extra, read, response, said, sse
from wire import replies
from wire.api import Dialect
from wire.replies import reply_reader
from wire.routes import route

STREAM = sse([said("Hello "), said("関所"), chunk(delta(finish="stop")), DONE])
ERROR = b'{"error": {"message": "no", "type": "invalid_request_error", "code": null, "param": null}}'
PATHS: list[tuple[Dialect, str]] = [
    ("openai", "/v1/chat/completions"),
    ("openai", "/v1/responses"),
    ("openai", "/v1/completions"),
    ("openai", "/v1/embeddings"),
    ("openai", "/v1/moderations"),
    ("openai", "/v1/audio/transcriptions"),
    ("openai", "/v1/audio/speech"),
    ("openai", "/v1/images/generations"),
    ("openai", "/v1/threads/runs"),
    ("openai", "/v1/realtime/sessions"),
    ("openai", "/v1/unheard/of"),
    ("anthropic", "/v1/messages"),
    ("gemini", "/v1beta/models/g:streamGenerateContent"),
    ("bedrock", "/model/m/converse-stream"),
    ("ollama", "/api/chat"),
    ("cohere", "/v2/chat"),
]


def test_a_reply_does_not_depend_on_where_the_network_cut_it() -> None:
    whole = read(STREAM)
    for pieces in every_cut(STREAM):
        reader = reply_reader(
            route("openai", "POST", "/v1/chat/completions"),
            status=200,
            content_type="text/event-stream; charset=utf-8",
            content_encoding=None,
            stream_asked=True,
        )
        for piece in pieces:
            reader.feed(piece)
        assert reader.close() == whole


@pytest.mark.parametrize("content_type", ["text/event-stream", None, "text/plain", "application/json", ""])
def test_a_stream_is_known_by_its_first_bytes_when_one_was_asked_for(content_type: str | None) -> None:
    assert read(STREAM, content_type=content_type) == read(STREAM)


def test_a_stream_that_nobody_asked_for_and_that_calls_itself_json_is_a_stream() -> None:
    reader = reply_reader(
        route("openai", "POST", "/v1/chat/completions"),
        status=200,
        content_type="application/json",
        content_encoding=None,
        stream_asked=False,
    )
    reader.feed(STREAM)

    assert reader.close() == read(STREAM)


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", None])
def test_an_error_answered_to_a_stream_is_its_json(content_type: str | None) -> None:
    for status in (400, 401, 404, 429, 500):
        reply = read(ERROR, status=status, content_type=content_type)
        assert (reply.response, reply.ended) == (json.loads(ERROR), "terminal")


def test_an_error_as_a_list_is_that_list() -> None:
    body = b'[{"error": {"code": 503}}]'
    reader = reply_reader(
        route("gemini", "POST", "/v1beta/models/g:streamGenerateContent"),
        status=503,
        content_type="application/json",
        content_encoding=None,
        stream_asked=True,
    )
    reader.feed(body)
    assert reader.close().response == json.loads(body)


def test_an_error_with_status_200_failed() -> None:
    assert read(ERROR, content_type="application/json").ended == "failed"


def test_a_json_body_that_breaks_off_is_open_and_its_text_kept() -> None:
    reply = read(b'{"choices": [{"mess', content_type="application/json", streamed=False)
    assert reply.ended == "open"
    assert response(reply)["_text"] == '{"choices": [{"mess'


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"<html>Bad gateway</html>", "text/html", 502),
        (b"ID3\x04\x00\x00", "audio/mpeg", 200),
        (b"\x89PNG\r\n", "image/png", 200),
        (b"plain", None, 200),
    ],
)
def test_what_is_neither_is_named_by_type_size_and_digest(body: bytes, content_type: str | None, status: int) -> None:
    reply = read(body, content_type=content_type, status=status)
    told = response(reply)
    assert (told["_media_type"], told["_bytes"], told["_sha256"]) == (
        content_type or "",
        len(body),
        hashlib.sha256(body).hexdigest(),
    )
    assert reply.ended == "settled"
    assert told.get("_text") == (body.decode() if content_type in ("text/html", None) else None)


@pytest.mark.parametrize(
    ("path", "status", "content_type", "streamed", "ended"),
    [
        ("/v1/chat/completions", 200, "text/event-stream", True, "open"),
        ("/v1/chat/completions", 200, "application/json", False, "open"),
        ("/v1/chat/completions", 204, None, False, "settled"),
        ("/v1/models", 200, "application/json", False, "settled"),
        ("/v1/chat/completions", 500, None, True, "settled"),
    ],
)
def test_an_empty_body_is_what_it_should_have_been(
    path: str, status: int, content_type: str | None, streamed: bool, ended: str
) -> None:
    assert read(b"", path=path, status=status, content_type=content_type, streamed=streamed).ended == ended


def test_events_of_an_api_nobody_knows_are_not_folded() -> None:
    told = response(read(b'data: {"jsonrpc": "2.0"}\n\n', path="/mcp"))
    assert (told["_media_type"], told["_bytes"]) == ("text/event-stream", 26)


def test_json_lines_that_were_announced_as_json_are_folded_as_lines() -> None:
    lines = b'{"message": {"role": "assistant", "content": "a"}}\n{"message": {"content": "b"}, "done": true}\n'
    reader = reply_reader(
        route("ollama", "POST", "/api/chat"),
        status=200,
        content_type="application/json",
        content_encoding=None,
        stream_asked=True,
    )
    reader.feed(lines)
    reply = reader.close()
    assert reply.ended == "terminal"
    assert response(reply)["message"]["content"] == "ab"


def test_a_truncated_coding_gives_what_came_out_and_says_so() -> None:
    packed = gzip.compress(STREAM, mtime=0)
    reply = read(packed[:-8], encoding="gzip")
    assert (reply.ended, extra(reply)["truncated_encoding"]) == ("terminal", True)
    assert read(packed[:40], encoding="gzip").ended == "open"
    audio = read(gzip.compress(b"ID3" * 100, mtime=0)[:-9], encoding="gzip", content_type="audio/mpeg")
    assert audio.ended == "open"


def test_a_coding_nobody_knows_is_not_read() -> None:
    reply = read(STREAM, encoding="rot13")
    assert extra(reply)["unknown_content_encoding"] is True
    assert response(reply)["_bytes"] == len(STREAM)


def test_counts_of_the_framing_stand_beside_those_of_the_folder() -> None:
    reply = read(b"garbage\n\n" + sse([said("a"), "{broken", DONE]))
    assert extra(reply) == {"bad_lines": 1, "bad_events": ["{broken"]}


def test_a_json_body_too_large_to_read_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "WHOLE", 100)
    reply = read(b'{"a": "' + b"x" * 200 + b'"}', content_type="application/json", streamed=False)
    assert extra(reply)["too_large_to_read"] is True
    assert (response(reply)["_bytes"], reply.ended) == (209, "settled")


def test_a_stream_too_large_to_fold_says_how_much_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "STREAM", len(STREAM))
    reader = reply_reader(
        route("openai", "POST", "/v1/chat/completions"),
        status=200,
        content_type="text/event-stream",
        content_encoding=None,
        stream_asked=True,
    )
    reader.feed(STREAM)
    reader.feed(b": more\n\n" * 10)
    assert extra(reader.close())["not_folded_bytes"] == 80


EVENTS = st.lists(
    st.sampled_from(
        [
            b"data: [DONE]\n\n",
            b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
            b'data: {"choices":[{"index":"x","delta":[1]}],"usage":[]}\n\n',
            b'data: {"type":"response.output_text.delta","output_index":-1,"delta":{}}\n\n',
            b'data: {"type":"response.completed","response":7}\n\n',
            b'event: thread.message.delta\ndata: {"delta":{"content":[{"index":0,"text":1}]}}\n\n',
            b'data: {"type":"message_start","message":[]}\n\n',
            b'{"candidates":[{"content":{"parts":[1]}}]}\n',
            b"error: x\n\n",
            b"[",
            b"\xff\r\r",
        ]
    ),
    max_size=12,
)


@settings(max_examples=300)
@given(
    st.one_of(EVENTS.map(b"".join), st.binary(max_size=200)),
    st.sampled_from(PATHS),
    st.sampled_from(["text/event-stream", "application/json", None, "application/x-ndjson", "audio/mpeg"]),
    st.sampled_from([None, "gzip", "br", "x"]),
    st.sampled_from([200, 400]),
    st.booleans(),
    st.integers(0, 99),
)
def test_no_bytes_make_a_reader_raise_and_what_it_gives_can_be_written(
    raw: bytes,
    where: tuple[Dialect, str],
    content_type: str | None,
    encoding: str | None,
    status: int,
    streamed: bool,
    seed: int,
) -> None:
    def reply(pieces: Any) -> Reply:
        reader = reply_reader(
            route(where[0], "POST", where[1]),
            status=status,
            content_type=content_type,
            content_encoding=encoding,
            stream_asked=streamed,
        )
        for piece in pieces:
            reader.feed(piece)
        return reader.close()

    whole = reply([raw])
    assert reply(random_cuts(raw, seed, 9)) == whole
    json.dumps(whole.response, ensure_ascii=False).encode()


def test_json_that_is_not_read_for_its_depth_lacks_nothing() -> None:
    body = b'{"x":' * 300 + b"1" + b"}" * 300
    reply = read(body)
    assert reply.ended == "settled"
    assert isinstance(reply.response, dict)
    assert reply.response["_bytes"] == len(body)
    assert reply.response["_extra"] == {"not_read": True}
