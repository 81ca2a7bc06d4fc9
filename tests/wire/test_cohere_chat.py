"""Cohere Chat v2, event by event. Fixtures are written here."""

import json
from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Reply, Usage
from wire.api import Event
from wire.cohere import chat

EMPTY = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
START = {"type": "message-start", "id": "c1", "delta": {"message": EMPTY}}
USAGE = {
    "billed_units": {"input_tokens": 3, "output_tokens": 2},
    "tokens": {"input_tokens": 90, "output_tokens": 5, "reasoning_tokens": 1},
    "cached_tokens": 80,
}
END = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": USAGE}}


def event(kind: str, at: int | None, **message: Any) -> dict[str, Any]:
    found = {"type": kind, "delta": {"message": message}}
    return found if at is None else {**found, "index": at}


def fold(*payloads: Any) -> Reply:
    folder = chat.API.folder()
    for each in payloads:
        folder.add(Event(each if isinstance(each, str) else json.dumps(each)))
    return folder.close()


def message(*payloads: Any) -> Any:
    response = fold(START, *payloads, END).response
    assert isinstance(response, dict)
    assert "_extra" not in response
    return response["message"]


def text(piece: str, at: int = 0) -> dict[str, Any]:
    return event("content-delta", at, content={"text": piece})


def test_a_stream_becomes_the_object_it_would_have_been() -> None:
    reply = fold(
        START,
        event("content-start", 0, content={"type": "thinking", "thinking": ""}),
        event("content-delta", 0, content={"thinking": "Hm"}),
        {"type": "content-end", "index": 0},
        event("content-start", 1, content={"type": "text", "text": ""}),
        text("Hel", 1),
        text("lo", 1),
        END,
        "[DONE]",
    )
    content = [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hello"}]
    assert reply.response == {
        "id": "c1",
        "finish_reason": "COMPLETE",
        "usage": USAGE,
        "message": {"role": "assistant", "content": content},
    }
    assert (reply.ended, reply.usage, reply.finish_reasons) == ("terminal", Usage(90, 5, 80, 1), ("COMPLETE",))
    assert reply.texts == (Text("answer", "Hello"),)


def test_tools_are_planned_called_by_index_and_cited() -> None:
    def call(ident: str) -> dict[str, Any]:
        return {"id": ident, "type": "function", "function": {"name": "f", "arguments": ""}}

    def arguments(at: int, piece: str) -> dict[str, Any]:
        return event("tool-call-delta", at, tool_calls={"function": {"arguments": piece}})

    citation = {"start": 0, "end": 2, "text": "It", "sources": []}
    assert message(
        event("tool-plan-delta", None, tool_plan="I will "), event("tool-plan-delta", None, tool_plan="look."),
        event("tool-call-start", 0, tool_calls=call("a")), event("tool-call-start", 1, tool_calls=call("b")),
        arguments(1, '{"y"'), arguments(0, '{"x":1}'), arguments(1, ":2}"), {"type": "tool-call-end", "index": 0},
        event("citation-start", 0, citations=citation), {"type": "citation-end", "index": 0},
    ) == {
        "role": "assistant",
        "tool_plan": "I will look.",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"id": "b", "type": "function", "function": {"name": "f", "arguments": '{"y":2}'}},
        ],
        "citations": [citation],
    }  # fmt: skip


def test_an_index_that_comes_again_opens_a_further_entry() -> None:
    opening = event("content-start", 0, content={"type": "text", "text": ""})
    assert message(opening, text("one"), opening, text("two"))["content"] == [
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two"},
    ]


def test_deltas_without_a_start_make_their_entry() -> None:
    found = message(text("late"), event("tool-call-delta", 2, tool_calls={"function": {"arguments": "{}"}}))
    assert found["content"] == [{"type": "text", "text": "late"}]
    assert found["tool_calls"] == [{"type": "function", "function": {"arguments": "{}"}}]


@pytest.mark.parametrize(
    ("payloads", "ended"),
    [
        ([START, text("a"), END], "terminal"),
        ([START, text("a")], "open"),
        ([START, text("a"), "[DONE]"], "open"),
        ([], "open"),
        ([START, {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "boom"}}], "failed"),
        ([START, {"type": "message-end", "delta": {"finish_reason": "ERROR"}}], "failed"),
        ([START, text("a"), {"message": "too many"}], "failed"),
    ],
)
def test_only_message_end_makes_a_stream_whole(payloads: list[Any], ended: str) -> None:
    assert fold(*payloads).ended == ended


def test_an_error_is_kept_beside_what_came_and_unknown_events_too() -> None:
    odd = {"type": "debug", "prompt": "p"}
    response = fold(START, odd, text("so far"), {"message": "too many"}).response
    assert response == {
        "id": "c1",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "so far"}]},
        "_extra": {"errors": [{"message": "too many"}], "unknown_events": [odd]},
    }


def test_log_probabilities_are_collected() -> None:
    response = fold(
        START, {**text("a"), "logprobs": {"text": "a"}}, {**text("b"), "logprobs": {"text": "b"}}, END
    ).response
    assert isinstance(response, dict)
    assert response["logprobs"] == [{"text": "a"}, {"text": "b"}]


def test_a_body_that_came_whole_is_read_the_same() -> None:
    streamed = fold(START, text("Hi"), END)
    assert chat.API.whole(streamed.response) == streamed
    assert chat.API.whole({"message": "invalid api token"}) == Reply({"message": "invalid api token"}, "terminal")


@pytest.mark.parametrize(
    ("messages", "new"),
    [
        ([{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}], [("user", "hi")]),
        ([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], [("user", "hi")]),
        (
            [
                {"role": "user", "content": "old"},
                {"role": "assistant", "tool_calls": []},
                {"role": "tool", "content": [{"type": "document", "document": {"data": {"n": 1}}}]},
                {"role": "tool", "content": "42"},
            ],
            [("tool", '{"n":1}'), ("tool", "42")],
        ),
        (None, []),
    ],
)
def test_only_what_came_after_the_last_answer_is_new(messages: Any, new: list[tuple[str, str]]) -> None:
    assert [(each.kind, each.text) for each in chat.API.texts({"messages": messages})] == new
