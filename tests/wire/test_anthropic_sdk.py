"""The official SDK's own types and its own accumulator, held against the folder."""

import json
from typing import Annotated, Any, get_args, get_origin

import httpx2
import pytest
from anthropic.lib.streaming._beta_messages import accumulate_event
from anthropic.types import ContentBlock, RawContentBlockDelta, RawMessageStreamEvent
from anthropic.types.beta import BetaContentBlock, BetaMessage, BetaRawContentBlockDelta, BetaRawMessageStreamEvent
from pydantic import BaseModel, TypeAdapter

from wire.anthropic import messages
from wire.anthropic.unfolded import UNFOLDED
from wire.api import Event

START = {
    "type": "message_start",
    "message": {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}


def arms(union: Any) -> tuple[type[BaseModel], ...]:
    """The classes of a union, annotated or not."""
    return arms(get_args(union)[0]) if get_origin(union) is Annotated else get_args(union)


def tag(model: type[BaseModel]) -> str:
    return str(get_args(model.model_fields["type"].annotation)[0])


def classes(*unions: Any) -> list[Any]:
    return [pytest.param(model, id=model.__name__) for union in unions for model in arms(union)]


def fold(*payloads: dict[str, Any]) -> dict[str, Any]:
    folder = messages.API.folder()
    for payload in payloads:
        folder.add(Event(json.dumps(payload)))
    response = folder.close().response
    assert isinstance(response, dict)
    return response


def where(response: dict[str, Any], marker: str) -> str:
    """Whether a marker is in the message, only under `_extra`, or nowhere."""
    extra = response.get("_extra")
    if marker in json.dumps({key: value for key, value in response.items() if key != "_extra"}):
        return "message"
    return "extra" if marker in json.dumps(extra) else "nowhere"


@pytest.mark.parametrize("model", classes(RawContentBlockDelta, BetaRawContentBlockDelta))
def test_every_field_of_every_delta_type_is_folded_or_named(model: type[BaseModel]) -> None:
    kind = tag(model)
    for field in model.model_fields:
        if field == "type":
            continue
        marker = f"marker-{field}"
        value: Any = {"cited_text": marker} if field == "citation" else marker
        value = json.dumps(marker) if field == "partial_json" else value
        event = {"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: value}}
        expected = "extra" if f"{kind}.{field}" in UNFOLDED else "message"
        assert where(fold(START, event), marker) == expected, field


@pytest.mark.parametrize("model", classes(ContentBlock, BetaContentBlock))
def test_every_field_of_every_content_block_is_folded(model: type[BaseModel]) -> None:
    fields = {field: f"marker-{field}" for field in model.model_fields if field != "type"}
    block = {"type": tag(model), **fields, **({"to": {"model": "marker-to"}} if "to" in fields else {})}
    found = fold(START, {"type": "content_block_start", "index": 0, "content_block": block})
    assert found["content"] == [block]
    assert "_extra" not in found


@pytest.mark.parametrize("model", classes(RawMessageStreamEvent, BetaRawMessageStreamEvent))
def test_every_field_of_every_event_type_is_folded_or_named(model: type[BaseModel]) -> None:
    kind = tag(model)
    known = {"type", "index", "delta", "content_block", "message", "usage"}
    others = [field for field in model.model_fields if field not in known]
    place = {"index": 0} if "index" in model.model_fields else {}
    found = fold(START, {"type": kind, **place, **{field: f"marker-{field}" for field in others}})
    if kind in UNFOLDED:
        assert not others
        assert "_extra" not in found
    for field in others:
        assert where(found, f"marker-{field}") == "message", field


def test_every_field_of_a_message_delta_and_of_its_usage_is_folded() -> None:
    event = next(model for model in arms(BetaRawMessageStreamEvent) if tag(model) == "message_delta")
    for part in ("delta", "usage"):
        model = event.model_fields[part].annotation
        assert model is not None
        for field in model.model_fields:
            found = fold(START, {"type": "message_delta", part: {field: f"marker-{field}"}})
            assert where(found, f"marker-{field}") == "message", field


def test_the_named_events_without_content_are_kept_where_the_table_says() -> None:
    assert "_extra" not in fold(START, {"type": "ping"})
    assert fold(START, {"type": "error", "error": {"type": "x"}})["_extra"]["errors"]


STREAMS: dict[str, list[dict[str, Any]]] = {
    "text": [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    ],
    "thinking": [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
    ],
    "cut tool": [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "t", "name": "n", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '{"a": [1, '},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"b": "x'}},
    ],
    "mcp tool": [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "mcp_tool_use", "id": "t", "name": "n", "server_name": "s", "input": {}},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'}},
    ],
    "compaction": [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "compaction", "content": None}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": "short"}},
    ],
}


@pytest.mark.parametrize("name", STREAMS)
def test_where_the_official_sdk_is_right_the_message_is_the_same(name: str) -> None:
    events = [
        START,
        *STREAMS[name],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]
    adapter: TypeAdapter[Any] = TypeAdapter(BetaRawMessageStreamEvent)
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in events:
        if event["type"] != "content_block_stop":
            snapshot = accumulate_event(
                event=adapter.validate_python(event),
                current_snapshot=snapshot,
                json_bufs=buffers,
                request_headers=httpx2.Headers(),
            )
    theirs = BetaMessage.model_validate(snapshot.to_dict()).model_dump(mode="json", exclude_none=True)
    ours = fold(*events)
    assert BetaMessage.model_validate(without_private(ours)).model_dump(mode="json", exclude_none=True) == theirs


def without_private(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_private(each) for key, each in value.items() if not key.startswith("_")}
    return [without_private(each) for each in value] if isinstance(value, list) else value
