"""What is new in a request to Anthropic's APIs, and the APIs beside Messages."""

import json
from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Reply
from wire.anthropic import batches, complete, count_tokens, messages
from wire.api import Event

HISTORY = [
    {"role": "user", "content": "old question"},
    {"role": "assistant", "content": [{"type": "text", "text": "old answer"}]},
]


@pytest.mark.parametrize(
    ("turns", "new"),
    [
        ([{"role": "user", "content": "hello"}], [("user", "hello")]),
        ([*HISTORY, {"role": "user", "content": "and now?"}], [("user", "and now?")]),
        (
            [*HISTORY, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
            [("user", "a"), ("user", "b")],
        ),
        (
            [*HISTORY, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]}],
            [("tool", "42")],
        ),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "content": [{"type": "text", "text": "in a list"}]}],
                }
            ],
            [("tool", "in a list")],
        ),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "document", "title": "T", "source": {"type": "text", "data": "D"}}],
                }
            ],
            [("user", "T"), ("user", "D")],
        ),
        ([{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "AAAA"}}]}], []),
        (
            [*HISTORY, {"role": "user", "content": "go on"}, {"role": "assistant", "content": "I say"}],
            [("user", "go on"), ("user", "I say")],
        ),
        ([], []),
        ("nonsense", []),
        ([1, None, {"content": 7}], []),
    ],
    ids=["first", "later", "blocks", "tool", "tool list", "document", "image", "prefill", "none", "no list", "odd"],
)
def test_only_what_came_after_the_last_answer_is_new(turns: Any, new: list[tuple[str, str]]) -> None:
    body: Any = {"system": "You are old news.", "messages": turns}
    found = [(text.kind, text.text) for text in messages.API.texts(body)]
    assert found == new


def test_counting_tokens_is_plain_json_and_no_usage() -> None:
    assert count_tokens.API.whole({"input_tokens": 5}) == Reply({"input_tokens": 5}, "terminal")
    assert count_tokens.API.texts({"messages": [{"role": "user", "content": "hi"}]}) == (Text("user", "hi"),)
    assert count_tokens.API.operation == "other"


def test_a_batch_is_plain_json_whose_requests_are_all_read() -> None:
    body: Any = {"requests": [{"params": {"messages": [{"role": "user", "content": each}]}} for each in ("a", "b")]}
    assert batches.API.texts(body) == (Text("user", "a"), Text("user", "b"))
    assert batches.models(body) == ("",)
    assert batches.API.whole({"id": "batch_1"}) == Reply({"id": "batch_1"}, "terminal")


def complete_fold(*events: tuple[str, Any]) -> Reply:
    folder = complete.API.folder()
    for name, payload in events:
        folder.add(Event(payload if isinstance(payload, str) else json.dumps(payload), name))
    return folder.close()


def test_a_legacy_completion_is_strung_together() -> None:
    piece = {"type": "completion", "id": "c", "stop_reason": None, "model": "claude-2", "stop": None}
    reply = complete_fold(
        ("completion", {**piece, "completion": " Hel"}),
        ("ping", {"type": "ping"}),
        ("completion", {**piece, "completion": "lo"}),
        ("completion", {**piece, "completion": "", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"}),
    )
    assert reply.response == {**piece, "completion": " Hello", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"}
    assert (reply.ended, reply.finish_reasons, reply.texts) == (
        "terminal",
        ("stop_sequence",),
        (Text("answer", " Hello"),),
    )


def test_a_legacy_completion_without_stop_reason_is_open_and_an_error_makes_it_failed() -> None:
    piece = ("completion", {"completion": "a", "stop_reason": None})
    assert complete_fold(piece).ended == "open"
    reply = complete_fold(piece, ("error", {"error": {"type": "overloaded_error"}}), ("odd", {"x": 1}))
    assert reply.ended == "failed"
    assert reply.response == {
        "completion": "a",
        "stop_reason": None,
        "_extra": {"errors": [{"error": {"type": "overloaded_error"}}], "unknown_events": [{"x": 1}]},
    }


@pytest.mark.parametrize(
    ("prompt", "new"),
    [
        ("\n\nHuman: first\n\nAssistant: x\n\nHuman: second\n\nAssistant:", "second"),
        ("\n\nHuman: only\n\nAssistant:", "only"),
        ("plain", "plain"),
    ],
)
def test_of_a_legacy_prompt_the_last_human_turn_is_new(prompt: str, new: str) -> None:
    assert complete.API.texts({"prompt": prompt}) == (Text("user", new),)
