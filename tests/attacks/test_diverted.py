"""The same table of inputs, within TLS that is opened on its way: what the gate sees does not depend on the way in."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.attacks.diverting import Diverted, diverted_gateway
from tests.attacks.rows import Row
from tests.attacks.table import ROWS
from tests.attacks.target import tokens_of
from tests.attacks.test_table import GOOD, MEMORY_MB, peak_memory, unrecorded
from tests.attacks.trial import objections, put
from tests.journeys.instance import PROVIDER_KEY
from tests.journeys.provider import Provider


def inside(row: Row) -> Row | None:
    """The row as it is to end within an opened connection. None: paths of other providers lead nowhere here, for a host
    is one provider's. Another host than the connection's is refused, where a reverse listener does not look at it."""
    if isinstance(row.sent, bytes) and b" /anthropic" in row.sent:
        return None
    named = ("host_mismatch", "absolute_form")
    return replace(row, statuses=(400,), codes=named) if row.number in ("E8", "E16") else row


@pytest.mark.timeout(400)
def test_no_row_of_the_table_passes_crashes_hangs_or_leaks(tmp_path: Path, provider: Provider) -> None:
    failed: dict[str, list[str]] = {}
    instance, port = diverted_gateway(tmp_path, provider)
    made = instance.sekisho("ca", "init")
    assert made.returncode == 0, made.stderr
    authority = instance.data_dir / "mitmproxy" / "mitmproxy-ca-cert.pem"
    with instance, Diverted(port, authority) as way:
        tokens = tokens_of(instance)
        assert not list(objections(GOOD, put(way.port, provider, GOOD, tokens, "good"), tokens))
        (worker,) = instance.pids("worker")
        before = peak_memory(worker)
        rows = {number: found for number, row in enumerate(ROWS) if (found := inside(row)) is not None}
        for number, row in rows.items():
            outcome = put(way.port, provider, row, tokens, f"row-{number}")
            if said := list(objections(row, outcome, tokens)):
                failed[row.label] = said
        assert instance.pids("worker") == [worker], "the worker was replaced"
        grown = peak_memory(worker) - before
        log = instance.log.read_text(encoding="utf-8", errors="replace")
        for label, lack in unrecorded(rows, instance).items():
            failed.setdefault(label, []).append(lack)
        disk = instance.on_disk()

    assert not failed, "\n" + "\n".join(f"{label}: {'; '.join(said)}" for label, said in failed.items())
    assert "Traceback" not in log
    assert "crashed" not in log
    assert grown < MEMORY_MB, f"{grown} MB more"
    assert [secret for secret in (PROVIDER_KEY.encode(), *tokens.values()) if secret in disk] == []
