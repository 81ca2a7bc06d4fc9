"""OpenAI's other APIs: completions, embeddings, moderations, audio, images, assistants, realtime."""

import base64
import hashlib
import json
from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Reply, Usage
from tests.wire.openai_streams import DONE, extra, fold, read, response, sse
from wire.api import Event, Folder
from wire.openai import agents, assistants, audio, completions, embeddings, images, live, moderations, realtime

USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


# text completions


def text(piece: str, index: int | None = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"text": piece, "finish_reason": finish, "logprobs": None, **fields}
    if index is not None:
        choice["index"] = index
    return {"id": "cmpl-1", "object": "text_completion.chunk", "created": 7, "model": "m", "choices": [choice]}


def completion(*events: Any) -> Reply:
    return fold(*events, path="/v1/completions")


def test_text_completions_are_told_apart_by_index_and_usage_may_follow() -> None:
    reply = completion(
        text("b1", 1), text("a1", 0), text("a2", 0, "stop"), text("b2", 1, "length"),
        {"id": "cmpl-1", "choices": [], "usage": USAGE}, DONE,
    )  # fmt: skip
    told = response(reply)
    assert told["object"] == "text_completion"
    assert [(c["index"], c["text"], c["finish_reason"]) for c in told["choices"]] == [
        (0, "a1a2", "stop"),
        (1, "b1b2", "length"),
    ]
    assert (reply.ended, reply.usage) == ("terminal", Usage(3, 5))
    assert reply.texts == (Text("answer", "a1a2"), Text("answer", "b1b2"))


def test_lists_of_a_text_completions_logprobs_extend() -> None:
    first = {"tokens": ["a"], "token_logprobs": [None], "top_logprobs": [{}], "text_offset": [0]}
    second = {"tokens": ["b"], "token_logprobs": [-1], "top_logprobs": [{}], "text_offset": [1]}
    reply = completion(text("a", logprobs=first), text("b", logprobs=second), text("", finish="stop"), DONE)
    assert response(reply)["choices"][0]["logprobs"] == {
        "tokens": ["a", "b"],
        "token_logprobs": [None, -1],
        "top_logprobs": [{}, {}],
        "text_offset": [0, 1],
    }


@pytest.mark.parametrize(
    ("events", "ended"),
    [
        ([text("a"), DONE], "terminal"),
        ([text("a", None, "stop")], "settled"),
        ([text("a")], "open"),
        ([text("a", finish="stop"), {"error": {"message": "x"}}, DONE], "failed"),
    ],
)
def test_the_end_of_a_text_completion(events: list[Any], ended: str) -> None:
    assert completion(*events).ended == ended


def test_a_prompt_is_a_string_or_several_and_never_tokens() -> None:
    assert completions.texts({"prompt": ["a", "b"], "suffix": "c"}) == (
        Text("user", "a"),
        Text("user", "b"),
        Text("user", "c"),
    )
    assert completions.texts({"prompt": [1, 2, 3]}) == ()


# embeddings and moderations


def test_vectors_are_counted_and_not_kept() -> None:
    packed = base64.b64encode(bytes(4 * 1536)).decode()
    body: Any = {
        "object": "list",
        "model": "m",
        "data": [{"index": 0, "embedding": [0.5] * 8}, {"index": 1, "embedding": packed}, {"index": 2}],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    reply = embeddings.whole(body)
    assert response(reply)["data"] == [
        {"index": 0, "embedding": {"_dimensions": 8}},
        {"index": 1, "embedding": {"_dimensions": 1536}},
        {"index": 2},
    ]
    assert (reply.ended, reply.usage, reply.response_model) == ("terminal", Usage(4), "m")
    assert embeddings.texts({"input": ["a", "b"]}) == (Text("user", "a"), Text("user", "b"))
    assert embeddings.texts({"input": [[1, 2]]}) == ()


def test_a_moderation_is_itself() -> None:
    body: Any = {"id": "modr-1", "model": "omni", "results": [{"flagged": False}]}
    assert moderations.whole(body) == Reply(body, "terminal", "omni")
    asked: Any = {"input": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]}
    assert moderations.texts(asked) == (Text("user", "a"),)


# audio


def test_a_transcript_is_its_done_event_and_its_segments() -> None:
    segment = {"type": "transcript.text.segment", "id": "s", "start": 0, "end": 1, "speaker": "A", "text": "hey"}
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    reply = fold(
        {"type": "transcript.text.delta", "delta": "he"},
        {"type": "transcript.text.delta", "delta": "y"},
        segment,
        {"type": "transcript.text.done", "text": "hey", "usage": usage, "languages": ["en"]},
        DONE,
        path="/v1/audio/transcriptions",
    )
    told = {key: value for key, value in segment.items() if key != "type"}
    assert reply.response == {"text": "hey", "usage": usage, "languages": ["en"], "segments": [told]}
    assert (reply.ended, reply.usage, reply.texts) == ("terminal", Usage(14, 45), (Text("answer", "hey"),))


def test_a_cut_transcript_is_what_was_heard() -> None:
    reply = fold(
        {"type": "transcript.text.delta", "delta": "he", "logprobs": [{"token": "he"}]},
        {"type": "transcript.text.delta", "delta": "y", "logprobs": [{"token": "y"}]},
        path="/v1/audio/transcriptions",
    )
    assert reply.response == {"text": "hey", "logprobs": [{"token": "he"}, {"token": "y"}]}
    assert reply.ended == "open"


def test_a_transcript_as_plain_text_is_text() -> None:
    reply = read(b"WEBVTT\n\nhey", path="/v1/audio/transcriptions", content_type="text/vtt", streamed=False)
    assert (response(reply)["_text"], reply.ended) == ("WEBVTT\n\nhey", "settled")
    assert reply.texts == (Text("answer", "WEBVTT\n\nhey"),)


def test_speech_as_events_is_measured_joined() -> None:
    pieces = [b"a", b"bc", b"def"]
    reply = fold(
        *[{"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()} for piece in pieces],
        {"type": "speech.audio.done", "usage": {"input_tokens": 2, "output_tokens": 9, "total_tokens": 11}},
        path="/v1/audio/speech",
    )
    told = response(reply)
    assert (told["_bytes"], told["_sha256"]) == (6, hashlib.sha256(b"abcdef").hexdigest())
    assert (reply.ended, reply.usage) == ("terminal", Usage(2, 9))
    assert fold({"type": "speech.audio.delta", "audio": "AAAA"}, path="/v1/audio/speech").ended == "open"


def test_binary_speech_is_named_by_type_size_and_digest() -> None:
    reply = read(b"ID3\x04\x00", path="/v1/audio/speech", content_type="audio/mpeg", streamed=False)
    assert reply.response == {
        "_media_type": "audio/mpeg",
        "_bytes": 5,
        "_sha256": hashlib.sha256(b"ID3\x04\x00").hexdigest(),
    }
    assert reply.ended == "settled"
    assert audio.speech_texts({"input": "say this", "voice": "x"}) == (Text("user", "say this"),)
    assert audio.speech_streams({"stream_format": "sse"})


# images


def test_images_are_those_that_were_completed_and_previews_are_measured() -> None:
    usage = {"input_tokens": 50, "output_tokens": 50, "total_tokens": 100}
    done = {"type": "image_generation.completed", "created_at": 7, "size": "1x1", "usage": usage}
    reply = fold(
        {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": "AAAA"},
        {**done, "b64_json": "BBBB"},
        {**done, "b64_json": "CCCC"},
        path="/v1/images/generations",
    )
    told = response(reply)
    assert told["data"] == [{"b64_json": "BBBB"}, {"b64_json": "CCCC"}]
    assert (told["created"], told["size"], reply.usage, reply.ended) == (7, "1x1", Usage(50, 50), "terminal")
    assert extra(reply)["last_partial_images"][0]["_bytes"] == 3
    assert images.texts({"prompt": "a gate"}) == (Text("user", "a gate"),)
    assert images.streams({"stream": "true"})


def test_previews_alone_are_no_image() -> None:
    reply = fold({"type": "image_edit.partial_image", "b64_json": "AAAA"}, path="/v1/images/edits")
    assert (response(reply)["data"], reply.ended) == ([], "open")


# assistants


def named(*events: tuple[str, Any]) -> bytes:
    return b"".join(
        f"event: {name}\ndata: {told if isinstance(told, str) else json.dumps(told)}\n\n".encode()
        for name, told in events
    )


def run(status: str, **fields: Any) -> dict[str, Any]:
    return {"id": "run_1", "object": "thread.run", "status": status, "model": "m", **fields}


def delta(*content: dict[str, Any]) -> tuple[str, Any]:
    return "thread.message.delta", {
        "id": "msg_1",
        "object": "thread.message.delta",
        "delta": {"content": list(content)},
    }


def step(call: dict[str, Any]) -> tuple[str, Any]:
    details = {"type": "tool_calls", "tool_calls": [call]}
    return "thread.run.step.delta", {"id": "step_1", "delta": {"step_details": details}}


def test_a_run_is_its_last_snapshot_with_its_messages_and_steps_beside_it() -> None:
    call = {"index": 0, "id": "call_1", "type": "code_interpreter", "code_interpreter": {"input": "1+"}}
    more = {
        "index": 0,
        "type": "code_interpreter",
        "code_interpreter": {"input": "1", "outputs": [{"index": 0, "logs": "2"}]},
    }
    raw = named(
        ("thread.created", {"id": "thread_1"}),
        ("thread.run.created", run("queued")),
        ("thread.run.step.created", {"id": "step_1", "step_details": {"type": "tool_calls", "tool_calls": []}}),
        step(call),
        step(more),
        ("thread.message.created", {"id": "msg_1", "role": "assistant", "content": []}),
        delta({"index": 1, "type": "text", "text": {"value": "c"}}),
        delta({"index": 0, "type": "text", "text": {"value": "a", "annotations": [{"index": 0, "text": "note"}]}}),
        delta({"index": 0, "type": "text", "text": {"value": "b"}}),
        ("thread.run.completed", run("completed", usage=USAGE)),
        ("done", "[DONE]"),
    )  # fmt: skip
    reply = read(raw, path="/v1/threads/thread_1/runs")
    told = response(reply)
    assert (told["id"], told["status"], reply.ended, reply.usage) == ("run_1", "completed", "terminal", Usage(3, 5))
    message = extra(reply)["messages"][0]
    assert message["role"] == "assistant"
    assert message["content"] == [
        {"type": "text", "text": {"value": "ab", "annotations": [{"text": "note"}]}},
        {"type": "text", "text": {"value": "c"}},
    ]
    assert extra(reply)["steps"][0]["step_details"]["tool_calls"] == [
        {
            "id": "call_1",
            "type": "code_interpreter",
            "code_interpreter": {"input": "1+1", "outputs": [{"logs": "2"}]},
        }
    ]
    assert extra(reply)["thread"] == {"id": "thread_1"}
    assert reply.texts == (Text("answer", "ab"), Text("answer", "c"))


def test_a_completed_message_replaces_its_deltas() -> None:
    whole = {"id": "msg_1", "content": [{"type": "text", "text": {"value": "right", "annotations": []}}]}
    raw = named(delta({"index": 0, "type": "text", "text": {"value": "wr"}}), ("thread.message.completed", whole))
    reply = read(raw, path="/v1/threads/runs")
    assert extra(reply)["messages"] == [whole]
    assert reply.ended == "open"


@pytest.mark.parametrize(
    ("events", "ended"),
    [
        ([("thread.run.failed", run("failed")), ("done", "[DONE]")], "failed"),
        ([("error", {"message": "x"}), ("done", "[DONE]")], "failed"),
        ([("thread.run.requires_action", run("requires_action")), ("done", "[DONE]")], "terminal"),
        ([("thread.run.in_progress", run("in_progress"))], "open"),
    ],
)
def test_the_end_of_a_run_is_the_event_done(events: list[tuple[str, Any]], ended: str) -> None:
    assert read(named(*events), path="/v1/threads/runs").ended == ended


def test_what_is_new_in_a_run_are_its_messages_and_the_outputs_of_tools() -> None:
    assert assistants.texts({"thread": {"messages": [{"role": "user", "content": "a"}]}}) == (Text("user", "a"),)
    assert assistants.texts({"tool_outputs": [{"tool_call_id": "c", "output": "r"}]}) == (Text("tool", "r"),)


# realtime


TRANSCRIBED = "conversation.item.input_audio_transcription"


def session(*events: dict[str, Any], folder: Folder | None = None) -> Reply:
    folder = folder or realtime.RealtimeFolder()
    for event in events:
        folder.add(Event(json.dumps(event)))
    return folder.close()


def test_a_session_records_what_was_heard_and_answered() -> None:
    heard = {"id": "item_1", "role": "user", "content": [{"type": "input_audio"}]}
    answer = {"id": "resp_1", "status": "completed", "usage": {"input_tokens": 3, "output_tokens": 5}}
    output = [{"type": "message", "content": [{"type": "output_audio", "transcript": "good day"}]}]
    reply = session(
        {"type": "session.created", "session": {"model": "gpt-realtime"}},
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
        {"type": "conversation.item.added", "item": heard},
        {"type": f"{TRANSCRIBED}.delta", "item_id": "item_1", "content_index": 0, "delta": "he"},
        {"type": f"{TRANSCRIBED}.completed", "item_id": "item_1", "transcript": "hello"},
        {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
        {"type": "response.output_audio.delta", "response_id": "resp_1", "item_id": "item_2", "delta": "AAAA"},
        {"type": "response.output_audio_transcript.delta", "response_id": "resp_1", "delta": "good"},
        {"type": "response.done", "response": {**answer, "output": output}},
    )  # fmt: skip
    told = response(reply)
    assert told["items"] == [
        {"id": "item_1", "role": "user", "content": [{"type": "input_audio", "transcript": "hello"}]}
    ]
    assert told["responses"] == [{**answer, "output": output}]
    assert extra(reply)["audio"]["input"]["_bytes"] == extra(reply)["audio"]["item_2"]["_bytes"] == 3
    assert (reply.ended, reply.response_model, reply.usage) == ("settled", "gpt-realtime", Usage(3, 5))
    assert reply.texts == (Text("user", "hello"), Text("answer", "good day"))


@pytest.mark.parametrize("subject", ["output_text", "text", "output_audio_transcript", "audio_transcript"])
def test_a_session_that_breaks_off_has_the_answer_as_far_as_it_came(subject: str) -> None:
    key = "transcript" if "transcript" in subject else "text"
    reply = session(
        {"type": "response.created", "response": {"id": "r", "output": []}},
        {"type": "response.output_item.added", "response_id": "r", "output_index": 0, "item": {"type": "message"}},
        {"type": "response.content_part.added", "response_id": "r", "content_index": 0, "part": {"type": "x", key: ""}},
        {"type": f"response.{subject}.delta", "response_id": "r", "content_index": 0, "delta": "go"},
        {"type": f"response.{subject}.delta", "response_id": "r", "content_index": 0, "delta": "od"},
    )
    assert response(reply)["responses"][0]["output"] == [{"type": "message", "content": [{"type": "x", key: "good"}]}]
    assert (reply.ended, reply.texts) == ("open", (Text("answer", "good"),))


def test_responses_of_a_session_interleave_and_their_usage_adds_up() -> None:
    def done(known: str) -> dict[str, Any]:
        usage = {"input_tokens": 1, "output_tokens": 2}
        return {"type": "response.done", "response": {"id": known, "status": "completed", "usage": usage}}

    reply = session(
        {"type": "response.created", "response": {"id": "a"}},
        {"type": "response.created", "response": {"id": "b"}},
        done("b"),
        done("a"),
    )
    assert [each["id"] for each in response(reply)["responses"]] == ["a", "b"]
    assert (reply.usage, reply.finish_reasons) == (Usage(2, 4), ("completed", "completed"))


def test_a_live_session_has_its_transcripts_and_what_was_delegated() -> None:
    def delegated(**event: Any) -> dict[str, Any]:
        return {"type": "response.event", "delegation_id": "d", "event": event}

    reply = session(
        {"type": "session.started", "session": {"id": "s", "model": "gpt-live"}},
        {"type": "session.input_transcript.delta", "delta": "hel"},
        {"type": "session.output_transcript.delta", "delta": "good"},
        {"type": "session.input_transcript.delta", "delta": "lo"},
        {"type": "session.output_audio.delta", "audio": "AAAA"},
        delegated(type="response.created", response={"id": "r", "status": "in_progress"}),
        delegated(type="response.output_text.delta", output_index=0, content_index=0, delta="found"),
        {"type": "session.closed", "session": {"id": "s", "model": "gpt-live"}, "usage": {"seconds": 2}},
        folder=live.LiveFolder(),
    )
    told = response(reply)
    assert told["transcripts"] == {"input": "hello", "output": "good"}
    assert told["responses"][0]["id"] == "r"
    assert extra(reply)["audio"]["output"]["_bytes"] == 3
    assert (reply.ended, reply.response_model) == ("terminal", "gpt-live")
    assert reply.texts == (Text("user", "hello"), Text("answer", "good"), Text("answer", "found"))


def agent(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"agent.session.{kind}", "turn_id": "t", **fields}


def test_an_agent_session_has_its_turns_and_what_it_put_out() -> None:
    reply = session(
        agent("created", session={"id": "s", "status": "in_progress"}),
        agent("turn.created", turn={"id": "t"}),
        agent("turn.item.added", item={"type": "message", "role": "user"}),
        agent("turn.item.added", output_index=0, item={"type": "message", "content": []}),
        agent("turn.output_text.delta", output_index=0, content_index=0, delta="he"),
        agent("turn.output_text.delta", output_index=0, content_index=0, delta="y"),
        {"type": "agent.output.command_execution_output.delta", "turn_id": "t", "output_index": 1, "delta": "ls"},
        agent("turn.completed", turn={"id": "t"}, usage={"input_tokens": 3, "output_tokens": 5}),
        agent("idle", session={"id": "s", "status": "idle"}),
        folder=agents.AgentFolder(),
    )
    told = response(reply)
    assert told["output"][0]["content"][0]["text"] == "hey"
    assert told["output"][1] == {"output": "ls"}
    assert (told["status"], reply.ended, reply.usage) == ("idle", "terminal", Usage(3, 5))
    assert reply.texts == (Text("answer", "hey"),)


def test_an_agent_session_that_breaks_off_is_open_and_a_failed_turn_failed() -> None:
    begun = agent("created", session={"id": "s", "status": "in_progress"})
    assert session(begun, folder=agents.AgentFolder()).ended == "open"
    failed = agent("turn.failed", turn={"id": "t"})
    assert session(begun, failed, folder=agents.AgentFolder()).ended == "failed"


def test_a_client_secret_is_not_kept() -> None:
    body: Any = {"value": "ek_1", "client_secret": {"value": "ek_2", "expires_at": 1}, "session": {"model": "m"}}
    reply = realtime.whole(body)
    assert "ek_" not in json.dumps(reply.response)
    assert reply.response_model == "m"


def test_an_api_that_does_not_stream_takes_the_last_payload_of_one_that_does() -> None:
    raw = sse([{"data": [], "model": "a"}, {"data": [], "model": "b"}])
    reply = read(raw, path="/v1/embeddings")
    assert (reply.response_model, extra(reply)["earlier_events"], reply.ended) == ("b", 1, "settled")
