"""A damaged record: nothing is deleted, recording goes on, and the chain says what happened."""

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from recording import damage
from recording.recorder import Recorder
from storage.journal.writing import Journal
from storage.sqlite.driver import audit_path
from storage.sqlite.verifying import Verdict, verify
from storage.upkeep.damage import damage_of, name_aside, put_aside
from tests.recording.test_recorder import exchange, journal, record_all, records, settle

__all__ = ["journal"]  # the fixture


def overwrite(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


def damage_table(folder: Path, table: str) -> None:
    """Overwrite the root page of a table, as a failing disk does."""
    path = audit_path(folder)
    connection = sqlite3.connect(path)
    connection.execute("pragma wal_checkpoint(truncate)")
    (page,) = connection.execute("select rootpage from sqlite_schema where name = ?", (table,)).fetchone()
    connection.close()
    overwrite(path, page)


def verdict_of(folder: Path) -> Verdict:
    connection = sqlite3.connect(audit_path(folder))
    connection.row_factory = sqlite3.Row
    try:
        return verify(connection)
    finally:
        connection.close()


def corrupt(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if ".corrupt-" in path.name and not path.name.endswith(("-wal", "-shm"))]


async def test_a_damaged_file_is_put_aside_at_the_start_and_the_record_goes_on(
    tmp_path: Path, journal: Journal
) -> None:
    for number in range(1, 6):
        exchange(journal, number)
    await settle(journal)
    record_all(tmp_path)
    damage_table(tmp_path, "chunk")
    exchange(journal, 6)
    journal.close()
    record_all(tmp_path)

    [aside] = corrupt(tmp_path)
    assert damage_of(aside) is not None
    found = records(tmp_path)
    assert found[0]["seq"] == 6  # numbers go on
    assert found[0]["request"]["model"] == "gpt-4o"
    verdict = verdict_of(tmp_path)
    assert (verdict.broken, verdict.first_seq) == (None, 6)
    [said] = verdict.breaks
    assert aside.name in said
    assert "records 1 to 5 are not in this file any more" in said


async def test_holds_stay_in_force_whatever_becomes_of_the_file(tmp_path: Path, journal: Journal) -> None:
    exchange(journal)
    await settle(journal)
    record_all(tmp_path)
    connection = sqlite3.connect(audit_path(tmp_path))
    connection.execute("insert into hold (person, reason, actor, at) values ('ann@example.com', 'case 7', 'lawyer', 1)")
    connection.commit()
    connection.close()
    damage_table(tmp_path, "chunk")
    record_all(tmp_path)
    journal.close()

    assert len(corrupt(tmp_path)) == 1
    connection = sqlite3.connect(audit_path(tmp_path))
    assert connection.execute("select person, reason from hold").fetchall() == [("ann@example.com", "case 7")]
    connection.close()


@pytest.mark.parametrize("also", ["tombstone", "person", "journal_cursor"])
async def test_damage_that_shows_while_recording_costs_no_exchange(tmp_path: Path, journal: Journal, also: str) -> None:
    for number in range(1, 4):
        exchange(journal, number)
    await settle(journal)
    recorder = Recorder(tmp_path)
    while recorder.step():
        pass
    damage_table(tmp_path, also)
    damage_table(tmp_path, "exchange")
    recorder._writer._connection.execute("pragma cache_size=0")  # what it remembers of the file is gone
    for number in range(4, 7):
        exchange(journal, number)
    await settle(journal)
    while recorder.step():
        pass
    recorder.close()
    journal.close()

    assert len(corrupt(tmp_path)) == 1
    assert {record["seq"] for record in records(tmp_path)} >= {4, 5, 6}
    verdict = verdict_of(tmp_path)
    assert verdict.broken is None
    assert len(verdict.breaks) == 1


async def test_the_daily_look_finds_damage_and_recording_does_not_wait_for_it(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange(journal)
    await settle(journal)
    recorder = Recorder(tmp_path)
    while recorder.step():
        pass
    damage_table(tmp_path, "body")
    recorder._look = damage.DailyLook(audit_path(tmp_path), every=0.0)
    deadline = time.monotonic() + 10
    while not corrupt(tmp_path):
        recorder.step()
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    recorder._look = damage.DailyLook(audit_path(tmp_path))
    while recorder.step():
        pass
    recorder.close()
    journal.close()

    assert verdict_of(tmp_path).broken is None
    assert len(verdict_of(tmp_path).breaks) == 1


def test_a_look_at_the_start_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(tmp_path / "audit.db")
    connection.execute("create table t (x)")
    connection.executemany("insert into t values (?)", [("x" * 3000,) for _ in range(20_000)])
    connection.commit()
    connection.close()
    overwrite(tmp_path / "audit.db", 15_000)
    assert damage_of(tmp_path / "audit.db") is not None
    monkeypatch.setattr("storage.upkeep.damage._STEPS", 1)
    assert damage_of(tmp_path / "audit.db", within=0.0) is None


def test_two_damaged_files_have_two_names(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        audit_path(tmp_path).write_bytes(b"x")
        audit_path(tmp_path).with_name("audit.db-wal").write_bytes(b"y")
        aside = name_aside(audit_path(tmp_path), 0.0)
        put_aside(audit_path(tmp_path), aside)
        names.append(aside.name)
    stamp = "audit.db.corrupt-19700101T000000Z"
    assert names == [stamp, f"{stamp}-2", f"{stamp}-3"]
    assert (tmp_path / f"{stamp}-3-wal").read_bytes() == b"y"
