"""Ollama, line by line. Fixtures are written here."""

import json
from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Reply, Usage
from wire.api import Api, Event
from wire.ollama import chat, embed, generate

LAST = {"model": "m", "done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2, "total_duration": 9}


def fold(*lines: Any, api: Api = chat.API) -> Reply:
    folder = api.folder()
    for line in lines:
        folder.add(Event(line if isinstance(line, str) else json.dumps(line)))
    return folder.close()


def said(**message: Any) -> dict[str, Any]:
    return {"model": "m", "created_at": "t1", "message": {"role": "assistant", **message}, "done": False}


def test_a_chat_becomes_the_object_it_would_have_been() -> None:
    call = {"function": {"name": "f", "arguments": {"x": 1}}}
    reply = fold(
        said(content="", thinking="Hm"), said(content="", thinking=" so"), said(content="Hel"), said(content="lo"),
        said(content="", tool_calls=[call]), said(content="", tool_calls=[call]),
        {**LAST, "created_at": "t2", "message": {"role": "assistant", "content": ""}},
    )  # fmt: skip
    assert reply.response == {
        **LAST,
        "created_at": "t2",
        "message": {"role": "assistant", "content": "Hello", "thinking": "Hm so", "tool_calls": [call, call]},
    }
    assert (reply.ended, reply.response_model, reply.finish_reasons) == ("terminal", "m", ("stop",))
    assert reply.usage == Usage(5, 2)
    assert reply.texts == (Text("answer", "Hello"), Text("answer", 'f {"x":1}'), Text("answer", 'f {"x":1}'))


def test_a_generation_keeps_its_context_and_counts() -> None:
    reply = fold(
        {"model": "m", "response": "Hel", "done": False},
        {"model": "m", "response": "lo", "done": False},
        {**LAST, "response": "", "context": [1, 2]},
        api=generate.API,
    )
    assert reply.response == {**LAST, "response": "Hello", "context": [1, 2]}
    assert reply.texts == (Text("answer", "Hello"),)


def test_log_probabilities_grow() -> None:
    assert fold({**said(content="a"), "logprobs": [1]}, {**said(content="b"), "logprobs": [2]}).response == {
        **said(content="ab"),
        "logprobs": [1, 2],
    }


@pytest.mark.parametrize(
    ("lines", "ended"),
    [
        ([said(content="a"), LAST], "terminal"),
        ([said(content="a")], "open"),
        ([], "open"),
        ([said(content="a"), {"error": "x"}], "failed"),
    ],
)
def test_only_the_line_that_is_done_makes_a_stream_whole(lines: list[Any], ended: str) -> None:
    assert fold(*lines).ended == ended


def test_an_error_line_is_kept_beside_what_came() -> None:
    response = fold(said(content="so far"), {"error": "out of memory"}).response
    assert response == {**said(content="so far"), "_extra": {"errors": [{"error": "out of memory"}]}}


def test_garbage_is_kept_and_the_fold_goes_on() -> None:
    response = fold("{broken", said(content="a"), {"message": 7}, LAST).response
    assert isinstance(response, dict)
    assert response["_extra"] == {"bad_events": ["{broken"], "unknown_events": [{"message": 7}]}


@pytest.mark.parametrize(
    ("body", "asked"), [({}, True), ({"stream": True}, True), ({"stream": None}, True), ({"stream": False}, False)]
)
def test_ollama_streams_unless_told_not_to(body: dict[str, Any], asked: bool) -> None:
    assert chat.API.streams(body) is asked
    assert generate.API.streams(body) is asked
    assert embed.API.streams(body) is False


def test_a_body_that_came_whole_is_read_the_same() -> None:
    streamed = fold(said(content="Hi"), LAST)
    assert chat.API.whole(streamed.response) == streamed
    assert chat.API.whole({"error": "model not found"}) == Reply({"error": "model not found"}, "terminal")


@pytest.mark.parametrize(
    ("api", "body", "new"),
    [
        (
            chat.API,
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]},
            [("user", "hi")],
        ),
        (
            chat.API,
            {
                "messages": [
                    {"role": "user", "content": "old"},
                    {"role": "assistant", "content": "x"},
                    {"role": "tool", "content": "42"},
                ]
            },
            [("tool", "42")],
        ),
        (generate.API, {"prompt": "hi", "suffix": "end"}, [("user", "hi"), ("user", "end")]),
        (embed.API, {"input": ["a", "b"]}, [("user", "a"), ("user", "b")]),
        (embed.API, {"prompt": "a"}, [("user", "a")]),
        (chat.API, None, []),
    ],
)
def test_only_what_came_after_the_last_answer_is_new(api: Api, body: Any, new: list[tuple[str, str]]) -> None:
    assert [(text.kind, text.text) for text in api.texts(body)] == new


def test_vectors_are_counted_not_kept() -> None:
    reply = embed.whole({"model": "m", "embeddings": [[0.1, 0.2]], "prompt_eval_count": 3})
    assert reply.response == {"model": "m", "embeddings": [{"_length": 2}], "prompt_eval_count": 3}
    assert reply.usage == Usage(3)
