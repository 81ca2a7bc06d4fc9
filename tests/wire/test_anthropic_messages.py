"""Anthropic Messages, event by event: what the message must be. Fixtures are written here."""

import json
from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Reply, Usage
from wire.anthropic import messages
from wire.api import Event

START = {
    "type": "message_start",
    "message": {
        "id": "msg_a",
        "type": "message",
        "role": "assistant",
        "model": "claude-test-1",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 3, "service_tier": "standard"},
    },
}
STOP = {"type": "message_stop"}


def block(at: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": at, "content_block": fields}


def delta(at: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": at, "delta": {"type": kind, **fields}}


def ending(reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def said(text: str, at: int = 0) -> list[dict[str, Any]]:
    return [
        block(at, {"type": "text", "text": ""}),
        delta(at, "text_delta", text=text),
        {"type": "content_block_stop", "index": at},
    ]


def fold(*payloads: dict[str, Any] | str, names: bool = True) -> Reply:
    folder = messages.API.folder()
    for payload in payloads:
        data = payload if isinstance(payload, str) else json.dumps(payload)
        folder.add(Event(data, payload["type"] if names and isinstance(payload, dict) else ""))
    return folder.close()


def response(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply.response, dict)
    return reply.response


def test_a_stream_becomes_the_message_it_would_have_been() -> None:
    reply = fold(
        START, block(0, {"type": "text", "text": ""}), {"type": "ping"}, delta(0, "text_delta", text="Hel"),
        delta(0, "text_delta", text="lo"), {"type": "content_block_stop", "index": 0}, ending(output_tokens=7), STOP,
    )  # fmt: skip
    assert response(reply) == {
        **START["message"],  # type: ignore[dict-item]
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 7, "service_tier": "standard"},
    }
    assert (reply.ended, reply.response_model, reply.finish_reasons) == ("terminal", "claude-test-1", ("end_turn",))
    assert reply.usage == Usage(10, 7)
    assert reply.texts == (Text("answer", "Hello"),)


def test_events_without_event_names_are_read_by_their_type() -> None:
    payloads = [START, *said("Hi"), ending(output_tokens=1), STOP]
    assert fold(*payloads, names=False) == fold(*payloads)


def test_an_event_without_a_type_is_read_by_its_name() -> None:
    folder = messages.API.folder()
    for payload in [START, *said("Hi"), ending(), STOP]:
        folder.add(Event(json.dumps({k: v for k, v in payload.items() if k != "type"}), str(payload["type"])))
    assert folder.close() == fold(START, *said("Hi"), ending(), STOP)


def test_a_done_marker_of_a_gateway_is_no_payload() -> None:
    with_marker = fold(START, *said("Hi"), ending(), STOP, "[DONE]")
    assert with_marker == fold(START, *said("Hi"), ending(), STOP)
    assert with_marker.ended == "terminal"


@pytest.mark.parametrize(
    ("payloads", "ended"),
    [
        ([START, *said("Hi"), ending(), STOP], "terminal"),
        ([START, *said("Hi"), ending(), "[DONE]"], "settled"),
        ([START, *said("Hi"), "[DONE]"], "open"),
        ([START, *said("Hi"), ending()], "open"),
        ([START, *said("Hi")[:2]], "open"),
        ([], "open"),
        ([START, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}], "failed"),
        ([START, {"type": "error", "error": {"type": "api_error", "message": "x"}}, STOP], "failed"),
    ],
)
def test_only_message_stop_makes_a_stream_whole(payloads: list[Any], ended: str) -> None:
    assert fold(*payloads).ended == ended


def test_a_cut_stream_gives_what_came_and_never_invents_a_stop_reason() -> None:
    reply = fold(START, *said("Half a")[:2])
    assert response(reply)["content"] == [{"type": "text", "text": "Half a"}]
    assert response(reply)["stop_reason"] is None
    assert reply.finish_reasons == (None,)


def test_an_error_in_mid_stream_is_kept_beside_the_partial_message() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    reply = fold(START, *said("So far"), error)
    assert response(reply)["content"] == [{"type": "text", "text": "So far"}]
    assert response(reply)["_extra"] == {"errors": [error]}


def test_a_field_named_error_is_an_error() -> None:
    folder = messages.API.folder()
    folder.add(Event(json.dumps(START)))
    folder.add(Event('{"code": 500}', field="error"))
    reply = folder.close()
    assert reply.ended == "failed"
    assert response(reply)["_extra"] == {"errors": [{"code": 500}]}


def test_blocks_are_found_by_index_not_by_which_came_last() -> None:
    reply = fold(
        START, block(0, {"type": "text", "text": ""}), block(1, {"type": "text", "text": ""}),
        delta(0, "text_delta", text="a"), delta(1, "text_delta", text="x"), delta(0, "text_delta", text="b"), STOP,
    )  # fmt: skip
    assert [each["text"] for each in response(reply)["content"]] == ["ab", "x"]


def test_an_index_that_comes_again_opens_a_further_block() -> None:
    reply = fold(START, *said("one"), *said("two"), STOP)
    assert [each["text"] for each in response(reply)["content"]] == ["one", "two"]


def test_blocks_are_put_in_order_of_their_index() -> None:
    reply = fold(START, *said("second", 1), *said("first", 0), STOP)
    assert [each["text"] for each in response(reply)["content"]] == ["first", "second"]


def test_empty_text_blocks_stay() -> None:
    assert response(fold(START, *said(""), STOP))["content"] == [{"type": "text", "text": ""}]


def test_thinking_grows_and_its_signature_is_set() -> None:
    reply = fold(
        START, block(0, {"type": "thinking", "thinking": "", "signature": ""}),
        delta(0, "thinking_delta", thinking="Let "), delta(0, "thinking_delta", thinking="me see"),
        delta(0, "signature_delta", signature="sig-1"), delta(0, "signature_delta", signature="sig-2"), STOP,
    )  # fmt: skip
    assert response(reply)["content"] == [{"type": "thinking", "thinking": "Let me see", "signature": "sig-2"}]
    assert reply.texts == ()


def test_citations_are_appended() -> None:
    reply = fold(
        START, block(0, {"type": "text", "text": "", "citations": None}),
        delta(0, "citations_delta", citation={"a": 1}), delta(0, "text_delta", text="cited"),
        delta(0, "citations_delta", citation={"b": 2}), STOP,
    )  # fmt: skip
    assert response(reply)["content"] == [{"type": "text", "text": "cited", "citations": [{"a": 1}, {"b": 2}]}]


@pytest.mark.parametrize("kind", ["tool_use", "server_tool_use", "mcp_tool_use"])
@pytest.mark.parametrize(
    ("pieces", "known", "beside"),
    [
        ([], {}, None),
        ([""], {}, None),
        (['{"city": "Os', 'lo"}'], {"city": "Oslo"}, None),
        (["", '{"a": [1, 2', ', 3], "b": "un'], {"a": [1, 2, 3]}, '{"a": [1, 2, 3], "b": "un'),
        (['{"a" 1}'], {}, '{"a" 1}'),
        (['{"path": "C:\n'], {}, '{"path": "C:\n'),
    ],
    ids=["none", "empty", "whole", "cut", "not JSON", "cut in a string"],
)
def test_tool_input_is_read_at_the_end_and_cut_json_is_kept_beside(
    kind: str, pieces: list[str], known: dict[str, Any], beside: str | None
) -> None:
    start = {"type": kind, "id": "tool_1", "name": "look", "input": {}}
    reply = fold(START, block(0, start), *(delta(0, "input_json_delta", partial_json=piece) for piece in pieces), STOP)
    expected = {**start, "input": known} | ({} if beside is None else {"_partial_json": beside})
    assert response(reply)["content"] == [expected]
    assert reply.texts == (Text("answer", f"look {json.dumps(known, separators=(',', ':'))}"),)


def test_input_that_came_whole_with_the_start_stays() -> None:
    start = {"type": "server_tool_use", "id": "t", "name": "web_search", "input": {"query": "x"}}
    reply = fold(START, block(0, start), delta(0, "input_json_delta", partial_json=""), STOP)
    assert response(reply)["content"] == [start]


def test_results_of_server_tools_come_whole() -> None:
    result = {"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"type": "web_search_result"}]}
    assert response(fold(START, block(0, result), STOP))["content"] == [result]


def test_compaction_is_set_not_strung_together() -> None:
    reply = fold(
        START, block(0, {"type": "compaction", "content": None}), delta(0, "compaction_delta", content="first"),
        delta(0, "compaction_delta", content="second", encrypted_content="e"), STOP,
    )  # fmt: skip
    expected = {"type": "compaction", "content": "second", "encrypted_content": "e"}
    assert response(reply)["content"] == [expected]


def test_a_fallback_renames_the_model() -> None:
    fallback = {"type": "fallback", "from": {"model": "claude-test-1"}, "to": {"model": "claude-test-2"}}
    reply = fold(START, block(0, fallback), *said("ok", 1), STOP)
    assert reply.response_model == "claude-test-2"
    assert response(reply)["content"][0] == fallback


def test_usage_overwrites_key_by_key_and_is_never_added() -> None:
    start = {
        "type": "message_start",
        "message": {
            **START["message"],  # type: ignore[dict-item]
            "usage": {"input_tokens": 0, "output_tokens": 8, "cache_creation": {"ephemeral_5m_input_tokens": 1}},
        },
    }
    reply = fold(
        start,
        ending(None, output_tokens=20, cost=0.5),
        ending(input_tokens=100, cache_read_input_tokens=30, cache_creation_input_tokens=5, output_tokens=40),
        ending(None, input_tokens=None, output_tokens=41, output_tokens_details={"thinking_tokens": 9}),
        STOP,
    )
    assert response(reply)["usage"] == {
        "input_tokens": 100,
        "output_tokens": 41,
        "cache_creation": {"ephemeral_5m_input_tokens": 1},
        "cost": 0.5,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 9},
    }
    assert reply.usage == Usage(135, 41, 30, 9)
    assert reply.finish_reasons == ("end_turn",)


def test_usage_that_is_absent_stays_unknown() -> None:
    start = {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}}
    assert fold(start, *said("Hi"), STOP).usage is None
    assert fold(start, *said("Hi"), ending(output_tokens=2), STOP).usage == Usage(None, 2)


def test_what_a_message_delta_tells_beside_is_set_on_the_message() -> None:
    last = {
        "type": "message_delta",
        "delta": {"stop_reason": "refusal", "stop_details": {"category": "x"}, "container": {"id": "c"}},
        "context_management": {"applied_edits": []},
        "input_transformations": [1],
        "usage": {"output_tokens": 1},
    }
    found = response(fold(START, last, STOP))
    assert (found["stop_details"], found["container"]) == ({"category": "x"}, {"id": "c"})
    assert (found["context_management"], found["input_transformations"]) == ({"applied_edits": []}, [1])


def second(ident: str) -> dict[str, Any]:
    return {"type": "message_start", "message": {**START["message"], "id": ident}}  # type: ignore[dict-item]


def test_a_second_message_start_of_the_same_message_is_counted_and_ignored() -> None:
    reply = fold(START, *said("Hi"), second("msg_a"), *said("there", 1), ending(), STOP)
    assert [each["text"] for each in response(reply)["content"]] == ["Hi", "there"]
    assert response(reply)["_extra"] == {"repeated_message_starts": 1}


def test_a_second_message_is_kept_apart_from_the_first() -> None:
    reply = fold(START, *said("Lost"), second("msg_b"), *said("Found"), ending(), STOP)
    found = response(reply)
    assert (found["id"], found["content"]) == ("msg_b", [{"type": "text", "text": "Found"}])
    (other,) = found["_extra"]["other_messages"]
    assert (other["id"], other["content"]) == ("msg_a", [{"type": "text", "text": "Lost"}])
    assert found["_extra"]["second_message_starts"] == 1
    assert reply.ended == "terminal"


def test_a_message_after_the_one_that_is_finished_does_not_replace_it() -> None:
    reply = fold(START, *said("Whole"), ending(), STOP, second("msg_b"), *said("More"))
    assert response(reply)["id"] == "msg_a"
    assert reply.ended == "terminal"


def test_unknown_events_and_deltas_are_kept_never_raised() -> None:
    odd, odder = {"type": "moonrise", "n": 1}, delta(0, "hologram_delta", data="x")
    reply = fold(START, odd, *said("Hi"), odder, STOP)
    assert response(reply)["_extra"] == {"unknown_events": [odd, odder]}


def test_of_many_unknown_events_the_rest_is_counted() -> None:
    extra = response(fold(START, *({"type": "odd", "n": n} for n in range(300)), STOP))["_extra"]
    assert len(extra["unknown_events"]) == 256
    assert extra["unknown_events_not_kept"] == 44


def test_payloads_that_are_no_json_are_kept_and_the_fold_goes_on() -> None:
    reply = fold(START, "{broken", "[1]", "", *said("Hi"), ending(), STOP)
    assert response(reply)["_extra"] == {"bad_events": ["{broken", [1]]}
    assert response(reply)["content"] == [{"type": "text", "text": "Hi"}]


def test_deltas_without_a_start_make_their_block() -> None:
    reply = fold(delta(0, "text_delta", text="late"), STOP)
    assert response(reply)["content"] == [{"type": "text", "text": "late"}]
    assert response(reply)["_extra"] == {"events_without_start": 1, "blocks_without_start": 1}


def test_a_character_in_two_halves_is_joined() -> None:
    first, last = (
        f'{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"\\u{half}"}}}}'
        for half in ("d83d", "de00")
    )
    reply = fold(START, block(0, {"type": "text", "text": ""}), first, last, STOP)
    assert response(reply)["content"] == [{"type": "text", "text": "😀"}]
    json.dumps(reply.response, ensure_ascii=False).encode()


def test_a_body_that_came_whole_is_read_the_same() -> None:
    streamed = fold(START, *said("Hi"), ending(output_tokens=7), STOP)
    assert messages.whole(streamed.response) == streamed


@pytest.mark.parametrize(
    "body",
    [{"type": "error", "error": {"type": "not_found_error", "message": "model: x"}}, {"detail": "x"}, [], None, "x"],
)
def test_an_error_body_is_kept_as_it_is(body: Any) -> None:
    assert messages.whole(body) == Reply(response=body, ended="terminal")


@pytest.mark.parametrize(
    ("body", "asked"), [({"stream": True}, True), ({"stream": False}, False), ({}, False), ({"stream": "true"}, False)]
)
def test_a_stream_is_asked_for_in_the_body(body: dict[str, Any], asked: bool) -> None:
    assert messages.API.streams(body) is asked
