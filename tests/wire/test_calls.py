"""A request body becomes a Call; what cannot be read is never guessed."""

import gzip
import json
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from exchange.call import Call
from tests.wire.test_multipart import FILE, TYPE, field, form
from wire.api import BodyProblem, Route
from wire.calls import read_call
from wire.routes import route

CHAT = route("openai", "POST", "/v1/chat/completions")
SPOKEN = route("openai", "POST", "/v1/audio/transcriptions")
UNKNOWN = route("openai", "POST", "/v1/unheard/of")
JSON = b'{"model": "gpt-4o", "stream": true, "messages": []}'


def read(
    where: Route,
    body: bytes,
    content_type: str | None = "application/json",
    *,
    encoding: str | None = None,
    strict: bool,
    limit: int = 1_000_000,
) -> Call:
    return read_call(where, content_type=content_type, content_encoding=encoding, body=body, strict=strict, limit=limit)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("body", "encoding"),
    [(JSON, None), (gzip.compress(JSON, mtime=0), "gzip"), (zstandard.compress(JSON), "zstd")],
    ids=["plain", "gzip", "zstd"],
)
def test_model_stream_and_body_are_read(strict: bool, body: bytes, encoding: str | None) -> None:
    call = read(CHAT, body, "application/json; charset=utf-8", encoding=encoding, strict=strict)
    assert call == Call("chat", "gpt-4o", True, True, json.loads(JSON))


@pytest.mark.parametrize(
    ("where", "body", "content_type", "code"),
    [
        (CHAT, b"", "application/json", "invalid_json"),
        (CHAT, b"", None, "invalid_json"),
        (CHAT, JSON, None, "media_type_not_supported"),
        (CHAT, JSON, "text/plain", "media_type_not_supported"),
        (CHAT, JSON, "application/x-www-form-urlencoded", "media_type_not_supported"),
        (CHAT, form((field("model"), b"a")), TYPE, "media_type_not_supported"),
        (CHAT, b"[]", "application/json", "json_not_object"),
        (CHAT, b"\xef\xbb\xbf{}", "application/json", "bom"),
        (CHAT, b'{"model": 1, "model": 2}', "application/json", "duplicate_json_key"),
        (CHAT, b'{"Model": "gpt-5", "model": "gpt-4o"}', "application/json", "duplicate_json_key"),
        (CHAT, '{"\u017ftream": true}'.encode(), "application/json", "duplicate_json_key"),
        (CHAT, b'{"MODELS": []}', "application/json", "duplicate_json_key"),
        (CHAT, json.dumps({"model": "m" * 257}).encode(), "application/json", "bad_model"),
        (CHAT, json.dumps({"model": "gpt-4o\n"}).encode(), "application/json", "bad_model"),
        (CHAT, json.dumps({"model": "gpt-4o", "models": ["\u202egpt"]}).encode(), "application/json", "bad_model"),
        (SPOKEN, b"--b", TYPE, "bad_multipart"),
        (SPOKEN, b"", TYPE, "bad_multipart"),
        (SPOKEN, b"RIFF", "audio/wav", "media_type_not_supported"),
        (UNKNOWN, b'[{"a": 1, "a": 2}]', "application/json", "duplicate_json_key"),
        (UNKNOWN, b"{", "application/json", "invalid_json"),
    ],
)
def test_the_gateway_refuses_what_it_cannot_read_for_certain(
    where: Route, body: bytes, content_type: str | None, code: str
) -> None:
    with pytest.raises(BodyProblem) as refused:
        read(where, body, content_type, strict=True)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b"{", "application/json", None),
        (b"", "application/json", None),
        (b"\xff\xfe", "application/octet-stream", None),
        (JSON, "application/json", "gzip"),
        (JSON, "application/json", "rot13"),
        (gzip.compress(JSON, mtime=0)[:-9], "application/json", "gzip"),
        (gzip.compress(bytes(2_000_000), mtime=0), "application/json", "gzip"),
        (b"--b", TYPE, None),
    ],
)
def test_the_laptop_never_refuses_and_never_guesses(body: bytes, content_type: str, encoding: str | None) -> None:
    call = read(CHAT, body, content_type, encoding=encoding, strict=False)
    assert (call.operation, call.request_model, call.stream, call.inspected) == ("chat", None, False, False)


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain"])
def test_the_laptop_reads_json_whatever_it_is_called(content_type: str | None) -> None:
    assert read(CHAT, b"\xef\xbb\xbf " + JSON, content_type, strict=False).request_model == "gpt-4o"
    assert read(CHAT, brotli.compress(JSON), content_type, encoding="br", strict=False).inspected


def test_a_form_gives_model_and_stream_and_the_file_by_size() -> None:
    raw = form((FILE, b"abc"), (field("model"), b"gpt-4o-transcribe"), (field("stream"), b"true"))
    call = read(SPOKEN, raw, TYPE, strict=True)
    assert (call.operation, call.request_model, call.stream, call.inspected) == (
        "transcription",
        "gpt-4o-transcribe",
        True,
        True,
    )
    assert isinstance(call.body, dict)
    assert isinstance(call.body["file"], dict)
    assert call.body["file"]["_bytes"] == 3


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_request_without_a_body_is_fine_where_none_is_needed(method: str, strict: bool) -> None:
    call = read(route("openai", method, "/v1/models"), b"", None, strict=strict)
    assert call == Call("other", None, False, True, None)


def test_the_model_in_the_path_counts_more_than_the_one_in_the_body() -> None:
    where = route("azure", "POST", "/openai/deployments/ours/chat/completions")
    assert read(where, JSON, strict=True).request_model == "ours"


@pytest.mark.parametrize(
    ("more", "others"),
    [
        ({"models": ["gpt-5", "gpt-4o"]}, ("gpt-5",)),
        ({"fallbacks": [{"model": "o3"}, "gpt-5"]}, ("o3", "gpt-5")),
        ({"models": [{"name": "gpt-5"}, 7]}, ("",)),
        ({"models": "gpt-5"}, ()),
        ({}, ()),
    ],
)
def test_fallbacks_that_the_caller_names_are_models_too(more: dict[str, object], others: tuple[str, ...]) -> None:
    body = json.dumps({"model": "gpt-4o", **more}).encode()
    call = read(CHAT, body, strict=True)
    assert (call.request_model, call.other_models) == ("gpt-4o", others)


def test_every_model_of_a_batch_is_one_that_must_be_allowed() -> None:
    where = route("anthropic", "POST", "/v1/messages/batches")
    asked = [{"params": {"model": model}} for model in ("claude-haiku-4-5", "claude-opus-4-5", "claude-haiku-4-5", 7)]
    call = read(where, json.dumps({"requests": [*asked, {}, 7]}).encode(), strict=True)
    assert (call.request_model, call.other_models) == ("claude-haiku-4-5", ("claude-opus-4-5", ""))


@pytest.mark.parametrize(
    "body",
    [
        {"model": "gpt-4o", "models": [f"gpt-4o-{i}" for i in range(64)]},
        {"model": "gpt-4o", "fallbacks": [{"model": f"gpt-4o-{i}"} for i in range(64)]},
    ],
)
def test_more_models_than_can_be_decided_on_in_passing_are_refused(body: dict[str, object]) -> None:
    with pytest.raises(BodyProblem, match="bad_model"):
        read(CHAT, json.dumps(body).encode(), strict=True)
    assert read(CHAT, json.dumps(body).encode(), strict=False).request_model == "gpt-4o"


def test_a_list_of_models_alone_names_the_model_first() -> None:
    call = read(CHAT, b'{"models": ["gpt-4o", "gpt-5"]}', strict=True)
    assert (call.request_model, call.other_models) == ("gpt-4o", ("gpt-5",))


def test_a_model_in_the_path_of_a_server_that_is_not_azure_does_not_hide_the_one_in_the_body() -> None:
    where = route("openai", "POST", "/openai/deployments/ours/chat/completions")
    call = read(where, JSON, strict=True)
    assert (call.request_model, call.other_models) == ("ours", ("gpt-4o",))


def test_a_body_of_too_many_values_is_refused_before_it_takes_its_memory() -> None:
    with pytest.raises(BodyProblem, match="json_too_large"):
        read(CHAT, b'{"model": "gpt-4o", "x": [' + b"0," * (1 << 20) + b"0]}", strict=True, limit=64 << 20)


def test_commas_in_texts_are_no_values() -> None:
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": '\\",[' * (1 << 20)}]}).encode()
    assert read(CHAT, body, strict=True, limit=64 << 20).request_model == "gpt-4o"


def test_a_model_that_is_no_string_is_no_model() -> None:
    assert read(CHAT, b'{"model": ["gpt-4o"]}', strict=True).request_model is None


def test_media_that_nobody_reads_is_named_by_type_size_and_digest() -> None:
    call = read(UNKNOWN, b"\x00\x01", "image/png", strict=True)
    assert (call.operation, call.inspected) == ("other", False)
    assert isinstance(call.body, dict)
    assert (call.body["_media_type"], call.body["_bytes"]) == ("image/png", 2)


@given(
    st.binary(max_size=100),
    st.sampled_from([None, "application/json", TYPE, "text/plain", "x"]),
    st.sampled_from([None, "gzip", "zstd", "br", "gzip, br", "nope"]),
    st.sampled_from([CHAT, SPOKEN, UNKNOWN]),
)
def test_no_bytes_make_the_lenient_reader_raise(
    body: bytes, content_type: str | None, encoding: str | None, where: Any
) -> None:
    read(where, body, content_type, encoding=encoding, strict=False)
