"""No exception escapes any folder, whatever the events say; and what comes out can be written as JSON."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wire.anthropic import batches, complete, count_tokens, messages
from wire.api import Api, Event
from wire.bedrock import converse, invoke
from wire.cohere import chat as cohere_chat
from wire.gemini import count_tokens as gemini_count_tokens
from wire.gemini import embed_content, generate_content, interactions
from wire.ollama import chat as ollama_chat
from wire.ollama import embed, generate

APIS: dict[str, Api] = {
    "messages": messages.API,
    "complete": complete.API,
    "count_tokens": count_tokens.API,
    "batches": batches.API,
    "generate_content": generate_content.API,
    "embed_content": embed_content.API,
    "gemini count_tokens": gemini_count_tokens.API,
    "interactions": interactions.API,
    "converse": converse.API,
    "invoke": invoke.API,
    "ollama chat": ollama_chat.API,
    "ollama generate": generate.API,
    "ollama embed": embed.API,
    "cohere": cohere_chat.API,
}

_KEYS = """
    type event_type index delta message content content_block text thinking signature partial_json citation usage
    error id role model stop_reason name input to candidates parts functionCall partialArgs jsonPath stringValue
    numberValue
    willContinue args finishReason promptFeedback usageMetadata logprobsResult thought thoughtSignature response
    interaction step steps status arguments annotations summary data mime_type metadata contentBlockIndex start toolUse
    toolResult reasoningContent citations image bytes outputText generation outputs results tool_calls function
    tool_plan finish_reason done done_reason logprobs completion messages contents requests params source input
    embedding embeddings values result prompt amazon-bedrock-invocationMetrics
"""
_WORDS = """
    message_start message_delta message_stop content_block_start content_block_delta content_block_stop ping error
    text_delta input_json_delta thinking_delta signature_delta citations_delta compaction_delta text tool_use fallback
    interaction.created interaction.completed interaction.status_update step.start step.delta step.stop
    thought_summary thought_signature arguments_delta text_annotation_delta audio image google_search_call
    messageStart contentBlockStart contentBlockDelta messageStop metadata chunk AA== {"a": $.a $.a[0].b ERROR
    message-start content-start content-delta tool-call-start tool-call-delta citation-start tool-plan-delta message-end
    user assistant model tool document tool_result failed completed
"""
KEYS = st.sampled_from(_KEYS.split())
WORDS = st.sampled_from(_WORDS.split())
SCALARS = st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | WORDS | st.text(max_size=6) | st.just("\ud83d")
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=24,
)
PAYLOADS = st.dictionaries(KEYS, JSON, max_size=6).map(json.dumps) | JSON.map(json.dumps) | st.text(max_size=20)
EVENTS = st.lists(
    st.builds(Event, data=PAYLOADS, name=st.just("") | WORDS, field=st.sampled_from(["data", "data", "data", "error"])),
    max_size=12,
)


def guided(kind: str, more: Any) -> str:
    """An event that gets past the first question each folder asks."""
    return json.dumps({"type": kind, "event_type": kind, "index": 0, **more})


GUIDED = st.builds(
    guided,
    WORDS,
    st.dictionaries(
        KEYS, JSON | st.dictionaries(KEYS, st.dictionaries(KEYS, JSON, max_size=4), max_size=4), max_size=5
    ),
)


ONE_EACH = {api.folder: name for name, api in APIS.items()}
"""Some APIs share their folder: one name for each."""


@pytest.mark.parametrize("name", list(ONE_EACH.values()))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=EVENTS, more=st.lists(st.builds(Event, data=GUIDED, name=st.just("") | WORDS), max_size=8))
def test_no_exception_escapes_a_folder(name: str, events: list[Event], more: list[Event]) -> None:
    folder = APIS[name].folder()
    for event in [*events, *more, *events]:
        folder.add(event)
    reply = folder.close()
    assert isinstance(reply.response, dict)
    msgspec.json.encode(reply.response)


@pytest.mark.parametrize("name", APIS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=JSON | st.dictionaries(KEYS, JSON, max_size=6))
def test_no_exception_escapes_the_reading_of_a_body(name: str, body: Any) -> None:
    api = APIS[name]
    assert isinstance(api.texts(body), tuple)
    api.whole(body)
    if isinstance(body, dict):
        assert api.streams(body) in (True, False)


def delta(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **fields}}


def part(**fields: Any) -> dict[str, Any]:
    return {"candidates": [{"index": 0, "content": {"role": "model", "parts": [fields]}, "finishReason": None}]}


def step(**fields: Any) -> dict[str, Any]:
    return {"event_type": "step.delta", "index": 0, "delta": fields}


def cohere(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "index": 0, "delta": {"message": fields}}


MESSAGE = {
    "id": "m",
    "role": "assistant",
    "model": "x",
    "content": [{"type": "text", "text": ""}],
    "usage": {"input_tokens": 1},
}
STREAMS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "messages": [
        ("", {"type": "message_start", "message": MESSAGE}),
        ("", {"type": "content_block_start", "index": 0, "content_block": {"type": "fallback", "to": {"model": "y"}}}),
        ("", delta("text_delta", text="a")),
        ("", delta("input_json_delta", partial_json='{"a": [1')),
        ("", delta("signature_delta", signature="s")),
        ("", delta("citations_delta", citation={})),
        (
            "",
            {
                "type": "message_delta",
                "delta": {"stop_reason": "x"},
                "usage": {"output_tokens_details": {"thinking_tokens": 1}},
            },
        ),
        ("", {"type": "message_start", "message": {**MESSAGE, "id": "n"}}),
        ("", {"type": "message_stop"}),
    ],
    "generate_content": [
        ("", part(text="a", thought=True)),
        ("", part(text="b", thoughtSignature="s")),
        ("", part(functionCall={"name": "f", "willContinue": True})),
        ("", part(functionCall={"partialArgs": [{"jsonPath": "$.a[0].b", "stringValue": "x"}], "willContinue": True})),
        ("", part(functionCall={"partialArgs": [{"jsonPath": "$.a[0].b", "numberValue": 1}]})),
        ("", {"candidates": [{"logprobsResult": {"chosenCandidates": [1]}, "content": {"parts": []}}]}),
        ("", {"response": {"candidates": []}, "usageMetadata": {"promptTokenCount": 1}, "promptFeedback": {}}),
    ],
    "interactions": [
        ("", {"event_type": "interaction.created", "interaction": {"id": "i", "usage": {"total_input_tokens": 1}}}),
        (
            "",
            {
                "event_type": "step.start",
                "index": 0,
                "step": {"type": "x", "content": [], "arguments": {}, "summary": []},
            },
        ),
        ("", step(type="text", text="a")),
        ("", step(type="text_annotation_delta", annotations=[1])),
        ("", step(type="thought_summary", content={"type": "text", "text": "a"})),
        ("", step(type="thought_summary", content={"type": "text", "text": "a"})),
        ("", step(type="arguments_delta", arguments="{")),
        ("", step(type="audio", data="YQ==", mime_type="a")),
        ("", step(type="audio", data="YQ==", mime_type="a")),
        ("", step(type="google_search_call", content="x", arguments={})),
        ("", step(type="text", text="b")),
        ("", {"event_type": "interaction.completed", "interaction": {"status": "completed", "steps": []}}),
    ],
    "converse": [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"name": "f", "input": {}}, "image": {}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{"}, "image": {"source": {}}}}),
        (
            "contentBlockDelta",
            {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "a"}, "toolResult": [{}]}},
        ),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "a", "citation": {}}}),
        ("messageStop", {"stopReason": "x", "output": {"message": {}}}),
        ("metadata", {"usage": {"inputTokens": 1}}),
    ],
    "invoke": [
        (
            "chunk",
            {
                "outputText": "a",
                "outputs": [{"text": "a", "index": 0}],
                "results": [{"outputText": "b", "deep": {"text": "c"}}],
            },
        ),
        (
            "chunk",
            {
                "outputText": "a",
                "outputs": [{"text": "a", "index": 0}],
                "results": [{"outputText": "b", "deep": {"text": "c"}}],
            },
        ),
        ("chunk", {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}}),
    ],
    "ollama chat": [
        ("", {"model": "m", "message": {"content": "a", "tool_calls": [{"function": {"name": "f"}}]}, "logprobs": [1]}),
        ("", {"model": "m", "message": {"content": "a", "tool_calls": [{"function": {"name": "f"}}]}, "logprobs": [1]}),
        ("", {"done": True, "eval_count": 1}),
    ],
    "cohere": [
        ("", {**cohere("message-start", role="a", content=[{"text": "x"}], tool_calls=[], citations=[]), "id": "c"}),
        ("", cohere("content-start", content={"type": "text", "text": ""})),
        ("", cohere("content-delta", content={"text": "a"})),
        ("", cohere("tool-call-start", tool_calls={"id": "t", "function": {"name": "f", "arguments": ""}})),
        ("", cohere("tool-call-delta", tool_calls={"function": {"arguments": "{"}})),
        ("", cohere("citation-start", citations={})),
        ("", {"type": "message-end", "delta": {"finish_reason": "x", "usage": {"tokens": {}}}, "logprobs": []}),
    ],
}


def changed(value: Any, data: st.DataObject) -> Any:
    """The same value with one thing in it replaced by something else."""
    inner = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not inner or data.draw(st.integers(0, 4)) == 0:
        return data.draw(JSON)
    at = data.draw(st.sampled_from(inner))
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at] = changed(copy[at], data)
    return copy


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_exception_escapes_when_one_thing_in_a_good_stream_is_something_else(name: str, data: st.DataObject) -> None:
    order = data.draw(st.permutations(STREAMS[name])) if data.draw(st.booleans()) else STREAMS[name]
    spoiled = data.draw(st.sets(st.integers(0, len(order) - 1), min_size=1, max_size=3))
    folder = APIS[name].folder()
    for at, (event_name, payload) in enumerate(order):
        said = changed(payload, data) if at in spoiled else payload
        folder.add(Event(json.dumps(said), event_name))
    reply = folder.close()
    msgspec.json.encode(reply.response)
    APIS[name].whole(reply.response)
