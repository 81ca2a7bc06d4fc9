"""Every recorded stream, where that folder is present, through the whole of wire/: routed, decoded, framed, folded.

They belong to the public test suites they were taken from and are only read, never copied here. However a body is cut,
rewritten within the rules of its framing, or compressed, the object is the same, and it is the expected one.
"""

import base64
import gzip
import importlib.util
import json
import os
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import brotli
import pytest
import zstandard

from exchange.reply import Reply
from tests.wire.cuts import random_cuts
from wire.api import Dialect
from wire.replies import reply_reader
from wire.routes import route

FOLDER = Path(os.environ.get("SHARED_STREAMS", Path(__file__).parents[3] / "shared" / "streams"))
PATHS: dict[str, tuple[Dialect, str]] = {
    "openai.chat": ("openai", "/v1/chat/completions"),
    "openai.responses": ("openai", "/v1/responses"),
    "openai.completions": ("openai", "/v1/completions"),
    "openai.image": ("openai", "/v1/images/generations"),
    "openai.transcription": ("openai", "/v1/audio/transcriptions"),
    "openai.assistants": ("openai", "/v1/threads/runs"),
    "anthropic.messages": ("anthropic", "/v1/messages"),
    "gemini.generate": ("gemini", "/v1beta/models/gemini:streamGenerateContent"),
    "gemini.interactions": ("gemini", "/v1beta/interactions"),
    "cohere.v2": ("cohere", "/v2/chat"),
    "ollama": ("ollama", "/api/chat"),
    "bedrock.eventstream": ("bedrock", "/model/some/converse-stream"),
    "http.error": ("openai", "/v1/chat/completions"),
}
ENDS = {
    "complete": ("terminal", "settled"),
    "upstream_error": ("failed",),
    "http_error": ("terminal", "failed"),
    "no_terminal": ("open", "terminal"),  # by the letter; here a last event counts when its payload is whole
}


def rows() -> list[Any]:
    if not (FOLDER / "manifest.jsonl").is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason="the folder of recorded streams is not here"))]
    listed = map(json.loads, (FOLDER / "manifest.jsonl").read_text().splitlines())
    return [pytest.param(row, id=row["name"]) for row in listed if row["api"] in PATHS]


@cache
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


def read(row: dict[str, Any], pieces: Iterable[bytes], encoding: str | None = None) -> Reply:
    dialect, path = PATHS[row["api"]]
    if row["api"] == "ollama" and "generate" in row["name"]:
        path = "/api/generate"
    http = row.get("http") or {}
    reader = reply_reader(
        route(dialect, "POST", path),
        status=http.get("status") or 200,
        content_type=(http.get("headers") or {}).get("content-type"),
        content_encoding=encoding,
        stream_asked=True,
    )
    for piece in pieces:
        reader.feed(piece)
    return reader.close()


def core(row: dict[str, Any], reply: Reply) -> Any:
    found = compare().core(row["api"], reply.response)
    if row["api"] == "gemini.interactions":
        found.pop("steps")  # the expected object keeps each step's deltas aside, unfolded
    return found


def rewrites(raw: bytes) -> dict[str, bytes]:
    """The same stream of events, written differently (WHATWG HTML §9.2.5)."""
    lines = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    commented = b": keep-alive\n\n" + lines.replace(b"\ndata:", b"\n: between\nid: 7\nretry: 10\ndata:")
    return {
        "LF": lines,
        "CRLF": lines.replace(b"\n", b"\r\n"),
        "CR": lines.replace(b"\n", b"\r"),
        "BOM": b"\xef\xbb\xbf" + lines,
        "comments": commented,
        "no space": lines.replace(b"\ndata: ", b"\ndata:"),
        "multi-line data": b"\n".join(_spread(line) for line in lines.split(b"\n")),
    }


def _spread(line: bytes) -> bytes:
    """One `data:` line as several, where its payload is JSON that may be broken between tokens."""
    value = line.removeprefix(b"data:").strip()
    if not line.startswith(b"data:") or value[:1] not in (b"{", b"["):
        return line
    try:
        spread = json.dumps(json.loads(value), indent=1).encode()
    except ValueError:
        return line
    return b"\n".join(b"data: " + each for each in spread.split(b"\n"))


COMPRESSED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("row", rows())
def test_a_recorded_stream_becomes_the_expected_object(row: dict[str, Any]) -> None:
    reply = read(row, [body(row)])
    if "expected" in row and row["api"] != "openai.assistants":  # nobody builds a run: its expected file holds an error
        expected = json.loads((FOLDER / row["expected"]).read_text())
        assert compare().diff(core(row, reply), compare().core(row["api"], expected)) == []
    if row.get("state") in ENDS:
        assert reply.ended in ENDS[row["state"]]


@pytest.mark.parametrize("row", rows())
def test_the_object_does_not_depend_on_where_the_network_cut(row: dict[str, Any]) -> None:
    raw = body(row)
    whole = read(row, [raw])
    assert read(row, (raw[i : i + 1] for i in range(len(raw)))) == whole
    for seed in range(3):
        assert read(row, random_cuts(raw, seed)) == whole


@pytest.mark.parametrize("row", [each for each in rows() if not each.id or "sse" in str(each.values[0].get("file"))])
def test_the_object_does_not_depend_on_how_the_events_are_written(row: dict[str, Any]) -> None:
    raw = body(row)
    if raw.lstrip()[:1] in (b"{", b"["):
        pytest.skip("not server-sent events")
    whole = read(row, [raw])
    for name, rewritten in rewrites(raw).items():
        for pieces in ([rewritten], random_cuts(rewritten, 7)):
            reply = read(row, pieces)
            assert core(row, reply) == core(row, whole), name
            assert (reply.ended, reply.usage, reply.texts) == (whole.ended, whole.usage, whole.texts), name


@pytest.mark.parametrize("row", rows())
@pytest.mark.parametrize("coding", COMPRESSED)
def test_the_object_does_not_depend_on_its_content_coding(row: dict[str, Any], coding: str) -> None:
    raw = body(row)
    whole = read(row, [raw])
    packed = COMPRESSED[coding](raw)
    assert read(row, [packed], coding) == whole
    assert read(row, random_cuts(packed, 11), coding) == whole


@pytest.mark.parametrize("file", sorted((FOLDER / "wire-raw").glob("*.gzip")) or [None])
def test_a_body_recorded_compressed_gives_what_it_gives_plain(file: Path | None) -> None:
    if file is None:
        pytest.skip("the folder of recorded streams is not here")
    row = {"api": "anthropic.messages", "name": file.name, "http": {"headers": {"content-type": "text/event-stream"}}}
    reply = read(row, random_cuts(file.read_bytes(), 3), "gzip")
    assert reply.ended == "terminal"
    assert reply == read(row, [gzip.decompress(file.read_bytes())])
