"""Every row against a running gateway, on both lanes: nothing passes, crashes, hangs or leaks, and it is on record."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.rows import Row, post
from tests.attacks.table import ROWS
from tests.attacks.target import gateway, tokens_of
from tests.attacks.trial import objections, put
from tests.journeys.instance import PROVIDER_KEY, Instance
from tests.journeys.provider import Provider

MEMORY_MB = 160
"""How much more the worker may hold at its worst than before: 96 MB of bombs and 16 MB of endless bodies are sent."""


def test_the_table_names_each_row_once() -> None:
    labels = [row.label for row in ROWS]

    assert sorted(labels) == sorted(set(labels))


@pytest.mark.timeout(300)
def test_no_row_of_the_table_passes_crashes_hangs_or_leaks(tmp_path: Path, provider: Provider, lane: str) -> None:
    failed: dict[str, list[str]] = {}
    with gateway(tmp_path, provider, lane) as instance:
        tokens = tokens_of(instance)
        assert not list(objections(GOOD, put(instance.port, provider, GOOD, tokens, "good"), tokens))
        (worker,) = instance.pids("worker")
        before = peak_memory(worker)
        for number, row in enumerate(ROWS):
            outcome = put(instance.port, provider, row, tokens, f"row-{number}")
            if said := list(objections(row, outcome, tokens)):
                failed[row.label] = said
        assert not list(objections(GOOD, put(instance.port, provider, GOOD, tokens, "good"), tokens)), "still serving"
        assert instance.pids("worker") == [worker], "the worker was replaced"
        grown = peak_memory(worker) - before
        for label, lack in unrecorded(dict(enumerate(ROWS)), instance).items():
            failed.setdefault(label, []).append(lack)
        log = instance.log.read_text(encoding="utf-8", errors="replace")
        took = instance.stop()
        disk = instance.on_disk()

    assert not failed, "\n" + "\n".join(f"{label}: {'; '.join(said)}" for label, said in failed.items())
    assert "Traceback" not in log
    assert "crashed" not in log
    assert grown < MEMORY_MB, f"{grown} MB more"
    assert took < 15
    secrets = (PROVIDER_KEY.encode(), *tokens.values(), b"cookie-canary", b"sk-stray-canary", b"cHJveHktY2FuYXJ5")
    assert [secret for secret in secrets if secret in disk] == []


GOOD = Row("", "good", post(), (200,))


def peak_memory(pid: int) -> int:
    """MB that the process has held at its worst (VmHWM, proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) >> 10


def unrecorded(rows: Mapping[int, Row], instance: Instance) -> dict[str, str]:
    """By label: what the export lacks or says wrongly of a row whose head could be read. `rows`: by their marks."""
    owed = {f"row-{number}": row for number, row in rows.items() if row.recorded}
    deadline = time.monotonic() + 15
    records: dict[str, dict[str, Any]] = {}
    while owed.keys() - records.keys() and time.monotonic() < deadline:
        time.sleep(0.2)
        # A row may bring a user agent of its own; it stands behind the mark.
        records = {str(record["client"]["user_agent"]).split(",")[0]: record for record in instance.records()}
    return {row.label: said for mark, row in owed.items() if (said := wrong(row, records.get(mark)))}


def wrong(row: Row, record: dict[str, Any] | None) -> str | None:
    if record is None:
        return "it is not in the export"
    decision, status = record["decision"], record["status"]
    if status not in row.statuses:
        return f"the export says {status}"
    if status == 200:
        return None if decision["outcome"] == "allow" else "the export says it was refused"
    if record["end_state"] != "refused" or decision["outcome"] != "deny" or record["response"] is not None:
        return f"the export does not call it a refusal: {record['end_state']}, {decision}"
    if row.codes and decision["code"] not in row.codes:
        return f"the export says {decision['code']}"
    return None
