"""A damaged record: nothing is deleted, recording goes on, and the chain says what happened."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from recording import damage
from recording.recorder import Recorder
from storage.heads import Head, public_key, read_heads
from storage.journal.files import journal_dir, journal_files
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


def verdict_of(folder: Path, heads: Iterable[Head] = ()) -> Verdict:
    connection = sqlite3.connect(audit_path(folder))
    connection.row_factory = sqlite3.Row
    try:
        return verify(connection, heads)
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


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 1000)


def another_schema(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table row (x)")
    connection.close()


@pytest.mark.parametrize("damage_", [garbage, another_schema])
async def test_a_damaged_journal_file_is_kept_and_the_record_is_not_touched(
    tmp_path: Path, journal: Journal, damage_: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    exchange(journal, 1)
    journal.close()
    record_all(tmp_path)
    boot = journal_dir(tmp_path) / "0199aaaa"
    boot.mkdir()
    (boot / "lock").touch()
    damage_(boot / "000001.sqlite")
    record_all(tmp_path)

    assert [each["seq"] for each in records(tmp_path)] == [1]
    assert [path.name.partition(".corrupt-")[0] for path in corrupt(tmp_path)] == ["journal-0199aaaa-000001.sqlite"]
    assert not boot.exists()
    assert "is damaged, its remaining rows are lost" in caplog.text


async def test_a_journal_file_that_cannot_be_read_now_is_not_given_up(
    tmp_path: Path, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    exchange(journal, 1)
    journal.close()
    (file,) = journal_files(journal.directory)
    away = tmp_path / "away"
    file.rename(away)
    file.mkdir()  # SQLite says what it says where no more files can be opened
    record_all(tmp_path)
    assert (records(tmp_path), file.exists()) == ([], True)
    file.rmdir()
    away.rename(file)
    record_all(tmp_path)

    assert [each["seq"] for each in records(tmp_path)] == [1]
    assert caplog.text.count("cannot be read now, it is tried again") == 1


async def test_an_older_copy_of_the_record_goes_on_after_what_it_lacks(
    tmp_path: Path, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        exchange(journal, number)
    await settle(journal)
    record_all(tmp_path)
    older = audit_path(tmp_path).read_bytes()  # whole: the last to close it folds the log in
    for number in (3, 4, 5):
        exchange(journal, number)
    await settle(journal)
    record_all(tmp_path)
    audit_path(tmp_path).write_bytes(older)
    exchange(journal, 6)
    journal.close()
    record_all(tmp_path)

    assert "ends at seq 2, and a signed head names 5" in caplog.text
    assert [each["seq"] for each in records(tmp_path)][:3] == [1, 2, 6]
    heads, _ = read_heads((tmp_path / "heads.txt").read_text(), public_key(tmp_path))
    verdict = verdict_of(tmp_path, [head for head in heads if head.node == "gw-1"])
    assert verdict.broken is None
    assert "records 3 to 5 are not in this file any more" in verdict.breaks[0]
    record_all(tmp_path)
    assert len(verdict_of(tmp_path).breaks) == 1


async def test_a_line_of_heads_that_nobody_signed_moves_nothing(tmp_path: Path, journal: Journal) -> None:
    exchange(journal)
    await settle(journal)
    record_all(tmp_path)
    with (tmp_path / "heads.txt").open("a") as file:
        file.write(f"sekisho/1 gw-1 {10**30} s1:0 2026-11-24T00:00:00+00:00 AAAA\nsekisho/1 gw-1 ² a b c\n")
    damage_table(tmp_path, "chunk")
    exchange(journal, 2)
    journal.close()
    record_all(tmp_path)

    assert records(tmp_path)[0]["seq"] == 2
