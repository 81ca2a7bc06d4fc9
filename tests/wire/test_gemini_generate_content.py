"""Gemini generateContent, chunk by chunk: what the response must be. Fixtures are written here."""

import json
from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Reply, Usage
from wire.api import Event
from wire.gemini import generate_content
from wire.json_array import JsonArray
from wire.sse import EventStream


def chunk(*parts: dict[str, Any], at: int | None = None, **fields: Any) -> dict[str, Any]:
    """One chunk with one candidate; `fields` go to the candidate."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, **fields}
    return {"candidates": [candidate if at is None else {**candidate, "index": at}]}


def fold(*chunks: Any) -> Reply:
    folder = generate_content.API.folder()
    for each in chunks:
        folder.add(Event(each if isinstance(each, str) else json.dumps(each)))
    return folder.close()


def response(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply.response, dict)
    return reply.response


def parts(reply: Reply, at: int = 0) -> list[dict[str, Any]]:
    found = response(reply)["candidates"][at]["content"]["parts"]
    assert isinstance(found, list)
    return found


LAST = chunk(finishReason="STOP")


def test_a_stream_becomes_one_response() -> None:
    reply = fold(
        {
            **chunk({"text": "Hel"}),
            "usageMetadata": {"promptTokenCount": 4},
            "modelVersion": "gemini-test",
            "responseId": "r",
        },
        {
            **chunk({"text": "lo"}, finishReason="STOP", index=0),
            "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6},
            "modelVersion": "gemini-test",
            "responseId": "r",
        },
    )
    assert reply.response == {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6},
        "modelVersion": "gemini-test",
        "responseId": "r",
    }
    assert (reply.ended, reply.response_model, reply.finish_reasons) == ("terminal", "gemini-test", ("STOP",))
    assert (reply.usage, reply.texts) == (Usage(4, 2), (Text("answer", "Hello"),))


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"], ids=["CRLF", "LF", "CR"])
def test_sse_with_any_line_end_and_one_long_array_give_the_same(end: bytes) -> None:
    chunks = [chunk({"text": "Ünï"}), chunk({"text": "code"}, finishReason="STOP")]
    expected = fold(*chunks)
    sse = b"".join(b"data: " + json.dumps(each).encode() + end + end for each in chunks)
    for framing, raw in ((EventStream(), sse), (JsonArray(), json.dumps(chunks, indent=2).encode())):
        folder = generate_content.API.folder()
        for at in range(len(raw)):
            for event in framing.feed(raw[at : at + 1]):
                folder.add(event)
        for event in framing.close():
            folder.add(event)
        assert folder.close() == expected


@pytest.mark.parametrize(
    ("came", "become"),
    [
        ([{"text": "a"}, {"text": "b"}], [{"text": "ab"}]),
        ([{"text": "a", "thought": True}, {"text": "b", "thought": True}], [{"text": "ab", "thought": True}]),
        ([{"text": "a", "thought": True}, {"text": "b"}], [{"text": "a", "thought": True}, {"text": "b"}]),
        ([{"text": "a", "thought": False}, {"text": "b"}], [{"text": "ab", "thought": False}]),
        ([{"text": "a"}, {"text": "", "thoughtSignature": "s"}], [{"text": "a", "thoughtSignature": "s"}]),
        (
            [{"text": "a"}, {"text": "", "thoughtSignature": "s"}, {"text": "b"}],
            [{"text": "a", "thoughtSignature": "s"}, {"text": "b"}],
        ),
        (
            [{"text": "a", "thoughtSignature": "s"}, {"text": "", "thoughtSignature": "t"}],
            [{"text": "a", "thoughtSignature": "s"}, {"text": "", "thoughtSignature": "t"}],
        ),
        (
            [{"functionCall": {"name": "f", "args": {}}}, {"text": "", "thoughtSignature": "s"}],
            [{"functionCall": {"name": "f", "args": {}}}, {"text": "", "thoughtSignature": "s"}],
        ),
        (
            [
                {"executableCode": {"code": "1"}, "thoughtSignature": "s"},
                {"text": ""},
                {"codeExecutionResult": {"output": "1"}},
            ],
            [
                {"executableCode": {"code": "1"}, "thoughtSignature": "s"},
                {"text": ""},
                {"codeExecutionResult": {"output": "1"}},
            ],
        ),
        ([{"inlineData": {"data": "AA=="}}, {"inlineData": {"data": "AA=="}}], [{"inlineData": {"data": "AA=="}}] * 2),
        (
            [{"text": "a", "partMetadata": {"k": 1}}, {"text": "b"}],
            [{"text": "a", "partMetadata": {"k": 1}}, {"text": "b"}],
        ),
        ([{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}], [{"functionCall": {"name": "f"}}] * 2),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["one chunk", "many chunks"])
def test_neighbouring_texts_of_one_kind_join_and_nothing_else_does(
    came: list[dict[str, Any]], become: list[dict[str, Any]], together: bool
) -> None:
    chunks = [chunk(*came)] if together else [chunk(part) for part in came]
    assert parts(fold(*chunks, LAST)) == become


def test_candidates_are_kept_apart_by_index_and_put_in_order() -> None:
    reply = fold(
        chunk({"text": "x"}, at=1),
        chunk({"text": "a"}, at=0),
        chunk({"text": "y"}, at=1, finishReason="STOP"),
        chunk({"text": "b"}),
    )
    assert [parts(reply, at)[0]["text"] for at in (0, 1)] == ["ab", "xy"]
    assert reply.finish_reasons == (None, "STOP")


def test_a_finish_reason_may_come_twice_with_text_after_the_first() -> None:
    reply = fold(chunk({"text": "a"}, finishReason="STOP"), chunk({"text": "b"}, finishReason="MAX_TOKENS"))
    assert parts(reply) == [{"text": "ab"}]
    assert reply.finish_reasons == ("MAX_TOKENS",)


def test_of_other_fields_the_last_that_is_not_null_holds() -> None:
    reply = fold(
        chunk({"text": "a"}, safetyRatings=[1], groundingMetadata={"a": 1}, avgLogprobs=-1.0),
        chunk({"text": "b"}, safetyRatings=[2], groundingMetadata=None, citationMetadata={"c": 1}),
        chunk(finishReason="STOP", finishMessage="done", urlContextMetadata={"u": 1}),
    )
    candidate = response(reply)["candidates"][0]
    del candidate["content"]
    assert candidate == {
        "safetyRatings": [2],
        "groundingMetadata": {"a": 1},
        "avgLogprobs": -1.0,
        "citationMetadata": {"c": 1},
        "finishReason": "STOP",
        "finishMessage": "done",
        "urlContextMetadata": {"u": 1},
    }


def test_log_probabilities_are_strung_together() -> None:
    reply = fold(
        chunk({"text": "a"}, logprobsResult={"chosenCandidates": [1], "topCandidates": [2], "logProbabilitySum": -1}),
        chunk({"text": "b"}, logprobsResult={"chosenCandidates": [3], "logProbabilitySum": -2}, finishReason="STOP"),
    )
    expected = {"chosenCandidates": [1, 3], "topCandidates": [2], "logProbabilitySum": -2}
    assert response(reply)["candidates"][0]["logprobsResult"] == expected


def test_a_blocked_prompt_is_an_answer_without_candidates() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    reply = fold(blocked, {"promptFeedback": {"blockReason": "OTHER"}})
    assert (reply.response, reply.ended, reply.finish_reasons) == (blocked, "terminal", ())


def test_a_candidate_may_have_no_content_and_a_content_no_parts() -> None:
    reply = fold({"candidates": [{"finishReason": "RECITATION"}]})
    assert reply.response == {"candidates": [{"finishReason": "RECITATION"}]}
    reply = fold({"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]})
    assert reply.response == {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}


@pytest.mark.parametrize(
    ("chunks", "ended"),
    [
        ([chunk({"text": "a"}), LAST], "terminal"),
        ([chunk({"text": "a"})], "open"),
        ([], "open"),
        ([chunk({"text": "a"}), "[DONE]"], "open"),
        ([chunk({"text": "a"}), {"error": {"code": 503, "status": "UNAVAILABLE"}}], "failed"),
        ([LAST, {"error": {"code": 500}}], "failed"),
    ],
)
def test_a_finish_reason_or_prompt_feedback_makes_a_stream_whole(chunks: list[Any], ended: str) -> None:
    assert fold(*chunks).ended == ended


def test_an_error_in_mid_stream_is_kept_beside_what_came() -> None:
    reply = fold(chunk({"text": "so far"}), {"error": {"code": 503, "message": "busy"}})
    assert parts(reply) == [{"text": "so far"}]
    assert response(reply)["_extra"] == {"errors": [{"code": 503, "message": "busy"}]}


@pytest.mark.parametrize("body", [{"error": {"code": 400}}, [{"error": {"code": 400}}], None, "x", []])
def test_an_error_body_in_any_of_its_forms_is_kept_as_it_is(body: Any) -> None:
    reply = generate_content.whole(body)
    assert (reply.response, reply.ended) == (body, "terminal")


def test_an_array_read_at_once_is_folded() -> None:
    chunks: Any = [chunk({"text": "a"}), chunk({"text": "b"}, finishReason="STOP")]
    assert generate_content.whole(chunks) == fold(*chunks)


def test_a_body_that_came_whole_is_read_the_same() -> None:
    streamed = fold(
        {**chunk({"text": "a"}, {"functionCall": {"name": "f", "args": {"x": 1}}}), "modelVersion": "m"}, LAST
    )
    assert generate_content.whole(streamed.response) == streamed
    assert streamed.texts == (Text("answer", "a"), Text("answer", 'f {"x":1}'))


def call(**fields: Any) -> dict[str, Any]:
    return {"functionCall": fields}


def piece(path: str, **value: Any) -> dict[str, Any]:
    return {"jsonPath": path, **value}


def test_a_function_call_streamed_in_pieces_is_one_call() -> None:
    reply = fold(
        chunk({**call(name="book", id="c1", willContinue=True), "thoughtSignature": "s"}),
        chunk(call(partialArgs=[piece("$.to.city", stringValue="Os", willContinue=True)], willContinue=True)),
        chunk(call(partialArgs=[piece("$.to.city", stringValue="lo")], willContinue=True)),
        chunk(
            call(
                partialArgs=[piece("$.seats[0].row", numberValue=7), piece("$.seats[1]['no']", boolValue=False)],
                willContinue=True,
            )
        ),
        chunk(call(partialArgs=[piece("$.note", nullValue="NULL_VALUE")], willContinue=True)),
        chunk(call()),
        chunk({"text": "after"}, finishReason="STOP"),
    )
    args = {"to": {"city": "Oslo"}, "seats": [{"row": 7}, {"no": False}], "note": None}
    assert parts(reply) == [
        {"functionCall": {"name": "book", "id": "c1", "args": args}, "thoughtSignature": "s"},
        {"text": "after"},
    ]
    assert "_extra" not in response(reply)


def test_two_calls_streamed_one_after_the_other_stay_two() -> None:
    reply = fold(
        chunk(call(name="f", willContinue=True)),
        chunk(call(partialArgs=[piece("$.a", stringValue="1")], willContinue=True)),
        chunk(call()),
        chunk(call(name="f", willContinue=True)),
        chunk(call(partialArgs=[piece("$.a", stringValue="2")])),
        chunk(call(name="g", args={})),
        LAST,
    )
    assert parts(reply) == [call(name="f", args={"a": "1"}), call(name="f", args={"a": "2"}), call(name="g", args={})]


def test_another_name_ends_a_call_that_was_left_open() -> None:
    reply = fold(
        chunk(call(name="f", willContinue=True)), chunk(call(name="g", willContinue=True)), chunk(call()), LAST
    )
    assert parts(reply) == [call(name="f", args={}), call(name="g", args={})]


def test_a_call_in_one_piece_with_partial_args_is_whole() -> None:
    assert parts(fold(chunk(call(name="f", partialArgs=[piece("$.a", stringValue="x")])), LAST)) == [
        call(name="f", args={"a": "x"})
    ]


def test_a_cut_call_keeps_the_arguments_that_came() -> None:
    reply = fold(
        chunk(call(name="f", willContinue=True)),
        chunk(call(partialArgs=[piece("$.a", stringValue="ha")], willContinue=True)),
    )
    assert parts(reply) == [call(name="f", args={"a": "ha"})]
    assert response(reply)["_extra"] == {"open_function_calls": 1}


@pytest.mark.parametrize("path", ["", "a", "$", "$..a", "$.a[-1]", "$[0]", "$.a[999999]", "$.a[*]", "$" + ".a" * 200])
def test_a_path_that_cannot_be_followed_is_kept_aside(path: str) -> None:
    reply = fold(chunk(call(name="f", partialArgs=[piece(path, numberValue=1)])), LAST)
    assert parts(reply) == [call(name="f", args=parts(reply)[0]["functionCall"]["args"])]
    assert response(reply)["_extra"]["unknown_events"]


def test_a_path_through_a_value_is_kept_aside() -> None:
    pieces = [piece("$.a", numberValue=1), piece("$.a.b", numberValue=2)]
    reply = fold(chunk(call(name="f", partialArgs=pieces)), LAST)
    assert parts(reply) == [call(name="f", args={"a": 1})]
    assert response(reply)["_extra"]["unknown_events"] == [{"jsonPath": "$.a.b", "value": 2}]


def test_chunks_wrapped_by_code_assist_give_a_wrapped_response() -> None:
    reply = fold(
        {"response": {**chunk({"text": "a"}), "modelVersion": "m"}, "traceId": "t"},
        {"response": chunk({"text": "b"}, finishReason="STOP"), "traceId": "t"},
    )
    inner = response(reply)["response"]
    assert (inner["candidates"][0]["content"]["parts"], response(reply)["traceId"]) == ([{"text": "ab"}], "t")
    assert (reply.ended, reply.response_model, reply.finish_reasons) == ("terminal", "m", ("STOP",))


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ({}, None),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"promptTokenCount": 5}, Usage(5)),
        (
            {
                "promptTokenCount": 147,
                "candidatesTokenCount": 108,
                "toolUsePromptTokenCount": 360,
                "thoughtsTokenCount": 168,
                "cachedContentTokenCount": 100,
                "totalTokenCount": 783,
            },
            Usage(507, 276, 100, 168),
        ),
    ],
)
def test_input_counts_what_tools_fed_back_and_output_counts_thoughts(
    metadata: dict[str, Any], usage: Usage | None
) -> None:
    assert fold({"usageMetadata": metadata}, LAST).usage == usage


@pytest.mark.parametrize(
    ("body", "new"),
    [
        ({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, [("user", "hi")]),
        ({"contents": {"parts": [{"text": "hi"}]}}, [("user", "hi")]),
        (
            {
                "contents": [
                    {"role": "user", "parts": [{"text": "old"}]},
                    {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
                    {
                        "role": "user",
                        "parts": [{"functionResponse": {"name": "f", "response": {"n": 1}}}, {"text": "new"}],
                    },
                ]
            },
            [("tool", '{"n":1}'), ("user", "new")],
        ),
        ({"generateContentRequest": {"contents": [{"parts": [{"text": "count me"}]}]}}, [("user", "count me")]),
        ({"request": {"contents": [{"role": "user", "parts": [{"text": "wrapped"}]}]}}, [("user", "wrapped")]),
        ({"content": {"parts": [{"text": "embed me"}]}}, [("user", "embed me")]),
        (
            {"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [{"text": "b"}]}}]},
            [("user", "a"), ("user", "b")],
        ),
        ({"contents": 7}, []),
        (None, []),
    ],
)
def test_only_what_came_after_the_model_s_last_turn_is_new(body: Any, new: list[tuple[str, str]]) -> None:
    assert [(text.kind, text.text) for text in generate_content.API.texts(body)] == new


def test_garbage_is_kept_and_the_fold_goes_on() -> None:
    reply = fold("{broken", {"odd": 1}, chunk({"text": "a"}, "odd", finishReason="STOP"))  # type: ignore[arg-type]
    assert parts(reply) == [{"text": "a"}]
    assert response(reply)["odd"] == 1
    assert response(reply)["_extra"] == {"bad_events": ["{broken"], "unknown_events": ["odd"]}
