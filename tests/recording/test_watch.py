"""Room, the write-ahead log, clocks: what is said, when, and once."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from recording.recorder import Recorder
from recording.watch import Watch
from storage.journal.writing import Journal
from storage.room import Ballast, DiskRoom
from storage.sqlite.driver import audit_path
from storage.sqlite.verifying import verify
from storage.sqlite.writing import AuditWriter
from tests.cli.records import chat
from tests.recording.test_recorder import BODY, STREAM, closing, intent, journal, new_id, record_all, records
from tests.storage.test_room import Blocks

__all__ = ["journal"]  # the fixture


class Clocks:
    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.monotonic = 1000.0

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING, "recording.watch"):
        yield


def watch(folder: Path, clocks: Clocks, free: list[int] | None = None, ballast: Ballast | None = None) -> Watch:
    rooms = [DiskRoom(folder, statvfs=lambda _: Blocks(100, free[0]))] if free else []
    return Watch(
        folder / "audit.db-wal", lambda: True, rooms, ballast,
        wall=lambda: clocks.wall, monotonic=lambda: clocks.monotonic,
    )  # fmt: skip


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.name == "recording.watch"]
    caplog.clear()
    return found


def test_each_mark_is_said_once_with_what_it_means(
    tmp_path: Path, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    free = [50]
    ballast = Ballast(tmp_path / "ballast", 4096)
    watching = watch(tmp_path, clocks, free, ballast)
    heard = []
    for left in (50, 9, 9, 2, 2, 9, 50):
        free[0] = left
        clocks.run(60)
        watching.look()
        heard.append([line.split("%")[0].split()[-1] for line in said(caplog)])
    assert heard == [[], ["9.0"], [], ["2.0"], [], ["9.0"], ["50.0"]]


def test_ballast_is_taken_again_only_where_there_is_room(tmp_path: Path, clocks: Clocks) -> None:
    free = [9]
    ballast = Ballast(tmp_path / "ballast", 4096)
    watching = watch(tmp_path, clocks, free, ballast)
    watching.look()
    assert not (tmp_path / "ballast").exists()
    free[0] = 50
    clocks.run(60)
    watching.look()
    assert (tmp_path / "ballast").exists()


@pytest.mark.parametrize(("step", "words"), [(-3600.0, "back by 3600.0 s"), (5.0, "forward by 5.0 s"), (0.5, None)])
def test_a_clock_that_is_set_is_said(
    tmp_path: Path, clocks: Clocks, caplog: pytest.LogCaptureFixture, step: float, words: str | None
) -> None:
    watching = watch(tmp_path, clocks)
    watching.look()
    clocks.run(60)
    clocks.wall += step
    watching.look()
    clocks.run(60)
    watching.look()
    assert [words in line if words else line for line in said(caplog)] == ([True] if words else [])


async def test_a_clock_that_goes_back_changes_neither_order_nor_durations_nor_the_chain(
    tmp_path: Path, journal: Journal
) -> None:
    ids = [new_id() for _ in range(4)]
    for number, id_ in enumerate(ids):
        journal.append(id_, intent(number + 1, started_at=1_760_000_000_000_000 - number * 3_600_000_000), BODY)
        journal.append(id_, closing(), STREAM)
    journal.close()
    record_all(tmp_path)
    found = records(tmp_path)
    assert [record["seq"] for record in found] == [1, 2, 3, 4]
    assert [record["id"].replace("-", "") for record in found] == [id_.hex() for id_ in ids]
    assert {record["timing"]["duration_ms"] for record in found} == {5.0}
    connection = sqlite3.connect(audit_path(tmp_path))
    connection.row_factory = sqlite3.Row
    assert verify(connection).broken is None
    connection.close()


def test_a_long_reader_makes_the_log_grow_which_is_said_and_it_shrinks_after(
    tmp_path: Path, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    writer = AuditWriter(audit_path(tmp_path), reader_version=1)
    wal = audit_path(tmp_path).with_name("audit.db-wal")
    watching = Watch(
        wal, writer.empty_log, log_limit=1 << 20, wall=lambda: clocks.wall, monotonic=lambda: clocks.monotonic
    )
    writer.store([chat("first", "x")], [])
    reader = sqlite3.connect(audit_path(tmp_path), isolation_level=None)
    reader.execute("begin")
    assert reader.execute("select count(*) from exchange").fetchone() == (1,)
    for i in range(40):
        writer.store(
            [chat(f"{i} " + "".join(chr(0x4E00 + (i * 577 + j * 31) % 20000) for j in range(20_000)), "x")], []
        )
    assert wal.stat().st_size > 1 << 20
    for _ in range(2):
        clocks.run(60)
        watching.look()
    [held] = said(caplog)
    assert "somebody reads for long" in held
    assert reader.execute("select count(*) from exchange").fetchone() == (1,)  # what it sees stays as it was
    reader.execute("rollback")
    reader.close()
    clocks.run(60)
    watching.look()
    assert wal.stat().st_size == 0
    writer.store([chat("last", "x")], [])
    writer.close()


def test_the_recorder_looks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(tmp_path, rooms=[DiskRoom(tmp_path, statvfs=lambda _: Blocks(100, 5))])
    recorder.step()
    recorder.close()
    assert any("5.0 % free" in line for line in said(caplog))
