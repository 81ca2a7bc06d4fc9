"""A body that goes on as it comes: nothing of it does that is not on record, or whose caller may not any more."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from addons.uploads import Recording
from exchange.decision import Deny
from storage.journal.rows import RequestPiece
from storage.journal.writing import Journal, JournalUnavailable


class Seen:
    id, began = b"0" * 16, 0.0
    first_byte: float | None = None
    asked: float | None = 1.0


class Gate:
    def __init__(self, denied: Deny | None = None) -> None:
        self.denied, self.times = denied, 0

    async def still(self, *_: object) -> Deny | None:
        self.times += 1
        return self.denied


@pytest.fixture
async def journal(tmp_path: Path) -> Any:
    kept = Journal(tmp_path, durable=True, file_limit=1 << 20, limit=1 << 30)
    yield kept
    kept.close()


type Made = Callable[..., Recording]


def recording(journal: Journal, gate: Gate, seen: Seen, *, waits: bool = True, still: float = 9.0) -> Recording:
    given: Any = seen
    judge: Any = gate
    flow: Any = None
    return Recording(flow, given, gate=judge, journal=journal, waits_for_disk=waits, still=still)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_part_goes_on_once_it_is_on_record(journal: Journal, waits: bool) -> None:
    written: list[tuple[Any, bytes | None]] = []
    commit, append = journal.commit, journal.append

    def committing(exchange: bytes, row: Any, body: bytes | None = None) -> asyncio.Future[None]:
        written.append((row, body))
        return commit(exchange, row, body)

    def appending(exchange: bytes, row: Any, body: bytes | None = None) -> None:
        written.append((row, body))
        append(exchange, row, body)

    journal.commit, journal.append = committing, appending  # type: ignore[method-assign]
    assert await recording(journal, Gate(), Seen(), waits=waits).record(b"part") is None
    ((row, body),) = written
    assert (type(row), body) == (RequestPiece, b"part")


async def test_a_part_that_the_disk_refuses_goes_nowhere(journal: Journal) -> None:
    def full(exchange: bytes, row: Any, body: bytes | None = None) -> asyncio.Future[None]:
        late: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        late.set_exception(JournalUnavailable("full"))
        return late

    journal.commit = full  # type: ignore[method-assign]
    assert await recording(journal, Gate(), Seen()).record(b"part") == "audit_unavailable"


async def test_who_calls_is_proven_again_now_and_then(journal: Journal) -> None:
    gate = Gate()
    long = recording(journal, gate, Seen(), still=0.05)
    assert [await long.record(b"a"), await long.record(b"b")] == [None, None]
    assert gate.times == 0
    await asyncio.sleep(0.1)
    assert [await long.record(b"c"), await long.record(b"d")] == [None, None]
    assert gate.times == 1
    await asyncio.sleep(0.1)
    gate.denied = Deny("invalid_token")
    assert await long.record(b"e") == "invalid_token"


@pytest.mark.parametrize("begun", [True, False])
async def test_the_time_to_the_first_byte_counts_from_the_last_of_the_request(journal: Journal, begun: bool) -> None:
    seen = Seen()
    seen.first_byte = 2.0 if begun else None
    recording(journal, Gate(), seen).ended()
    assert (seen.asked == 1.0) is begun
