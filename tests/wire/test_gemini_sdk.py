"""The official SDK's own types, held against the folders: every field is folded or named."""

import json
from typing import Any, get_args

import pytest
from google.genai import types
from google.genai._gaos.types.interactions import interactionsseevent, step, stepdelta, stepdeltadata
from google.genai._gaos.types.interactions.interactionsseeventinteraction import InteractionSseEventInteraction
from google.genai._gaos.types.interactions.stepstop import StepStop
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from wire.api import Api, Event
from wire.gemini import generate_content, interactions
from wire.gemini.unfolded import NOT_ON_THE_WIRE, UNFOLDED

CREATED = {"event_type": "interaction.created", "interaction": {"id": "i", "status": "in_progress"}}
EVENTS: dict[str, Any] = interactionsseevent._INTERACTION_SSE_EVENT_VARIANTS
DELTAS: dict[str, Any] = stepdeltadata._STEP_DELTA_DATA_VARIANTS
STEPS: dict[str, Any] = step._STEP_VARIANTS


def fold(api: Api, *payloads: Any) -> dict[str, Any]:
    folder = api.folder()
    for payload in payloads:
        folder.add(Event(json.dumps(payload)))
    response = folder.close().response
    assert isinstance(response, dict)
    return response


def where(response: dict[str, Any], marker: str) -> str:
    """Whether a marker is in the object, only under `_extra`, or nowhere."""
    if marker in json.dumps({key: value for key, value in response.items() if key != "_extra"}):
        return "object"
    return "extra" if marker in json.dumps(response.get("_extra")) else "nowhere"


def wire_names(model: type[BaseModel]) -> dict[str, str]:
    """SDK field name → name in the JSON."""
    return {name: field.alias or to_camel(name) for name, field in model.model_fields.items()}


@pytest.mark.parametrize("name", sorted(wire_names(types.GenerateContentResponse)))
def test_every_field_of_a_response_is_folded_or_never_sent(name: str) -> None:
    if f"GenerateContentResponse.{name}" in NOT_ON_THE_WIRE or name == "candidates":
        return
    found = fold(generate_content.API, {wire_names(types.GenerateContentResponse)[name]: {"m": "marker"}}, {})
    assert where(found, "marker") == "object"


@pytest.mark.parametrize("name", sorted(wire_names(types.Candidate)))
def test_every_field_of_a_candidate_is_folded(name: str) -> None:
    if name == "index":
        return
    value = {"parts": [{"text": "marker"}]} if name == "content" else {"chosenCandidates": ["marker"]}
    candidate = {wire_names(types.Candidate)[name]: value}
    found = fold(generate_content.API, {"candidates": [candidate]}, {"candidates": [{"index": 0}]})
    assert where(found, "marker") == "object"
    assert "_extra" not in found


@pytest.mark.parametrize("name", sorted(wire_names(types.Part)))
def test_every_field_of_a_part_is_folded(name: str) -> None:
    value = "marker" if name in ("text", "thought_signature") else {"name": "marker"}
    part = {"text": "", wire_names(types.Part)[name]: value}
    found = fold(generate_content.API, {"candidates": [{"content": {"parts": [part]}}]})
    assert found["candidates"][0]["content"]["parts"] == [part]


@pytest.mark.parametrize("name", sorted(wire_names(types.FunctionCall)))
def test_every_field_of_a_streamed_function_call_is_folded(name: str) -> None:
    value: Any = {"args": {"k": "marker"}, "partial_args": [{"jsonPath": "$.k", "stringValue": "marker"}]}.get(
        name, "marker"
    )
    if name == "will_continue":
        return  # it tells that pieces follow, and goes when they are one
    pieces: list[Any] = [{"willContinue": True}, {wire_names(types.FunctionCall)[name]: value}]
    parts = [{"functionCall": piece} for piece in pieces]
    assert where(fold(generate_content.API, {"candidates": [{"content": {"parts": parts}}]}), "marker") == "object"


@pytest.mark.parametrize("name", sorted(wire_names(types.PartialArg)))
def test_every_kind_of_partial_argument_is_folded(name: str) -> None:
    if not name.endswith("_value"):
        return  # the path and the flag that more follows
    call = {"name": "f", "partialArgs": [{"jsonPath": "$.marker", wire_names(types.PartialArg)[name]: "x"}]}
    assert (
        where(fold(generate_content.API, {"candidates": [{"content": {"parts": [{"functionCall": call}]}}]}), "marker")
        == "object"
    )


@pytest.mark.parametrize("kind", sorted(DELTAS))
def test_every_field_of_every_step_delta_is_folded(kind: str) -> None:
    for name, field in DELTAS[kind].model_fields.items():
        wire_name = field.alias or name
        if wire_name == "type":
            continue
        value: Any = f"marker-{wire_name}"
        if wire_name == "annotations":
            value = [{"url": value}]
        elif kind == "arguments_delta":
            value = json.dumps(value)
        delta = {"event_type": "step.delta", "index": 0, "delta": {"type": kind, wire_name: value}}
        found = fold(interactions.API, CREATED, {"event_type": "step.start", "index": 0, "step": {"type": "x"}}, delta)
        assert where(found, f"marker-{wire_name}") == "object", wire_name
        assert "_extra" not in found


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_every_step_is_folded_as_it_starts(kind: str) -> None:
    whole = {
        "type": kind,
        **{field.alias or name: f"marker-{name}" for name, field in STEPS[kind].model_fields.items()},
        "extra": 1,
    }
    whole["type"] = kind
    assert fold(interactions.API, CREATED, {"event_type": "step.start", "index": 0, "step": whole})["steps"] == [whole]


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_every_event_type_is_known(kind: str) -> None:
    found = fold(interactions.API, CREATED, {"event_type": kind, "index": 0, "delta": {"type": "text", "text": "x"}})
    assert "unknown_events" not in found.get("_extra", {})
    assert ("errors" in found.get("_extra", {})) is (kind == "error")


def test_the_fields_beside_are_kept_where_the_table_says() -> None:
    places: dict[str, type[BaseModel]] = {"step.delta": stepdelta.StepDelta, "step.stop": StepStop}
    for kind, model in places.items():
        for name in model.model_fields:
            if name in ("delta", "index", "event_type"):
                continue
            event = {"event_type": kind, "index": 0, "delta": {"type": "text", "text": "x"}, name: f"marker-{name}"}
            assert name in UNFOLDED or f"{kind}.{name}" in UNFOLDED
            assert where(fold(interactions.API, CREATED, event), f"marker-{name}") == "extra", name


def test_every_field_of_a_snapshot_is_folded() -> None:
    fields = {name: f"marker-{name}" for name in InteractionSseEventInteraction.model_fields}
    found = fold(interactions.API, {"event_type": "interaction.completed", "interaction": fields})
    assert found == fields


def test_the_tables_name_only_what_exists() -> None:
    assert {name.partition(".")[2] for name in NOT_ON_THE_WIRE} <= set(types.GenerateContentResponse.model_fields)
    assert get_args(stepdelta.StepDelta.model_fields["event_type"].annotation)[0] == "step.delta"


def test_the_sdk_reads_the_folded_response_as_it_reads_an_unstreamed_one() -> None:
    chunks = [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "think", "thought": True}]}}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hel"}]}}]},
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "lo"}]}, "finishReason": "STOP"}],
            "responseId": "r",
        },
    ]
    found = types.GenerateContentResponse.model_validate(fold(generate_content.API, *chunks))
    assert found.text == "Hello"
    assert found.response_id == "r"
    assert found.candidates is not None
    assert found.candidates[0].finish_reason == types.FinishReason.STOP
