"""Chat completions: the chunks become the completion they would have been."""

import base64
from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Usage
from tests.wire.openai_streams import (
    DONE,
    calls,
    chunk,
    delta,
    extra,
    fold,
    fragment,
    message,
    read,
    response,
    said,
    sse,
)
from wire.openai import chat

USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
STOP = chunk(delta(finish="stop"))
ROLE = chunk(delta(role="assistant", content=""))


def test_a_stream_becomes_the_completion_it_would_have_been() -> None:
    reply = fold(ROLE, said("Hello "), said("there"), STOP, chunk(usage=USAGE), DONE)
    assert reply.response == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "gpt-x",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"},
        ],
        "usage": USAGE,
    }
    assert (reply.ended, reply.response_model, reply.finish_reasons) == ("terminal", "gpt-x", ("stop",))
    assert reply.usage == Usage(3, 5)
    assert reply.texts == (Text("answer", "Hello there"),)


# the end


@pytest.mark.parametrize("done", ["data: [DONE]", "data:[DONE]", "data:  [DONE]", "data: [DONE] ", "data: [DONE]x"])
def test_done_is_known_however_it_is_written(done: str) -> None:
    assert fold(said("a"), done).ended == "terminal"


@pytest.mark.parametrize(
    ("events", "ended"),
    [
        ([said("a", finish="stop")], "settled"),
        ([said("a"), DONE], "terminal"),
        ([said("a")], "open"),
        ([], "open"),
        ([said("a", 0, "stop"), said("b", 1)], "open"),
        ([said("a", 0, "stop"), said("b", 1, "length")], "settled"),
        ([chunk(usage=USAGE)], "open"),
        ([said("a", finish="")], "open"),
    ],
)
def test_the_end_is_done_or_a_finish_reason_for_every_choice_seen(events: list[Any], ended: str) -> None:
    assert fold(*events).ended == ended


def test_a_cut_stream_gives_what_came_and_never_invents_a_finish_reason() -> None:
    reply = fold(ROLE, said("par"))
    assert message(reply)["content"] == "par"
    assert response(reply)["choices"][0]["finish_reason"] is None
    assert reply.finish_reasons == (None,)


def test_what_comes_after_done_is_not_folded_but_counted() -> None:
    reply = fold(said("a", finish="stop"), DONE, said("b"), DONE)
    assert message(reply)["content"] == "a"
    assert extra(reply)["events_after_done"] == 1


def test_a_last_event_without_its_blank_line_counts() -> None:
    reply = read(sse([said("a"), STOP]).removesuffix(b"\n\n"))
    assert (reply.ended, reply.finish_reasons, extra(reply)) == (
        "settled",
        ("stop",),
        {"unterminated_last_event": True},
    )


def test_a_last_event_that_was_cut_leaves_the_stream_open() -> None:
    reply = read(sse([said("a"), said("b")])[:-20])
    assert (reply.ended, message(reply)["content"]) == ("open", "a")
    assert extra(reply)["cut_event"].startswith('{"id"')


# errors with status 200


def test_an_error_is_kept_beside_the_partial_answer_even_if_done_follows() -> None:
    reply = fold(
        said("par"),
        chunk(delta(finish="error", content=""), error={"code": 502, "message": "upstream"}),
        chunk(usage=USAGE),
        DONE,
    )
    assert reply.ended == "failed"
    assert message(reply)["content"] == "par"
    assert (reply.usage, reply.finish_reasons) == (Usage(3, 5), ("error",))
    assert extra(reply)["errors"] == [{"code": 502, "message": "upstream"}]


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        ('event: error\ndata: {"error": {"message": "x"}}', {"message": "x"}),
        ('error: {"code": 500, "message": "x"}', {"code": 500, "message": "x"}),
        ("error: plain words", "plain words"),
        ('data: {"error": {"message": "x"}}', {"message": "x"}),
        (
            'data: {"object": "error", "message": "x", "code": 400}',
            {"object": "error", "message": "x", "code": 400},
        ),
        ('{\n "error": {"message": "x"}\n}', {"message": "x"}),
    ],
    ids=["event", "field", "field of words", "payload", "object", "lines without a field"],
)
def test_an_error_is_known_however_it_is_told(event: str, kept: Any) -> None:
    raw = sse([said("par")]) + event.encode() + b"\n\n"
    reply = read(raw)
    assert (reply.ended, message(reply)["content"]) == ("failed", "par")
    assert extra(reply)["errors"] == [kept]


def test_an_error_of_one_choice_fails_the_reply() -> None:
    reply = fold(chunk({**delta(content="a"), "error": {"message": "x"}}), DONE)
    assert (reply.ended, extra(reply)["errors"]) == ("failed", [{"message": "x"}])


def test_payloads_that_are_no_json_are_kept_and_never_fatal() -> None:
    reply = fold(said("a"), "{broken", "[1]", '"word"', "data:", {"kind": "unheard of"}, said("b", finish="stop"), DONE)
    assert message(reply)["content"] == "ab"
    assert extra(reply)["bad_events"] == ["{broken", [1], "word"]
    assert extra(reply)["unknown_events"] == [{"kind": "unheard of"}]


# choices


def test_choices_are_told_apart_by_index_however_they_interleave() -> None:
    reply = fold(
        said("c1", 2), said("a1", 0), chunk(delta(1, content="b1"), delta(2, content="c2")), said("a2", 0), DONE
    )
    assert [choice["index"] for choice in response(reply)["choices"]] == [0, 1, 2]
    assert [message(reply, at)["content"] for at in range(3)] == ["a1a2", "b1", "c1c2"]


def test_a_choice_without_an_index_is_the_one_of_its_place() -> None:
    reply = fold(chunk({"delta": {"content": "a"}}, {"delta": {"content": "b"}}), DONE)
    assert [message(reply, at)["content"] for at in range(2)] == ["a", "b"]


@pytest.mark.parametrize("empty", [{"choices": []}, {"choices": None}, {"choices": [None]}])
def test_empty_choices_may_come_first_in_the_middle_and_last(empty: dict[str, Any]) -> None:
    reply = fold(
        {**chunk(), **empty}, said("a"), {**chunk(), **empty}, said("b", finish="stop"), {**chunk(), **empty}, DONE
    )
    assert message(reply)["content"] == "ab"


@pytest.mark.parametrize("choice", [{"index": 0}, {"index": 0, "delta": None}, {"index": 0, "delta": {}}])
def test_a_choice_without_a_delta_changes_nothing(choice: dict[str, Any]) -> None:
    assert message(fold(said("a"), chunk(choice), said("b", finish="stop"), DONE))["content"] == "ab"


def test_content_after_the_finish_reason_counts_and_the_last_reason_stays() -> None:
    reply = fold(said("a", finish="length"), said("b"), chunk(delta(finish="stop")), chunk(delta()), DONE)
    assert (message(reply)["content"], reply.finish_reasons) == ("ab", ("stop",))


def test_an_odd_finish_reason_is_kept_as_it_is() -> None:
    assert fold(said("a", finish="eos"), DONE).finish_reasons == ("eos",)
    assert fold(said("a", finish=""), DONE).finish_reasons == ("",)
    assert fold(said("a", finish="stop"), chunk(delta(finish="")), DONE).finish_reasons == ("stop",)


def test_fields_of_a_choice_merge_and_null_erases_nothing() -> None:
    reply = fold(
        chunk({**delta(content="a"), "content_filter_results": {"hate": {"filtered": False}}, "seed": 1}),
        chunk({**delta(), "content_filter_results": {"violence": {"filtered": False}}, "native_finish_reason": "STOP"}),
        chunk({**delta(finish="stop"), "content_filter_results": None, "seed": 2, "native_finish_reason": None}),
        DONE,
    )
    choice = response(reply)["choices"][0]
    assert choice["content_filter_results"] == {"hate": {"filtered": False}, "violence": {"filtered": False}}
    assert (choice["seed"], choice["native_finish_reason"]) == (2, "STOP")


def test_text_beside_the_delta_joins() -> None:
    reply = fold(chunk({**delta(content="a"), "text": "a"}), chunk({**delta(content="b"), "text": "b"}), DONE)
    assert response(reply)["choices"][0]["text"] == "ab"


def test_a_snapshot_beside_the_deltas_is_not_added_to_them() -> None:
    reply = fold(
        chunk({**delta(content="a"), "message": {"role": "assistant", "content": "a"}}),
        chunk({**delta(content="b"), "message": {"role": "assistant", "content": "ab"}}),
        DONE,
    )
    assert message(reply)["content"] == "ab"


def test_a_snapshot_alone_is_the_message() -> None:
    reply = fold(chunk({"index": 0, "message": {"role": "assistant", "content": "ab"}}), DONE)
    assert message(reply) == {"role": "assistant", "content": "ab"}


# logprobs


def test_logprobs_of_a_late_choice_come_once_and_null_erases_nothing() -> None:
    def token(text: str, index: int) -> dict[str, Any]:
        return chunk({**delta(index, content=text), "logprobs": {"content": [{"token": text}], "refusal": None}})

    reply = fold(token("a", 0), token("b", 1), token("c", 1), chunk({**delta(1, "stop"), "logprobs": None}), DONE)
    tokens = [[each["token"] for each in choice["logprobs"]["content"]] for choice in response(reply)["choices"]]
    assert tokens == [["a"], ["b", "c"]]
    assert response(reply)["choices"][0]["logprobs"]["refusal"] is None


def test_every_list_inside_logprobs_extends() -> None:
    reply = fold(
        chunk({**delta(content="a"), "logprobs": {"content": None, "reasoning_content": [1, 2], "refusal": [3]}}),
        chunk({**delta(content="b"), "logprobs": {"content": [4], "reasoning_content": [5]}}),
        DONE,
    )
    assert response(reply)["choices"][0]["logprobs"] == {"content": [4], "reasoning_content": [1, 2, 5], "refusal": [3]}


def test_logprobs_that_were_only_null_stay_null() -> None:
    reply = fold(chunk({**delta(content="a"), "logprobs": None}), DONE)
    assert response(reply)["choices"][0]["logprobs"] is None


# the message


def test_a_role_in_every_chunk_is_one_role() -> None:
    reply = fold(*[chunk(delta(role="assistant", content="a"))] * 3, DONE)
    assert message(reply) == {"role": "assistant", "content": "aaa"}


def test_a_role_that_never_came_is_the_assistants() -> None:
    assert message(fold(said("a"), DONE))["role"] == "assistant"
    assert message(fold(chunk(delta(role="", content="a")), DONE))["role"] == "assistant"


def test_content_that_never_came_is_null() -> None:
    assert message(fold(chunk(delta(role="assistant", content=None)), STOP, DONE))["content"] is None
    assert message(fold(STOP, DONE))["content"] is None


def test_lists_of_parts_and_strings_become_one_list() -> None:
    def thought(text: str, **more: Any) -> dict[str, Any]:
        return chunk(delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}]))

    reply = fold(ROLE, thought("h"), thought("m", closed=True), said("Hi "), said("you"), said(""), STOP, DONE)
    assert message(reply)["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
        {"type": "text", "text": "Hi you"},
    ]
    assert reply.texts == (Text("answer", "Hi you"),)


def test_parts_of_other_types_stay_apart() -> None:
    part = {"type": "reference", "reference_ids": [1]}
    reply = fold(chunk(delta(content=[part])), chunk(delta(content=[part])), said("a"), DONE)
    assert message(reply)["content"] == [part, part, {"type": "text", "text": "a"}]


@pytest.mark.parametrize("name", ["refusal", "reasoning_content", "reasoning", "reasoning_text", "thinking", "unheard"])
def test_strings_of_the_message_join(name: str) -> None:
    pieces = [chunk(delta(0, None, **{name: piece})) for piece in ("a", "b", None, "c")]
    assert message(fold(*pieces, DONE))[name] == "abc"


def test_reasoning_details_merge_by_index_and_type() -> None:
    def detail(**fields: Any) -> dict[str, Any]:
        return chunk(delta(reasoning_details=[fields]))

    reply = fold(
        detail(type="reasoning.text", text="a", format="unknown", index=0),
        detail(type="reasoning.text", text="b", format="unknown", index=0, signature="s"),
        detail(type="reasoning.encrypted", data="x", id="i", index=0),
        detail(type="reasoning.text", text="c", index=1),
        DONE,
    )
    assert message(reply)["reasoning_details"] == [
        {"type": "reasoning.text", "text": "ab", "format": "unknown", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "x", "id": "i", "index": 0},
        {"type": "reasoning.text", "text": "c", "index": 1},
    ]


def test_reasoning_details_without_an_index_continue_the_last_of_their_type() -> None:
    pieces: list[dict[str, Any]] = [
        {"type": "reasoning.text", "text": "a"},
        {"type": "reasoning.text", "text": "b"},
        {"type": "reasoning.encrypted", "data": "x", "id": "1"},
        {"type": "reasoning.encrypted", "data": "y", "id": "2"},
        {"type": "reasoning.text", "text": "c"},
    ]
    reply = fold(*[chunk(delta(reasoning_details=[piece])) for piece in pieces], DONE)
    assert message(reply)["reasoning_details"] == [
        {"type": "reasoning.text", "text": "abc"},
        {"type": "reasoning.encrypted", "data": "x", "id": "1"},
        {"type": "reasoning.encrypted", "data": "y", "id": "2"},
    ]


def test_annotations_of_all_chunks_are_kept() -> None:
    reply = fold(chunk(delta(annotations=[{"a": 1}])), chunk(delta(annotations=[{"b": 2}, {"c": 3}])), DONE)
    assert message(reply)["annotations"] == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_a_legacy_function_call_has_one_name_and_all_arguments() -> None:
    reply = fold(
        chunk(delta(role="assistant", content=None, function_call={"name": "look", "arguments": ""})),
        chunk(delta(function_call={"name": "look", "arguments": '{"a"'})),
        chunk(delta(function_call={"arguments": ":1}"})),
        chunk(delta(finish="function_call")),
        DONE,
    )
    assert message(reply)["function_call"] == {"name": "look", "arguments": '{"a":1}'}
    assert reply.texts == (Text("answer", 'look {"a":1}'),)


def test_audio_in_pieces_padded_one_by_one_is_one_decodable_text() -> None:
    pieces = [b"a", b"bc", b"defg"]
    chunks = [chunk(delta(audio={"id": "audio_1", "data": base64.b64encode(piece).decode()})) for piece in pieces]
    reply = fold(
        *chunks,
        chunk(delta(audio={"transcript": "he"})),
        chunk(delta(audio={"transcript": "y"})),
        chunk(delta(audio={"expires_at": 9})),
        DONE,
    )
    audio = message(reply)["audio"]
    assert base64.b64decode(audio.pop("data"), validate=True) == b"abcdefg"
    assert audio == {"id": "audio_1", "transcript": "hey", "expires_at": 9}
    assert reply.texts == (Text("answer", "hey"),)


def test_audio_cut_anywhere_is_joined_as_it_came() -> None:
    text = base64.b64encode(b"some sound").decode()
    chunks = [chunk(delta(audio={"data": text[at : at + 3]})) for at in range(0, len(text), 3)]
    assert message(fold(*chunks, DONE))["audio"] == {"data": text}


def test_executed_tools_are_set_by_index_not_joined() -> None:
    reply = fold(
        chunk(delta(executed_tools=[{"index": 0, "type": "search", "arguments": "{}"}])),
        chunk(delta(executed_tools=[{"index": 0, "arguments": "{}", "output": "o"}])),
        DONE,
    )
    assert message(reply)["executed_tools"] == [{"index": 0, "type": "search", "arguments": "{}", "output": "o"}]


def test_names_repeated_in_every_chunk_are_no_continuations() -> None:
    reply = fold(*[chunk(delta(channel="analysis", name="n", content="a", token_id=n)) for n in (5, 7)], DONE)
    told = message(reply)
    assert (told["channel"], told["name"], told["token_id"]) == ("analysis", "n", 7)


def test_unknown_fields_of_a_delta_merge_by_their_kind() -> None:
    reply = fold(
        chunk(delta(provider_metadata={"a": {"text": "x", "flag": False, "list": [1]}}, same="s")),
        chunk(delta(provider_metadata={"a": {"text": "y", "flag": False, "list": [2]}, "b": 1}, same="s")),
        DONE,
    )
    assert message(reply)["provider_metadata"] == {"a": {"text": "xy", "flag": False, "list": [1, 2]}, "b": 1}
    assert message(reply)["same"] == "s"


def test_surrogate_halves_in_two_chunks_are_one_character() -> None:
    raw = sse([ROLE]) + b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'
    raw += b'data: {"choices":[{"index":0,"delta":{"content":"\\ude00!"}}]}\n\n' + sse([STOP, DONE])
    reply = read(raw)
    assert message(reply)["content"] == "😀!"
    assert reply.texts == (Text("answer", "😀!"),)


def test_a_lone_half_is_replaced_so_that_the_record_can_be_written() -> None:
    reply = read(b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n')
    assert message(reply)["content"] == "\ufffd"


# tool calls


def tool_calls(reply: Any) -> list[tuple[str | None, str, str]]:
    return [
        (call.get("id"), call["function"]["name"], call["function"]["arguments"])
        for call in message(reply)["tool_calls"]
    ]


def test_parallel_calls_are_told_apart_by_index() -> None:
    reply = fold(
        calls(fragment(0, "c0", "look")),
        calls(fragment(1, "c1", "hear")),
        calls(fragment(1, args='{"b"'), fragment(0, args='{"a"')),
        calls(fragment(0, args=":1}")),
        calls(fragment(1, args=":2}")),
        chunk(delta(finish="tool_calls")),
        DONE,
    )
    assert tool_calls(reply) == [("c0", "look", '{"a":1}'), ("c1", "hear", '{"b":2}')]
    assert message(reply)["content"] is None
    assert "index" not in message(reply)["tool_calls"][0]
    assert reply.texts == (Text("answer", 'look {"a":1}'), Text("answer", 'hear {"b":2}'))


def test_calls_need_not_begin_at_index_0() -> None:
    reply = fold(
        calls(fragment(3, "c3", "b")), calls(fragment(1, "c1", "a", "{}")), calls(fragment(3, args="{}")), DONE
    )
    assert tool_calls(reply) == [("c1", "a", "{}"), ("c3", "b", "{}")]


def test_two_fragments_of_one_call_in_one_chunk_are_one_call() -> None:
    reply = fold(calls(fragment(0, "c0", "look", '{"a"'), fragment(0, args=":1}")), DONE)
    assert tool_calls(reply) == [("c0", "look", '{"a":1}')]


def test_calls_without_an_index_begin_with_an_id_or_a_name() -> None:
    reply = fold(
        calls(fragment(None, "c0", "look", '{"a"')),
        calls(fragment(None, None, None, ":1}")),
        calls(fragment(None, "c1", "look", "{}"), fragment(None, "c2", "hear", "{}")),
        calls(fragment(None, None, "touch", "{}")),
        DONE,
    )
    assert tool_calls(reply) == [
        ("c0", "look", '{"a":1}'),
        ("c1", "look", "{}"),
        ("c2", "hear", "{}"),
        (None, "touch", "{}"),
    ]


def test_a_call_without_an_index_that_repeats_its_id_goes_on() -> None:
    reply = fold(calls(fragment(None, "c0", "look", '{"a"')), calls(fragment(None, "c0", "look", ":1}")), DONE)
    assert tool_calls(reply) == [("c0", "look", '{"a":1}')]


def test_calls_that_all_have_index_0_are_told_apart_by_id_and_name() -> None:
    reply = fold(
        calls(fragment(0, "c0", "look", '{"a":1}')),
        calls(fragment(0, "c1", "hear", '{"b"')),
        calls(fragment(0, None, None, ":2}")),
        calls(fragment(0, "c2", "hear", "{}")),
        DONE,
    )
    assert tool_calls(reply) == [("c0", "look", '{"a":1}'), ("c1", "hear", '{"b":2}'), ("c2", "hear", "{}")]


def test_an_id_minted_for_every_delta_makes_no_new_call() -> None:
    reply = fold(
        calls(fragment(0, "x1", "look")),
        calls(fragment(0, "x2", None, '{"a"')),
        calls(fragment(0, "x3", "", ":1}")),
        DONE,
    )
    assert tool_calls(reply) == [("x1", "look", '{"a":1}')]


def test_a_name_repeated_in_every_delta_is_one_name() -> None:
    reply = fold(calls(fragment(0, "c0", "look", '{"a"')), calls(fragment(0, "c0", "look", ":1}")), DONE)
    assert tool_calls(reply) == [("c0", "look", '{"a":1}')]


def test_an_empty_or_null_id_name_and_arguments_say_nothing() -> None:
    empty: dict[str, Any] = {"index": 0, "id": "", "type": None, "function": {"name": None, "arguments": None}}
    reply = fold(calls(fragment(0, "c0", "look", "{")), calls(empty), calls({"index": 0, "function": None}), DONE)
    assert message(reply)["tool_calls"] == [
        {"id": "c0", "type": "function", "function": {"name": "look", "arguments": "{"}}
    ]


def test_custom_tools_have_an_input() -> None:
    first: dict[str, Any] = {"index": 0, "id": "c0", "type": "custom", "custom": {"name": "sh", "input": "l"}}
    reply = fold(calls(first), calls({"index": 0, "custom": {"input": "s"}}), DONE)
    assert message(reply)["tool_calls"] == [{"id": "c0", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]
    assert reply.texts == (Text("answer", "sh ls"),)


def test_arguments_that_are_an_object_are_written_once() -> None:
    told: dict[str, Any] = {"index": 0, "id": "c0", "function": {"name": "look", "arguments": {"a": "é"}}}
    assert tool_calls(fold(calls(told), DONE)) == [("c0", "look", '{"a":"é"}')]


def test_arguments_that_are_no_json_stay_the_string_they_are() -> None:
    assert tool_calls(fold(calls(fragment(0, "c0", "look", '{"cut')), DONE)) == [("c0", "look", '{"cut')]


def test_other_fields_of_a_call_are_kept() -> None:
    told: dict[str, Any] = {**fragment(0, "c0", "look", "{}"), "extra_content": {"google": {"thought_signature": "s"}}}
    assert message(fold(calls(told), DONE))["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "s"}}


# the envelope


@pytest.mark.parametrize("kind", ["", None, "chat.completion", "chat.completion.done", "chat.completion.chunk"])
def test_a_chunk_is_a_chunk_whatever_its_object_says(kind: str | None) -> None:
    told = said("a", finish="stop")
    told["object"] = kind
    reply = fold(told, DONE)
    assert (response(reply)["object"], message(reply)["content"]) == ("chat.completion", "a")


def test_a_chunk_without_its_object_is_a_chunk() -> None:
    assert message(fold({"choices": [delta(content="a")]}, DONE))["content"] == "a"


def test_the_first_real_id_and_time_and_the_last_real_model_stay() -> None:
    reply = fold(
        {**chunk(), "id": "", "created": 0, "model": ""},
        {**said("a"), "id": "one", "created": 5, "model": "router"},
        {**said("b"), "id": "two", "created": 6, "model": "real"},
        {**chunk(), "id": "two", "created": 7, "model": ""},
        DONE,
    )
    told = response(reply)
    assert (told["id"], told["created"], told["model"]) == ("one", 5, "real")
    assert extra(reply)["ids"] == ["one", "two"]


@pytest.mark.parametrize(
    "events",
    [
        [said("a"), STOP, chunk(usage=USAGE)],
        [said("a"), {**STOP, "usage": USAGE}],
        [{**said("a"), "usage": {**USAGE, "completion_tokens": 1}}, {**STOP, "usage": USAGE}],
        [said("a"), STOP, chunk(usage=USAGE), chunk(usage=None, moderation={"flagged": False})],
        [chunk(usage=USAGE), said("a"), STOP],
        [said("a"), chunk({**delta(finish="stop"), "usage": USAGE})],
        [said("a"), {**STOP, "x_groq": {"id": "r", "usage": USAGE}}],
    ],
    ids=["after finish", "with finish", "cumulative", "null after", "before", "in the choice", "in x_groq"],
)
def test_usage_is_the_last_that_was_told_wherever_it_came(events: list[Any]) -> None:
    reply = fold(*events, DONE)
    assert response(reply)["usage"] == USAGE
    assert reply.usage == Usage(3, 5)


def test_usage_that_never_came_is_none() -> None:
    reply = fold({**said("a"), "usage": None}, STOP, DONE)
    assert reply.usage is None
    assert "usage" not in response(reply)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (
            {
                **USAGE,
                "prompt_tokens_details": {"cached_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 4},
            },
            Usage(3, 5, 2, 4),
        ),
        ({**USAGE, "prompt_cache_hit_tokens": 2}, Usage(3, 5, 2)),
        ({**USAGE, "cached_tokens": 2, "reasoning_tokens": 4}, Usage(3, 5, 2, 4)),
        ({"prompt_tokens": 3.0}, Usage(3)),
        ({"total_tokens": 8}, None),
        ("many", None),
    ],
)
def test_usage_is_mapped_from_every_dialect(told: Any, usage: Usage | None) -> None:
    assert fold(chunk(usage=told), DONE).usage == usage


def test_padding_is_dropped_and_the_rest_of_the_envelope_kept() -> None:
    reply = fold(
        {**said("a"), "obfuscation": "xx", "p": "abc", "service_tier": "default", "x_groq": {"id": "r"}},
        {**said("b"), "system_fingerprint": "fp", "service_tier": None, "x_groq": {"usage": {}}, "citations": ["c"]},
        {**STOP, "system_fingerprint": None, "prompt_filter_results": [{"prompt_index": 0}]},
        DONE,
    )
    told = response(reply)
    assert "obfuscation" not in told
    assert "p" not in told
    assert (told["service_tier"], told["system_fingerprint"]) == ("default", "fp")
    assert told["x_groq"] == {"id": "r", "usage": {}}
    assert told["citations"] == ["c"]


# Azure


def test_azures_filters_merge_and_may_come_after_the_end() -> None:
    reply = fold(
        {
            "choices": [],
            "created": 0,
            "id": "",
            "model": "",
            "object": "",
            "prompt_filter_results": [{"prompt_index": 0}],
        },
        chunk({"index": 0, "content_filter_results": {}, "finish_reason": None}),
        chunk({**delta(content="a"), "content_filter_results": {"hate": {"filtered": False}}}),
        STOP,
        chunk(
            {"index": 0, "content_filter_results": {"self_harm": {}}, "content_filter_offsets": {"start_offset": 0}},
            object="",
        ),
        DONE,
    )
    told = response(reply)
    assert told["prompt_filter_results"] == [{"prompt_index": 0}]
    assert told["choices"][0]["content_filter_results"] == {"hate": {"filtered": False}, "self_harm": {}}
    assert told["choices"][0]["content_filter_offsets"] == {"start_offset": 0}
    assert (told["id"], reply.finish_reasons) == ("chatcmpl-1", ("stop",))


# unstreamed, and requests


def test_an_unstreamed_completion_is_itself() -> None:
    choice = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}
    body: Any = {"id": "x", "model": "m", "choices": [choice], "usage": USAGE}
    reply = chat.whole(body)
    assert reply.response == body
    assert (reply.ended, reply.usage, reply.texts) == ("terminal", Usage(3, 5), (Text("answer", "a"),))


def test_an_unstreamed_error_with_status_200_failed() -> None:
    assert chat.whole({"error": {"message": "x"}}).ended == "failed"
    assert chat.whole([1]).response == [1]


def test_what_is_new_in_a_request_is_what_came_after_the_models_last_turn() -> None:
    messages: list[Any] = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "old"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c0"}]},
        {"role": "tool", "tool_call_id": "c0", "content": "result"},
        {"role": "user", "content": [{"type": "text", "text": "new"}, {"type": "image_url", "image_url": {}}]},
    ]
    assert chat.texts({"messages": messages}) == (Text("tool", "result"), Text("user", "new"))
    assert chat.texts({"messages": messages[:2]}) == (Text("user", "old"),)
    assert chat.texts({"messages": "nonsense"}) == ()


def test_a_stream_is_asked_for_by_true_alone() -> None:
    assert chat.streams({"stream": True})
    assert not chat.streams({"stream": "true"})
    assert not chat.streams({})
