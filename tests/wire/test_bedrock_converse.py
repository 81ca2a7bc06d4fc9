"""Bedrock Converse and InvokeModel, event by event. Fixtures are written here."""

import base64
import json
from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Reply, Usage
from wire.api import Event
from wire.bedrock import converse, invoke
from wire.bedrock.methods import route
from wire.bedrock.paths import parse

type Named = tuple[str, dict[str, Any]]

START: Named = ("messageStart", {"role": "assistant", "p": "abc"})
STOP: Named = ("messageStop", {"stopReason": "end_turn", "p": "ab"})
METADATA: Named = (
    "metadata",
    {"usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, "metrics": {"latencyMs": 9}, "p": "a"},
)


def delta(at: int, **fields: Any) -> Named:
    return ("contentBlockDelta", {"contentBlockIndex": at, "delta": fields, "p": "abcd"})


def start(at: int, **fields: Any) -> Named:
    return ("contentBlockStart", {"contentBlockIndex": at, "start": fields, "p": "x"})


def stop(at: int) -> Named:
    return ("contentBlockStop", {"contentBlockIndex": at})


def fold(*events: Named | Event) -> Reply:
    folder = converse.API.folder()
    for each in events:
        folder.add(each if isinstance(each, Event) else Event(json.dumps(each[1]), each[0]))
    return folder.close()


def content(*events: Named) -> Any:
    response = fold(START, *events, STOP).response
    assert isinstance(response, dict)
    assert "_extra" not in response
    return response["output"]["message"]["content"]  # type: ignore[index, call-overload]


def test_a_stream_becomes_the_response_it_would_have_been() -> None:
    reply = fold(START, delta(0, text="Hel"), delta(0, text="lo"), stop(0), STOP, METADATA)
    assert reply.response == {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7},
        "metrics": {"latencyMs": 9},
    }
    assert (reply.ended, reply.usage, reply.finish_reasons) == ("terminal", Usage(5, 2), ("end_turn",))
    assert reply.texts == (Text("answer", "Hello"),)


@pytest.mark.parametrize(
    ("events", "become"),
    [
        (
            [
                start(0, toolUse={"toolUseId": "t", "name": "f"}),
                delta(0, toolUse={"input": '{"a"'}),
                delta(0, toolUse={"input": ":1}"}),
            ],
            [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}}],
        ),
        (
            [start(0, toolUse={"toolUseId": "t", "name": "f"}), stop(0)],
            [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}],
        ),
        (
            [start(0, toolUse={"toolUseId": "t", "name": "f"}), delta(0, toolUse={"input": '{"a": [1, "b'})],
            [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": [1]}, "_partial_json": '{"a": [1, "b'}}],
        ),
        (
            [
                delta(0, reasoningContent={"text": "I "}),
                delta(0, reasoningContent={"text": "think"}),
                delta(0, reasoningContent={"signature": "s"}),
            ],
            [{"reasoningContent": {"reasoningText": {"text": "I think", "signature": "s"}}}],
        ),
        ([delta(0, reasoningContent={"redactedContent": "AA=="})], [{"reasoningContent": {"redactedContent": "AA=="}}]),
        (
            [delta(0, text="cited"), delta(0, citation={"title": "a"}), delta(0, citation={"title": "b"})],
            [{"citationsContent": {"content": [{"text": "cited"}], "citations": [{"title": "a"}, {"title": "b"}]}}],
        ),
        (
            [
                start(0, toolResult={"toolUseId": "t", "status": "success"}),
                delta(0, toolResult=[{"text": "a"}]),
                delta(0, toolResult=[{"json": 1}]),
            ],
            [{"toolResult": {"toolUseId": "t", "status": "success", "content": [{"text": "a"}, {"json": 1}]}}],
        ),
        (
            [start(0, image={"format": "png"}), delta(0, image={"source": {"bytes": "AA=="}})],
            [{"image": {"format": "png", "source": {"bytes": "AA=="}}}],
        ),
        ([delta(1, text="b"), delta(0, text="a"), delta(1, text="c")], [{"text": "a"}, {"text": "bc"}]),
    ],
)
def test_every_kind_of_block_becomes_what_it_is_unstreamed(events: list[Named], become: list[dict[str, Any]]) -> None:
    assert content(*events) == become


@pytest.mark.parametrize(
    ("events", "ended"),
    [
        ([START, delta(0, text="a"), STOP, METADATA], "terminal"),
        ([START, delta(0, text="a"), STOP], "terminal"),
        ([START, delta(0, text="a"), stop(0)], "open"),
        ([], "open"),
        ([START, Event('{"message":"slow"}', "throttlingException", "error"), STOP], "failed"),
    ],
)
def test_only_message_stop_makes_a_stream_whole(events: list[Any], ended: str) -> None:
    assert fold(*events).ended == ended


def test_an_exception_is_kept_beside_what_came() -> None:
    reply = fold(
        START,
        delta(0, text="so far"),
        Event('{"message":"slow"}', "throttlingException", "error"),
        Event("no", "x", "error"),
    )
    assert reply.response == {
        "output": {"message": {"role": "assistant", "content": [{"text": "so far"}]}},
        "_extra": {"errors": [{"type": "throttlingException", "message": "slow"}, {"type": "x", "message": "no"}]},
    }


def test_all_that_was_read_from_or_written_to_the_cache_is_input() -> None:
    told = {
        "inputTokens": 4,
        "outputTokens": 2,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 10,
        "totalTokens": 116,
    }
    assert fold(START, STOP, ("metadata", {"usage": told})).usage == Usage(114, 2, 100)


def test_unknown_events_and_deltas_are_kept_never_raised() -> None:
    response = fold(
        START, ("moonrise", {"n": 1}), delta(0, hologram={"x": 1}), start(1, toolUse={"name": "f"}), start(1), STOP
    ).response
    assert isinstance(response, dict)
    assert response["_extra"] == {
        "unknown_events": [{"name": "moonrise", "payload": {"n": 1}}, {"hologram": {"x": 1}}],
        "replaced_blocks": [[{"toolUse": {"name": "f", "input": {}}}]],
    }


def test_every_member_of_the_service_model_is_folded() -> None:
    """botocore's model of the service is AWS's own list of what a stream can carry."""
    loaders = pytest.importorskip("botocore.loaders", reason="botocore is not installed")
    shapes = loaders.Loader().load_service_model("bedrock-runtime", "service-2")["shapes"]
    for member in shapes["ContentBlockDelta"]["members"]:
        value = {
            "text": "x",
            "toolResult": [{"text": "x"}],
            "reasoningContent": {"text": "x"},
            "toolUse": {"input": "{}"},
        }
        assert content(delta(0, **{member: value.get(member, {"x": "x"})})), member
    for member in shapes["ReasoningContentBlockDelta"]["members"]:
        assert "marker" in json.dumps(content(delta(0, reasoningContent={member: "marker"}))), member
    for member in shapes["ContentBlockStart"]["members"]:
        assert "marker" in json.dumps(content(start(0, **{member: {"name": "marker"}}))), member
    for shape in ("MessageStopEvent", "ConverseStreamMetadataEvent"):
        name = "messageStop" if shape == "MessageStopEvent" else "metadata"
        for member in shapes[shape]["members"]:
            assert fold(START, (name, {member: {"m": 1}})).response == {
                "output": {"message": {"role": "assistant", "content": []}},
                member: {"m": 1},
            }


def chunk(payload: Any) -> Event:
    packed = base64.b64encode(payload if isinstance(payload, bytes) else json.dumps(payload).encode()).decode()
    return Event(json.dumps({"bytes": packed, "p": "abcdef"}), "chunk")


def invoked(*events: Any) -> Reply:
    folder = invoke.API.folder()
    for each in events:
        folder.add(each if isinstance(each, Event) else chunk(each))
    return folder.close()


METRICS = {"inputTokenCount": 6, "outputTokenCount": 3, "invocationLatency": 1, "firstByteLatency": 1}


def test_anthropic_s_models_give_a_message() -> None:
    reply = invoked(
        {
            "type": "message_start",
            "message": {
                "id": "m",
                "role": "assistant",
                "model": "claude-x",
                "content": [],
                "usage": {"input_tokens": 6},
            },
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
    )
    assert reply.response == {
        "id": "m",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "Hi"}],
        "usage": {"input_tokens": 6, "output_tokens": 3},
        "stop_reason": "end_turn",
        "_extra": {"blocks_without_start": 1, "amazon-bedrock-invocationMetrics": METRICS},
    }
    assert (reply.ended, reply.usage) == ("terminal", Usage(6, 3))


def test_nova_gives_a_converse_response() -> None:
    reply = invoked(
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "Hi"}, "contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
    )
    assert reply.response == {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn",
    }
    assert reply.ended == "terminal"


def test_titan_s_flat_chunks_become_results() -> None:
    reply = invoked(
        {
            "outputText": "Hel",
            "index": 0,
            "totalOutputTextTokenCount": None,
            "completionReason": None,
            "inputTextTokenCount": 6,
        },
        {
            "outputText": "lo",
            "index": 0,
            "totalOutputTextTokenCount": 3,
            "completionReason": "FINISH",
            "inputTextTokenCount": None,
            "amazon-bedrock-invocationMetrics": METRICS,
        },
    )
    assert reply.response == {
        "inputTextTokenCount": 6,
        "results": [{"tokenCount": 3, "outputText": "Hello", "completionReason": "FINISH"}],
        "_extra": {"amazon-bedrock-invocationMetrics": METRICS},
    }
    assert (reply.ended, reply.usage, reply.finish_reasons) == ("terminal", Usage(6, 3), ("FINISH",))
    assert reply.texts == (Text("answer", "Hello"),)


@pytest.mark.parametrize(
    ("chunks", "become", "ended"),
    [
        (
            [
                {"generation": "a", "stop_reason": None},
                {"generation": "b", "stop_reason": "stop", "generation_token_count": 2},
            ],
            {"generation": "ab", "stop_reason": "stop", "generation_token_count": 2},
            "settled",
        ),
        (
            [{"outputs": [{"text": "a", "stop_reason": None}]}, {"outputs": [{"text": "b", "stop_reason": "stop"}]}],
            {"outputs": [{"text": "ab", "stop_reason": "stop"}]},
            "settled",
        ),
        ([{"generation": "a", "stop_reason": None}], {"generation": "a", "stop_reason": None}, "open"),
    ],
)
def test_other_models_pieces_are_strung_together(chunks: list[Any], become: Any, ended: str) -> None:
    reply = invoked(*chunks)
    assert (reply.response, reply.ended) == (become, ended)


def test_chat_chunks_become_a_chat_completion() -> None:
    def piece(text: str, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
        return {"id": "c", "object": "chat.completion.chunk", "model": "gpt-oss", "choices": [choice]}

    reply = invoked(piece("Hel"), {**piece("lo", "stop"), "amazon-bedrock-invocationMetrics": METRICS})
    assert isinstance(reply.response, dict)
    assert reply.response["object"] == "chat.completion"
    assert reply.texts == (Text("answer", "Hello"),)
    assert (reply.ended, reply.finish_reasons) == ("terminal", ("stop",))
    assert reply.response["_extra"] == {"amazon-bedrock-invocationMetrics": METRICS}
    assert invoked(piece("Hel"), Event("{}", "throttlingException", "error")).ended == "failed"


def test_an_answer_that_a_guardrail_stopped_is_settled() -> None:
    blocked = {"outputText": "Blocked", "amazon-bedrock-guardrailAction": "INTERVENED"}
    assert invoked(blocked).ended == "settled"


def test_chunks_that_do_not_unpack_are_kept() -> None:
    reply = invoked(
        Event('{"bytes": "***"}', "chunk"),
        chunk(b"no json"),
        Event('{"message":"x"}', "modelTimeoutException", "error"),
    )
    assert reply.response == {
        "_extra": {"errors": [{"type": "modelTimeoutException", "message": "x"}], "bad_events": ["***", "no json"]}
    }
    assert reply.ended == "failed"


def test_bodies_that_came_whole_are_read_the_same() -> None:
    streamed = fold(START, delta(0, text="Hi"), STOP, METADATA)
    assert converse.whole(streamed.response) == streamed
    assert converse.whole({"message": "denied"}) == Reply({"message": "denied"}, "terminal")
    assert invoke.whole(streamed.response) == streamed
    assert invoke.whole({"generation": "a", "stop_reason": "stop"}).texts == (Text("answer", "a"),)
    assert invoke.whole([1]) == Reply([1], "terminal")


@pytest.mark.parametrize(
    ("body", "new"),
    [
        ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, [("user", "hi")]),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"text": "old"}]},
                    {"role": "assistant", "content": [{"toolUse": {}}]},
                    {"role": "user", "content": [{"toolResult": {"content": [{"text": "a"}, {"json": {"n": 1}}]}}]},
                ]
            },
            [("tool", "a"), ("tool", '{"n":1}')],
        ),
        (
            {"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "hi"}]},
            [("user", "hi")],
        ),
        ({"inputText": "hi"}, [("user", "hi")]),
        ({"prompt": "hi"}, [("user", "hi")]),
        (None, []),
    ],
)
def test_only_what_came_after_the_last_answer_is_new(body: Any, new: list[tuple[str, str]]) -> None:
    assert [(text.kind, text.text) for text in invoke.API.texts(body)] == new


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/model/a.b-v1%3A0/converse", ("a.b-v1:0", "converse", False)),
        ("/model/a.b-v1:0/converse-stream", ("a.b-v1:0", "converse-stream", True)),
        ("/model/m/invoke-with-response-stream", ("m", "invoke-with-response-stream", True)),
        (
            "/model/arn%3Aaws%3Abedrock%3Aus%3A1%3Ainference-profile%2Fx/invoke",
            ("arn:aws:bedrock:us:1:inference-profile/x", "invoke", False),
        ),
        ("/model/m/invoke-with-bidirectional-stream", ("m", "invoke-with-bidirectional-stream", True)),
        ("/model/m", None),
        ("/models/m/converse", None),
        ("/guardrail/g/version/1/apply", None),
    ],
)
def test_model_method_and_stream_stand_in_the_path(path: str, found: tuple[str, str, bool] | None) -> None:
    assert parse(path) == found


def test_a_method_leads_to_its_api() -> None:
    found = route("/model/m/converse-stream")
    assert found is not None
    assert (found.api, found.model, found.stream) == (converse.API, "m", True)
    assert route("/model/m/invoke-with-bidirectional-stream") is None
    assert route("/") is None
