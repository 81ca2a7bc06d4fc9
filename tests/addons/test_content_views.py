"""What mitmproxy's tools show of a body: the conversation, the events, or what they show of any other."""

import json
from collections.abc import Iterator

import pytest
from mitmproxy import contentviews
from mitmproxy.contentviews import prettify_message
from mitmproxy.contentviews._registry import ContentviewRegistry
from mitmproxy.test import taddons, tflow
from mitmproxy.test.tutils import treq, tresp

from addons.content_views import Conversation, ServerSentEvents, install

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "東京の天気は？ \u202eexe.txt"}]}
CHUNKS = b"".join(
    b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [
        {"index": 0, "delta": {"content": word}, "finish_reason": None}]}, ensure_ascii=False).encode() + b"\n\n"
    for word in ("晴れ", "です")
) + b"data: [DONE]\n\n"  # fmt: skip
RESPONSES = {"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "はい"}]}]}
MESSAGE = {"type": "message", "role": "assistant", "content": [
    {"type": "text", "text": "いいえ"},
    {"type": "tool_use", "name": "get_weather", "input": {"city": "Tokyo"}},
]}  # fmt: skip


@pytest.fixture(autouse=True)
def tool() -> Iterator[None]:
    """mitmproxy's options, as its tools have them."""
    with taddons.context() as context:
        context.options.add_option("protobuf_definitions", str | None, None, "")
        yield


def shown(path: str, asked: bytes, answered: bytes = b"", kind: str = "application/json") -> tuple[str, str, str, str]:
    """(view, text) of the request, and of the reply, as mitmproxy chooses them."""
    registry = ContentviewRegistry()
    for view in (*contentviews.registry.values(), Conversation(), ServerSentEvents()):
        registry.register(view)
    flow = tflow.tflow(
        req=treq(method=b"POST", path=path.encode(), content=asked, headers=((b"content-type", b"application/json"),)),
        resp=tresp(content=answered, headers=((b"content-type", kind.encode()),)),
    )
    assert flow.response is not None
    one, other = (prettify_message(each, flow, registry=registry) for each in (flow.request, flow.response))
    return str(one.view_name), one.text, str(other.view_name), other.text


@pytest.mark.parametrize(
    ("path", "answered", "kind", "said"),
    [
        ("/v1/chat/completions", CHUNKS, "text/event-stream", "── assistant ──\n晴れです"),
        ("/v1/responses", json.dumps(RESPONSES).encode(), "application/json", "── assistant ──\nはい"),
        ("/v1/messages", json.dumps(MESSAGE).encode(), "application/json", "tool call · get_weather ──"),
    ],
)
def test_a_conversation_is_shown_as_people_read_it(path: str, answered: bytes, kind: str, said: str) -> None:
    view, asked, other, reply = shown(path, json.dumps({**ASKED, "input": "東京の天気は？"}).encode(), answered, kind)
    assert (view, other) == ("Conversation", "Conversation")
    assert "東京の天気は？" in asked
    assert said in reply


def test_what_nobody_would_see_is_named() -> None:
    _, asked, _, _ = shown("/v1/chat/completions", json.dumps(ASKED, ensure_ascii=False).encode())
    assert "<U+202E>exe.txt" in asked


@pytest.mark.parametrize(
    ("path", "asked", "answered", "kind", "views"),
    [
        ("/v1/embeddings", b'{"input": "x"}', b'{"data": []}', "application/json", ("JSON", "JSON")),
        ("/other", b"{}", b"event: tick\ndata: 1\n\n", "text/event-stream", ("JSON", "SSE")),
        ("/v1/chat/completions", b'{"messages": [', b"<html>", "text/html", ("Raw", "Conversation")),
    ],
)
def test_any_other_body_keeps_its_view(
    path: str, asked: bytes, answered: bytes, kind: str, views: tuple[str, str]
) -> None:
    view, _, other, _ = shown(path, asked, answered, kind)
    assert (view, other) == views


def test_events_are_shown_one_by_one() -> None:
    _, _, _, text = shown("/other", b"{}", b"event: tick\ndata: 1\n\ndata: \xe2\x80\xae2\n\n", "text/event-stream")
    assert text == "event: tick\n1\n\nevent: message\n<U+202E>2"


def test_both_are_made_known_to_the_tool() -> None:
    install()
    assert {"Conversation", "SSE"} <= {view.name for view in contentviews.registry.values()}
