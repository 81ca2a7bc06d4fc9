"""The recorded streams of Anthropic, Gemini, Bedrock, Ollama and Cohere, where that folder is present.

They belong to the public test suites they were taken from and are only read, never copied here. Each is folded whole,
byte by byte and in random cuts: the same object each time, and the one that is expected.
"""

import base64
import importlib.util
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from exchange.reply import Reply
from wire.anthropic import messages
from wire.api import Api
from wire.bedrock import converse, invoke
from wire.bedrock.event_stream import FrameReader
from wire.cohere import chat as cohere_chat
from wire.gemini import generate_content, interactions
from wire.json_array import JsonArray
from wire.ndjson import JsonLines
from wire.ollama import chat as ollama_chat
from wire.sse import EventStream

FOLDER = Path(os.environ.get("SHARED_STREAMS", Path(__file__).parents[3] / "shared" / "streams"))
APIS: dict[str, Api] = {
    "anthropic.messages": messages.API,
    "gemini.generate": generate_content.API,
    "gemini.interactions": interactions.API,
    "cohere.v2": cohere_chat.API,
    "ollama": ollama_chat.API,
    "bedrock.eventstream": converse.API,
}


def rows() -> list[Any]:
    if not (FOLDER / "manifest.jsonl").is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason="the folder of recorded streams is not here"))]
    listed = map(json.loads, (FOLDER / "manifest.jsonl").read_text().splitlines())
    return [pytest.param(row, id=row["name"]) for row in listed if row["api"] in APIS]


def compare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare", FOLDER / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def body(row: dict[str, Any]) -> bytes:
    raw = (FOLDER / row["file"]).read_bytes()
    # one recorder kept the binary frames as base64
    return base64.b64decode(raw) if row["api"] == "bedrock.eventstream" and raw.startswith(b"AAAA") else raw


def fold(api: str, pieces: Iterator[bytes] | list[bytes], first: bytes) -> Reply:
    reader: EventStream | JsonLines | JsonArray | FrameReader = EventStream()
    row = APIS[api]
    if api == "ollama":
        reader = JsonLines()
    elif api == "bedrock.eventstream":
        reader = FrameReader()
        row = invoke.API if b"\x05chunk" in first[:100] else converse.API
    elif first[:1] == b"[":
        reader = JsonArray()
    folder = row.folder()
    for piece in pieces:
        for event in reader.feed(piece):
            folder.add(event)
    for event in reader.close():
        folder.add(event)
    return folder.close()


def cuts(raw: bytes, seed: int) -> Iterator[bytes]:
    chance, at = random.Random(seed), 0
    while at < len(raw):
        size = chance.choice((1, 2, 3, 7, 40, 200, 1400, 9000))
        yield raw[at : at + size]
        at += size


@pytest.mark.parametrize("row", rows())
def test_a_recorded_stream_becomes_the_expected_object_however_it_is_cut(row: dict[str, Any]) -> None:
    raw, api = body(row), row["api"]
    whole = fold(api, [raw], raw)
    assert fold(api, (raw[at : at + 1] for at in range(len(raw))), raw) == whole
    for seed in range(3):
        assert fold(api, cuts(raw, seed), raw) == whole
    assert whole.ended in (("failed",) if row.get("state") == "http_error" else ("terminal", "settled"))
    if "expected" not in row:
        assert whole.response
        return
    rules, expected, found = compare(), json.loads((FOLDER / row["expected"]).read_text()), whole.response
    if api == "gemini.interactions" and isinstance(found, dict):
        # the expected object keeps each step's deltas aside, unfolded; an interaction has `steps` of its own
        steps = found.pop("steps")
        assert isinstance(steps, list)
        assert [step["type"] for step in expected["_steps"]] == [
            step["type"] for step in steps if isinstance(step, dict)
        ]
    assert rules.diff(rules.core(api, expected), rules.core(api, found)) == []


@pytest.mark.parametrize("row", rows())
def test_a_recorded_stream_that_breaks_off_is_never_taken_for_whole(row: dict[str, Any]) -> None:
    raw, api = body(row), row["api"]
    whole = fold(api, [raw], raw)
    if whole.ended != "terminal":
        pytest.skip("it has no terminal event to lose")
    half = fold(api, [raw[: len(raw) // 2]], raw)
    assert half.ended in ("open", "settled")
    assert half.finish_reasons in ((), (None,))
