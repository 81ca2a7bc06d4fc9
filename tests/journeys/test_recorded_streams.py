"""Recorded streams through the real proxy: the caller's bytes are untouched, and the record holds the same object."""

import gzip
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.journeys.instance import Instance
from tests.journeys.provider import Answer, Provider
from tests.wire.test_recorded_streams import FOLDER, PATHS, body, compare, read, rewrites

PREFIXED = ("openai.", "anthropic.", "gemini.generate")
EVERY = 9  # of which streams the rewrites are sent too


def variants() -> Iterator[tuple[dict[str, Any], bytes, str | None]]:
    """(row, body, content coding)"""
    listed = map(json.loads, (FOLDER / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
    rows = [row for row in listed if row["api"].startswith(PREFIXED) and row["api"] in PATHS]
    for i, row in enumerate(rows):
        raw = body(row)
        yield row, raw, None
        if i % EVERY == 0 and raw.lstrip()[:1] in (b"d", b"e", b":"):
            for written in rewrites(raw).values():
                yield row, written, None
            yield row, gzip.compress(raw, mtime=0), "gzip"
            yield row, zstandard.compress(raw), "zstd"


@pytest.mark.timeout(300)
def test_every_recorded_stream_passes_untouched_and_becomes_its_object(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    if not (FOLDER / "manifest.jsonl").is_file():
        pytest.skip("the folder of recorded streams is not here")
    url = provider.url
    providers = ", ".join(f"{name}: {{upstream: '{url}'}}" for name in ("openai", "anthropic", "gemini"))
    more = f"providers: {{{providers}}}\n"
    sent = list(variants())
    with Instance(tmp_path, url, lane=lane, more=more) as instance:
        for i, (row, raw, coding) in enumerate(sent):
            status = (row.get("http") or {}).get("status") or 200
            fields: tuple[tuple[str, str], ...] = (("content-type", "text/event-stream"), ("x-request-id", f"n{i}"))
            fields += (("content-encoding", coding),) if coding else ()
            cuts = [raw[j : j + 700] for j in range(0, len(raw), 700)]
            provider.answer = Answer(chunks=cuts, status=status, fields=fields)
            assert post(instance, row) == raw, row["name"]
        records = {r["upstream_request_id"]: r for r in instance.recorded(len(sent), within=20)}

    wrong = []
    for i, (row, _, _) in enumerate(sent):
        expected = read(row, [body(row)]).response
        if diff := compare().diff(expected_core(row, expected), expected_core(row, records[f"n{i}"]["response"])):
            wrong.append((row["name"], diff[:3]))
    assert wrong == []


def expected_core(row: dict[str, Any], response: Any) -> Any:
    return compare().core(row["api"], response)


def post(instance: Instance, row: dict[str, Any]) -> bytes:
    dialect, path = PATHS[row["api"]]
    prefix = "" if dialect == "openai" else f"/{dialect}"
    asked = json.dumps({"model": row.get("model") or "m", "stream": True, "messages": []}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=20)
    connection.request("POST", prefix + path, asked, {"content-type": "application/json"})
    got = connection.getresponse().read()
    connection.close()
    return got
