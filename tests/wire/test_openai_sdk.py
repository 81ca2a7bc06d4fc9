"""The official SDK's own types and its own accumulator, held against the folders."""

import importlib
import json
import pkgutil
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import openai.types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import ImageEditStreamEvent, ImageGenStreamEvent
from openai.types.audio import TranscriptionStreamEvent
from openai.types.beta import AssistantStreamEvent
from openai.types.beta.agent_session_event import AgentSessionEvent
from openai.types.beta.beta_responses_client_event import BetaResponsesClientEvent
from openai.types.beta.beta_responses_server_event import BetaResponsesServerEvent
from openai.types.beta.realtime.realtime_client_event import RealtimeClientEvent as OldRealtimeClientEvent
from openai.types.beta.realtime.realtime_server_event import RealtimeServerEvent as OldRealtimeServerEvent
from openai.types.chat import ChatCompletionChunk
from openai.types.live.client_event import ClientEvent as LiveClientEvent
from openai.types.live.connect_client_event import ConnectClientEvent
from openai.types.live.connect_server_event import ConnectServerEvent
from openai.types.live.fork_client_event import ForkClientEvent
from openai.types.live.fork_server_event import ForkServerEvent
from openai.types.live.server_event import ServerEvent as LiveServerEvent
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from openai.types.realtime.realtime_translation_client_event import RealtimeTranslationClientEvent
from openai.types.realtime.realtime_translation_server_event import RealtimeTranslationServerEvent
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.responses_client_event import ResponsesClientEvent
from openai.types.responses.responses_server_event import ResponsesServerEvent
from pydantic import BaseModel

from tests.wire.openai_streams import DONE, chunk, delta, fold
from wire.api import Api, Event
from wire.openai import agents, assistants, audio, chat, images, live, realtime, responses
from wire.openai.unfolded import UNFOLDED, reason

UNIONS: list[tuple[Api, Any]] = [
    (responses.API, ResponseStreamEvent),
    (responses.API, ResponsesServerEvent),
    (responses.API, BetaResponsesServerEvent),
    (responses.API, ResponsesClientEvent),
    (responses.API, BetaResponsesClientEvent),
    (assistants.API, AssistantStreamEvent),
    (audio.TRANSCRIPTION, TranscriptionStreamEvent),
    (images.API, ImageGenStreamEvent),
    (images.API, ImageEditStreamEvent),
    (realtime.API, RealtimeServerEvent),
    (realtime.API, RealtimeClientEvent),
    (realtime.API, OldRealtimeServerEvent),
    (realtime.API, OldRealtimeClientEvent),
    (live.API, RealtimeTranslationServerEvent),
    (live.API, RealtimeTranslationClientEvent),
    (live.API, LiveServerEvent),
    (live.API, ConnectServerEvent),
    (live.API, ForkServerEvent),
    (live.API, LiveClientEvent),
    (live.API, ConnectClientEvent),
    (live.API, ForkClientEvent),
    (agents.API, AgentSessionEvent),
]
SPEECH = ("speech.audio.delta", "speech.audio.done")  # the SDK has no types for them


def arms(union: Any) -> Iterator[Any]:
    """The classes of a union, however it is nested."""
    if get_origin(union) in (Union, types.UnionType, Annotated):
        for arm in get_args(union):
            yield from arms(arm)
    elif isinstance(union, type) and (issubclass(union, BaseModel) or hasattr(union, "__annotations__")):
        yield union


def fields_of(model: Any) -> dict[str, Any]:
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    return dict(model.__annotations__)


def tag(model: Any) -> str:
    fields = fields_of(model)
    return str(next(told[0] for name in ("type", "event") if (told := get_args(fields.get(name)))))


def value(annotation: Any, name: str) -> Any:
    """Some value of a field's type that can be found again."""
    plain = [arm for arm in get_args(annotation) if arm is not type(None)]
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return value(plain[0], name)
    if get_origin(annotation) is Literal:
        return plain[0]
    if get_origin(annotation) is list:
        return [value(plain[0], name)]
    if annotation is int:
        return 0
    if annotation in (float, bool):
        return annotation(1)
    if annotation is str:
        return f"marker-{name}"
    return {"id": f"marker-{name}", "text": f"marker-{name}-text"}


def payload_of(model: Any) -> tuple[str, dict[str, Any]]:
    """The event's name and its data: Assistants has its data apart, all others have one object."""
    fields = {name: value(annotation, name) for name, annotation in fields_of(model).items() if name != "obfuscation"}
    return tag(model), fields["data"] if "event" in fields and "data" in fields else fields


def outcome(api: Api, *events: tuple[str, dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The object, and what is under `_extra`."""
    folder = api.folder()
    for name, payload in events:
        folder.add(Event(json.dumps(payload), name))
    response = folder.close().response
    assert isinstance(response, dict)
    extra = response.get("_extra", {})
    assert isinstance(extra, dict)
    return {key: told for key, told in response.items() if key != "_extra"}, extra


CASES = [
    pytest.param(api, model, id=f"{union_api}-{tag(model)}")
    for union_api, (api, union) in enumerate(UNIONS)
    for model in arms(union)
    if "type" in fields_of(model) or "event" in fields_of(model)
]


@pytest.mark.parametrize(("api", "model"), CASES)
def test_every_event_type_of_the_sdk_is_folded_or_named_with_the_reason(api: Api, model: Any) -> None:
    kind, payload = payload_of(model)
    before, _ = outcome(api)
    after, extra = outcome(api, (kind, payload))
    assert "unknown_events" not in extra
    assert "bad_events" not in extra
    why = reason(kind)
    if after != before:
        return
    assert why, f"{kind} leaves no trace in the object and no reason is given"
    if not any(silent in why for silent in ("closes what its deltas built", "has no status", "the terminal event")):
        assert extra, f"{kind} leaves no trace at all"


NOT_STREAMS = {
    "UnwrapWebhookEvent": "OpenAI calls the customer's server with it, past any checkpoint",
    "BetaResponseStreamEvent": "the beta name of ResponseStreamEvent's events, all among BetaResponsesServerEvent",
}


def test_no_union_of_events_in_the_sdk_is_forgotten() -> None:
    covered = {id(union) for _, union in UNIONS}
    for module in pkgutil.walk_packages(openai.types.__path__, "openai.types."):
        if not module.name.endswith("_event"):
            continue
        for name, told in vars(importlib.import_module(module.name)).items():
            if name.endswith("Event") and not isinstance(told, type) and get_args(told) and name not in NOT_STREAMS:
                assert id(told) in covered, f"{module.name}.{name}"


def test_the_table_of_the_unfolded_names_nothing_that_does_not_exist() -> None:
    known = {tag(model) for _, union in UNIONS for model in arms(union)} | set(SPEECH)
    known |= {"keepalive", "response.inject", "transcription_session.update"}  # seen on the wire, not in the types
    for kind in UNFOLDED:
        beginning = kind.removesuffix("*")
        assert any(name == kind or (kind != beginning and name.startswith(beginning)) for name in known), kind


CHUNK_FIELDS = {
    "obfuscation": "padding against guessing texts from sizes: dropped",
    "object": "always chat.completion in the end",
    "choices": "the table's other rows",
}


@pytest.mark.parametrize("field", ChatCompletionChunk.model_fields)
def test_every_field_of_a_chat_chunk_is_in_the_object(field: str) -> None:
    told = {**chunk(delta(content="a")), field: {"marker": 1} if field in ("usage", "moderation") else "marker"}
    if field not in CHUNK_FIELDS:
        assert "marker" in json.dumps(fold(told, DONE).response), field


@pytest.mark.parametrize("path", ["", "delta", "delta.function_call", "delta.audio", "delta.tool_calls", "logprobs"])
def test_every_field_inside_a_chat_choice_is_in_the_object(path: str) -> None:
    model: Any = next(iter(arms(get_args(ChatCompletionChunk.model_fields["choices"].annotation)[0])))
    for step in filter(None, path.split(".")):
        inner = model.model_fields[step].annotation
        inner = next(arm for arm in get_args(inner) if arm is not type(None)) if get_args(inner) else inner
        model = get_args(inner)[0] if get_origin(inner) is list else inner
    for name, annotation in fields_of(model).items():
        if name == "index" or (name in ("delta", "logprobs") and not path):
            continue
        told = {name: value(annotation, name)}
        nested: dict[str, Any] = told
        for step in reversed(list(filter(None, path.split(".")))):
            nested = {step: [{"index": 0, **nested}] if step == "tool_calls" else nested}
        response = json.dumps(fold(chunk({"index": 0, **nested}), DONE).response)
        found = json.dumps(told[name]) in response or f"marker-{name}" in response
        assert found, (path, name)


PIECES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
CALLS = st.lists(st.tuples(st.sampled_from(["look", "hear"]), st.lists(PIECES, max_size=3)), max_size=3)


@settings(max_examples=60)
@given(st.lists(PIECES, max_size=5), st.lists(PIECES, max_size=3), CALLS, st.booleans())
def test_where_the_rules_agree_the_sdk_builds_the_same_completion(
    content: list[str], refusal: list[str], calls: list[tuple[str, list[str]]], usage: bool
) -> None:
    chunks = [chunk(delta(role="assistant", content="", refusal=None))]
    chunks += [chunk(delta(content=piece)) for piece in content]
    chunks += [chunk(delta(refusal=piece)) for piece in refusal]
    for at, (name, arguments) in enumerate(calls):
        first = {"index": at, "id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": ""}}
        chunks.append(chunk(delta(tool_calls=[first])))
        for piece in arguments:
            chunks.append(chunk(delta(tool_calls=[{"index": at, "function": {"arguments": piece}}])))
    chunks.append(chunk(delta(finish="tool_calls" if calls else "stop")))
    if usage:
        chunks.append(chunk(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}))
    state: Any = ChatCompletionStreamState()
    for each in chunks:
        state.handle_chunk(construct_type(type_=ChatCompletionChunk, value=each))
    expected = state.current_completion_snapshot.to_dict()
    assert _core(fold(*chunks, DONE).response) == _core(expected)


def _core(completion: Any) -> Any:
    """What both must agree on: null and an empty text are one, the SDK's parsed values and indices are its own."""
    choices = []
    for choice in completion["choices"]:
        message = choice["message"]
        calls = [(call["id"], call["type"], call["function"]["name"], call["function"]["arguments"])
                 for call in message.get("tool_calls") or []]  # fmt: skip
        said = (message["role"], message.get("content") or None, message.get("refusal") or None)
        choices.append((choice["index"], choice["finish_reason"], said, calls))
    return completion["id"], completion["model"], completion["object"], completion.get("usage"), choices


def test_the_recorded_completion_is_one_the_sdk_can_read() -> None:
    reply = fold(chunk(delta(role="assistant", content="a")), chunk(delta(finish="stop")), DONE)
    assert chat.whole(reply.response).texts == reply.texts
