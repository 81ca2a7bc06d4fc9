"""Responses: the events become the response they would have been."""

from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Reply, Usage
from tests.wire.openai_streams import DONE, extra, read, response, sse
from wire.openai import responses

PATH = "/v1/responses"
USAGE = {
    "input_tokens": 3,
    "output_tokens": 5,
    "input_tokens_details": {"cached_tokens": 2},
    "output_tokens_details": {"reasoning_tokens": 1},
}
CREATED = {
    "type": "response.created",
    "response": {"id": "resp_1", "status": "in_progress", "model": "m", "output": []},
}


def fold(*events: dict[str, Any] | str, names: bool = True) -> Reply:
    told = [
        {**event, "type": f"response.{event['type']}"}
        if isinstance(event, dict) and event.get("type", "").split(".")[0] not in ("response", "error", "keepalive")
        else event
        for event in events
    ]
    return read(sse(told, names=names and not any(isinstance(event, str) for event in told)), path=PATH)


def event(kind: str, at: int = 0, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "output_index": at, **fields}


def added(item: dict[str, Any], at: int = 0) -> dict[str, Any]:
    return event("output_item.added", at, item=item)


def done(item: dict[str, Any], at: int = 0) -> dict[str, Any]:
    return event("output_item.done", at, item=item)


def text(piece: str, at: int = 0, part: int = 0, **fields: Any) -> dict[str, Any]:
    return event("output_text.delta", at, content_index=part, delta=piece, **fields)


def completed(kind: str = "completed", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "response": {"id": "resp_1", "status": kind, "model": "m", "usage": USAGE, **fields}}


def said(words: str, **fields: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": words, "annotations": []}
    return {"type": "message", "role": "assistant", "content": [part], **fields}


def output(reply: Reply) -> list[Any]:
    found = response(reply)["output"]
    assert isinstance(found, list)
    return found


def test_the_terminal_event_carries_the_object_and_wins_over_deltas() -> None:
    final = [{"type": "reasoning", "encrypted_content": "final", "summary": []}, said("right")]
    reply = fold(
        CREATED,
        done({"type": "reasoning", "encrypted_content": "other", "summary": []}),
        text("wrong", 1),
        completed(output=final),
    )
    assert output(reply) == final
    assert (reply.ended, reply.response_model, reply.finish_reasons) == ("terminal", "m", ("completed",))
    assert reply.usage == Usage(3, 5, 2, 1)
    assert reply.texts == (Text("answer", "right"),)


@pytest.mark.parametrize("empty", [[], None])
def test_a_terminal_event_without_output_gets_back_what_streamed(empty: Any) -> None:
    reply = fold(CREATED, done(said("b"), 1), done(said("a"), 0), text("c", 2), completed(output=empty))
    assert [item["content"][0]["text"] for item in output(reply)] == ["a", "b", "c"]
    assert reply.ended == "terminal"


@pytest.mark.parametrize(
    ("last", "ended", "reason"),
    [
        (completed(output=[said("a")]), "terminal", "completed"),
        (
            completed("incomplete", output=[said("a")], incomplete_details={"reason": "max_output_tokens"}),
            "terminal",
            "max_output_tokens",
        ),
        (completed("failed", error={"code": "server_error"}), "failed", "failed"),
        (DONE, "open", None),
        (text("more"), "open", None),
    ],
    ids=["completed", "incomplete", "failed", "only [DONE]", "cut"],
)
def test_the_end_is_the_terminal_event(last: Any, ended: str, reason: str | None) -> None:
    reply = fold(CREATED, last)
    assert (reply.ended, reply.finish_reasons) == (ended, (reason,))


@pytest.mark.parametrize("names", [True, False])
def test_a_done_marker_after_the_terminal_event_and_missing_names_change_nothing(names: bool) -> None:
    told = fold(CREATED, completed(output=[said("a")]), names=names)
    assert fold("data: " + '{"type":"response.completed","response":{"output":[]}}', DONE).ended == "terminal"
    assert output(told) == [said("a")]


def test_a_type_that_stands_only_in_the_event_name_counts() -> None:
    raw = b'event: response.completed\ndata: {"response":{"id":"r","output":[]}}\n\n'
    assert read(raw, path=PATH).ended == "terminal"


def test_a_failed_response_keeps_what_had_come() -> None:
    reply = fold(CREATED, text("par"), completed("failed", error={"code": "server_error"}, output=[]))
    assert output(reply)[0]["content"][0]["text"] == "par"
    assert response(reply)["error"] == {"code": "server_error"}


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": "x", "message": "m", "param": None, "sequence_number": 3},
        {"type": "error", "error": {"code": "x", "message": "m"}},
        'data: {"error": {"code": "x"}}',
        'error: {"code": "x"}',
    ],
)
def test_an_error_event_fails_the_reply_whatever_follows(error: Any) -> None:
    reply = fold(CREATED, text("par"), error, "event: x\ndata: " + '{"type":"response.completed","response":{}}')
    assert reply.ended == "failed"
    assert len(extra(reply)["errors"]) == 1


def test_a_cut_stream_begins_with_the_last_snapshot_and_has_what_came() -> None:
    reply = fold(
        {**CREATED, "type": "queued"},
        {**CREATED, "type": "in_progress"},
        added({"type": "message", "id": "msg_1", "role": "assistant", "content": []}),
        event("content_part.added", content_index=0, part={"type": "output_text", "text": "", "annotations": []}),
        text("Hel"),
        text("lo", logprobs=[{"token": "lo"}]),
        event("output_text.annotation.added", content_index=0, annotation_index=0, annotation={"url": "u"}),
    )
    told = response(reply)
    assert (told["id"], told["status"]) == ("resp_1", "in_progress")
    part = {"type": "output_text", "text": "Hello", "annotations": [{"url": "u"}], "logprobs": [{"token": "lo"}]}
    assert told["output"] == [{"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}]
    assert (reply.ended, reply.finish_reasons, reply.usage) == ("open", (None,), None)
    assert reply.texts == (Text("answer", "Hello"),)


def test_a_stream_that_is_taken_up_again_in_the_middle_is_read() -> None:
    assert output(fold(text("on"), text("ward")))[0]["content"][0]["text"] == "onward"


def test_parts_that_nobody_opened_are_opened_by_their_first_delta() -> None:
    reply = fold(
        CREATED,
        event("refusal.delta", 0, content_index=0, delta="n"),
        event("refusal.delta", 0, content_index=0, delta="o"),
        event("reasoning_text.delta", 1, content_index=0, delta="hm"),
        event("reasoning_summary_text.delta", 1, summary_index=1, delta="two"),
        event("reasoning_summary_text.delta", 1, summary_index=0, delta="one"),
    )
    assert output(reply) == [
        {"content": [{"type": "refusal", "refusal": "no"}]},
        {
            "content": [{"type": "reasoning_text", "text": "hm"}],
            "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
        },
    ]


@pytest.mark.parametrize(
    ("kind", "by", "key", "where"),
    [
        ("output_text", "content_index", "text", "content"),
        ("refusal", "content_index", "refusal", "content"),
        ("reasoning_text", "content_index", "text", "content"),
        ("reasoning_summary_text", "summary_index", "text", "summary"),
    ],
)
def test_the_done_of_a_text_overwrites_its_deltas(kind: str, by: str, key: str, where: str) -> None:
    reply = fold(
        CREATED,
        event(f"{kind}.delta", 0, **{by: 0}, delta="wr"),
        event(f"{kind}.done", 0, **{by: 0, key: "right"}),
    )
    assert output(reply)[0][where][0][key] == "right"


def test_the_done_of_a_part_replaces_it() -> None:
    part = {"type": "output_text", "text": "whole", "annotations": [1]}
    reply = fold(CREATED, text("wh"), event("content_part.done", content_index=0, part=part))
    assert output(reply)[0]["content"] == [part]
    summary = {"type": "summary_text", "text": "whole"}
    reply = fold(
        CREATED,
        event("reasoning_summary_part.added", summary_index=0, part={"type": "summary_text", "text": ""}),
        event("reasoning_summary_text.delta", summary_index=0, delta="wh"),
        event("reasoning_summary_part.done", summary_index=0, part=summary),
    )
    assert output(reply)[0]["summary"] == [summary]


@pytest.mark.parametrize(
    ("kind", "key", "path"),
    [
        ("function_call_arguments", "arguments", ("arguments",)),
        ("mcp_call_arguments", "arguments", ("arguments",)),
        ("custom_tool_call_input", "input", ("input",)),
        ("code_interpreter_call_code", "code", ("code",)),
        ("apply_patch_call_operation_diff", "diff", ("operation", "diff")),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_arguments_join_and_their_done_overwrites(kind: str, key: str, path: tuple[str, ...], finished: bool) -> None:
    events = [event(f"{kind}.delta", delta='{"a"'), event(f"{kind}.delta", delta=":1}")]
    if finished:
        events.append(event(f"{kind}.done", 0, **{key: '{"b":2}'}))
    value: Any = output(fold(CREATED, added({"type": "x"}), *events))[0]
    for step in path:
        value = value[step]
    assert value == ('{"b":2}' if finished else '{"a":1}')


def test_shell_commands_and_their_output_stand_in_their_places() -> None:
    reply = fold(
        CREATED,
        added({"type": "shell_call", "action": {"commands": []}}),
        event("shell_call_command.added", command_index=0, command=""),
        event("shell_call_command.delta", command_index=0, delta="l"),
        event("shell_call_command.delta", command_index=0, delta="s"),
        event("shell_call_command.added", command_index=1, command="pw"),
        event("shell_call_command.delta", command_index=1, delta="d"),
        event("shell_call_command.done", command_index=1, command="pwd"),
        added({"type": "shell_call_output", "output": []}, 1),
        event("shell_call_output_content.delta", 1, command_index=0, delta={"stdout": "a", "stderr": "x"}),
        event("shell_call_output_content.delta", 1, command_index=0, delta={"stdout": "b"}),
        event("shell_call_output_content.delta", 1, command_index=1, delta={"stdout": "c"}),
        event("shell_call_output_content.done", 1, command_index=1, output=[{"stdout": "cd", "outcome": {}}]),
    )
    assert output(reply)[0]["action"]["commands"] == ["ls", "pwd"]
    assert output(reply)[1]["output"] == [{"stdout": "ab", "stderr": "x"}, {"stdout": "cd", "outcome": {}}]


@pytest.mark.parametrize(
    "kind",
    [
        "web_search_call.in_progress",
        "web_search_call.searching",
        "web_search_call.completed",
        "file_search_call.searching",
        "code_interpreter_call.interpreting",
        "image_generation_call.generating",
        "mcp_call.failed",
    ],
)
def test_the_status_of_a_call_is_the_last_that_was_told(kind: str) -> None:
    subject, _, status = kind.partition(".")
    told = output(fold(CREATED, added({"type": subject, "status": "in_progress"}), event(kind)))[0]
    assert told["status"] == status


def test_the_done_of_an_item_replaces_it_and_late_deltas_do_not_touch_it() -> None:
    item = {"type": "image_generation_call", "status": "completed", "result": "AAAA"}
    reply = fold(
        CREATED, added({"type": "image_generation_call"}), text("x"), done(item), text("y"),
        event("image_generation_call.completed"),
    )  # fmt: skip
    assert output(reply) == [item]


def test_items_are_matched_by_place_and_not_by_ids_that_change() -> None:
    reply = fold(
        CREATED,
        added({"type": "message", "id": "a1", "content": []}),
        text("Hel", item_id="a2"),
        text("lo", item_id="a3"),
        {"type": "completed", "response": {"id": "resp_other", "status": "completed", "output": []}},
    )
    assert output(reply)[0]["content"][0]["text"] == "Hello"
    assert response(reply)["id"] == "resp_other"


def test_places_may_have_gaps_and_come_again() -> None:
    reply = fold(CREATED, done(said("c"), 7), done(said("a"), 2), added(said("b"), 2), done(said("b"), 2))
    assert [item["content"][0]["text"] for item in output(reply)] == ["a", "b", "c"]


def test_previews_keepalives_and_padding_are_not_in_the_object() -> None:
    reply = fold(
        CREATED,
        event("image_generation_call.partial_image", partial_image_index=0, partial_image_b64="AAAA"),
        event("image_generation_call.partial_image", partial_image_index=1, partial_image_b64="AAAAAAAA"),
        {"type": "keepalive", "sequence_number": 3},
        {"type": "response.compaction.compacting"},
        text("a", obfuscation="xyz"),
        completed(output=[said("a")]),
    )
    assert output(reply) == [said("a")]
    assert extra(reply)["partial_images"] == 2
    assert extra(reply)["last_partial_images"][0]["_bytes"] == 6
    assert extra(reply)["signs_of_life"] == 2


def test_spoken_audio_is_measured_and_its_transcript_kept() -> None:
    reply = fold(
        CREATED,
        {"type": "response.audio.delta", "delta": "AAAA"},
        {"type": "response.audio.transcript.delta", "delta": "he"},
        {"type": "response.audio.transcript.delta", "delta": "y"},
        {"type": "response.audio.done"},
        completed(output=[said("a")]),
    )
    assert (extra(reply)["audio"]["_bytes"], extra(reply)["audio"]["transcript"]) == (3, "hey")


def test_unknown_events_are_kept_and_never_fatal() -> None:
    told = {"type": "response.unheard.of", "x": 1}
    reply = fold(CREATED, told, "{broken", {"type": "response.steer.accepted"}, '{"type":"response.completed"}')
    assert extra(reply)["unknown_events"] == [told]
    assert extra(reply)["bad_events"] == ["{broken"]
    assert extra(reply)["steer"] == [{"type": "response.steer.accepted"}]


def test_a_call_is_told_by_name_and_arguments_and_reasoning_is_not_the_answer() -> None:
    reply = responses.whole(
        {
            "status": "completed",
            "output": [
                {"type": "reasoning", "summary": [{"text": "hm"}]},
                {"type": "function_call", "name": "look", "arguments": '{"a":1}'},
                {"type": "custom_tool_call", "name": "sh", "input": "ls"},
                {"type": "web_search_call", "action": {"query": "q"}},
                {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]},
            ],
        }
    )
    assert [text.text for text in reply.texts] == ['look {"a":1}', "sh ls", 'web_search_call {"query":"q"}', "no"]


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        ({"status": "completed", "output": []}, "terminal"),
        ({"status": "queued", "output": []}, "terminal"),
        ({"status": "failed", "output": []}, "failed"),
        ({"error": {"message": "x"}}, "failed"),
        ([], "terminal"),
    ],
)
def test_an_unstreamed_response_is_itself(body: Any, ended: str) -> None:
    reply = responses.whole(body)
    assert (reply.response, reply.ended) == (body, ended)


@pytest.mark.parametrize(
    ("asked", "texts"),
    [
        ("hello", (Text("user", "hello"),)),
        ([{"role": "user", "content": "a"}], (Text("user", "a"),)),
        ([{"role": "developer", "content": "d"}, {"role": "user", "content": [{"type": "input_text", "text": "a"}]}],
         (Text("user", "a"),)),
        ([{"role": "user", "content": "old"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "n"}],
         (Text("user", "n"),)),
        ([{"role": "user", "content": "old"}, {"type": "function_call", "name": "f"},
          {"type": "function_call_output", "output": "r"}], (Text("tool", "r"),)),
        ([{"type": "custom_tool_call_output", "output": [{"type": "input_text", "text": "r"}]}], (Text("tool", "r"),)),
        (None, ()),
        (7, ()),
    ],
)  # fmt: skip
def test_what_is_new_in_a_request_came_after_the_models_last_item(asked: Any, texts: tuple[Text, ...]) -> None:
    assert responses.texts({"input": asked}) == texts
