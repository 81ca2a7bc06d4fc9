"""The journal goes on on a second disk, and what is there comes into the record."""

import asyncio
import logging
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from recording.recorder import Recorder
from storage.journal import disk
from storage.journal.files import Entry, journal_files, spill_path
from storage.journal.rows import Arrivals, Piece
from storage.journal.writing import Journal, JournalUnavailable
from storage.room import Ballast, DiskRoom
from storage.sealing.journal import JournalSealer
from tests.recording.test_recorder import BODY, STREAM, closing, intent, new_id, record_all, records
from tests.storage.test_room import Blocks


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_PAUSE", 0.2)


class Disks:
    """Two disks whose free room is ours to say."""

    def __init__(self, folder: Path) -> None:
        self.free = {"data": 50, "other": 50}
        self.data, self.other = folder / "data", folder / "other"
        self.data.mkdir()
        self.other.mkdir()

    @property
    def rooms(self) -> list[DiskRoom]:
        def statvfs(path: Path) -> Blocks:
            return Blocks(100, self.free[path.name])

        return [DiskRoom(path, statvfs=statvfs) for path in (self.data, self.other)]

    def journal(self, **more: Any) -> Journal:
        return Journal(
            self.data,
            durable=True,
            file_limit=1 << 20,
            limit=1 << 30,
            rooms=self.rooms,
            spill_dir=self.other,
            **more,
        )


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path)


def spoil(journal: Journal) -> None:
    """The file that is open takes nothing any more, as on a disk that went read-only."""
    assert journal.disk._connection is not None
    journal.disk._connection.execute("pragma query_only=on")


def where(journal: Journal) -> list[str]:
    return [path.parent.name for path in journal_files(journal.directory)]


async def test_an_exchange_goes_on_on_the_second_disk_and_is_recorded_whole(disks: Disks) -> None:
    journal = disks.journal()
    id_ = new_id()
    await journal.commit(id_, intent(), BODY)
    spoil(journal)
    journal.append(id_, closing(), STREAM)
    other = new_id()
    await journal.commit(other, intent(2), BODY)  # nobody is refused meanwhile
    journal.append(other, closing(), STREAM)
    await asyncio.sleep(0.1)
    assert where(journal) == [journal.boot, "spill"]
    assert len(list((disks.other / journal.boot).glob("*.sqlite"))) == 1
    journal.close()
    record_all(disks.data)

    assert [record["end_state"] for record in records(disks.data)] == ["complete", "complete"]
    assert list(disks.other.iterdir()) == []
    assert not journal.directory.exists()


async def test_it_comes_back_when_the_first_disk_takes_rows_again(disks: Disks) -> None:
    journal = disks.journal()
    await journal.commit(new_id(), intent(), BODY)
    spoil(journal)
    await journal.commit(new_id(), intent(2), BODY)
    await asyncio.sleep(1.0)
    await journal.commit(new_id(), intent(3), BODY)
    assert where(journal) == [journal.boot, "spill", journal.boot]
    names = [path.name for path in journal_files(journal.directory)]
    assert names == sorted(set(names))
    journal.close()
    record_all(disks.data)
    assert len(records(disks.data)) == 3


async def test_below_the_mark_it_goes_to_the_disk_that_has_room_and_refuses_where_none_has(disks: Disks) -> None:
    journal = disks.journal()
    disks.free["data"] = 2
    await asyncio.sleep(0.6)
    await journal.commit(new_id(), intent(), BODY)
    assert where(journal)[-1] == "spill"
    disks.free["other"] = 1
    await asyncio.sleep(0.6)
    with pytest.raises(JournalUnavailable, match="nearly full"):
        await journal.commit(new_id(), intent(), BODY)
    running = new_id()
    journal.append(running, closing(), STREAM)  # what runs is recorded to its end
    disks.free["data"] = 50
    await asyncio.sleep(0.6)
    await journal.commit(new_id(), intent(), BODY)
    assert where(journal)[-1] == journal.boot
    journal.close()


async def test_without_a_second_disk_the_mark_refuses_and_rows_are_still_written(tmp_path: Path) -> None:
    room = DiskRoom(tmp_path, statvfs=lambda _: Blocks(100, 2))
    journal = Journal(tmp_path, durable=True, file_limit=1 << 20, limit=1 << 30, rooms=[room])
    with pytest.raises(JournalUnavailable, match="nearly full"):
        await journal.commit(new_id(), intent(), BODY)
    journal.append(new_id(), closing(), STREAM)
    journal.close()
    [file] = journal_files(journal.directory)
    connection = sqlite3.connect(file)
    assert connection.execute("select count(*) from row").fetchone() == (1,)
    connection.close()


async def test_both_disks_refuse_and_nothing_is_lost(disks: Disks) -> None:
    journal = disks.journal()
    await journal.commit(new_id(), intent(), BODY)
    spoil(journal)
    disks.other.rename(disks.other.with_name("away"))
    with pytest.raises(JournalUnavailable):
        await journal.commit(new_id(), intent(2), BODY)
    owed = new_id()
    journal.append(owed, Piece(None, Arrivals([], [])), b"owed")
    await asyncio.sleep(0.3)
    disks.other.with_name("away").rename(disks.other)
    await asyncio.sleep(1.2)
    await journal.commit(new_id(), intent(3), BODY)
    journal.close()
    record_all(disks.data)
    assert len(records(disks.data)) == 3  # the first, what was owed, the third


async def test_rows_on_a_disk_that_is_away_are_waited_for(disks: Disks, caplog: pytest.LogCaptureFixture) -> None:
    journal = disks.journal()
    id_ = new_id()
    await journal.commit(id_, intent(), BODY)
    spoil(journal)
    journal.append(id_, closing(), STREAM)
    journal.close()
    disks.other.rename(disks.other.with_name("away"))
    with caplog.at_level(logging.ERROR):
        record_all(disks.data)
    assert records(disks.data) == []
    assert (
        sum("second disk" in record.getMessage() and "not there" in record.getMessage() for record in caplog.records)
        == 1
    )
    disks.other.with_name("away").rename(disks.other)
    record_all(disks.data)
    [record] = records(disks.data)
    assert record["end_state"] == "complete"


async def test_a_file_that_cannot_be_begun_leaves_nothing_behind(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = disks.journal()
    named: list[str] = []

    class Sealer:
        """Binds rows to the name of their file, as the real one does."""

        def sealed(self, rows: list[Entry], file: str, _first: int) -> list[Entry]:
            named.append(file)
            return rows

    journal.disk._sealer = cast("JournalSealer", Sealer())
    await journal.commit(new_id(), intent(), BODY)

    monkeypatch.setattr(disk, "SCHEMA", "create table nonsense")
    journal.disk._rotate()
    assert len(journal_files(journal.directory)) == 1
    monkeypatch.undo()
    await journal.commit(new_id(), intent(2), BODY)
    assert set(named) == {path.name for path in journal_files(journal.directory)}
    journal.close()
    record_all(disks.data)
    assert len(records(disks.data)) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MiB, which only root can make."""
    mount = shutil.which("mount")
    target = tmp_path / "small"
    target.mkdir()
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(target)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting a small disk takes root")
    yield target
    subprocess.run(["umount", str(target)], check=True, timeout=20)


async def test_when_the_disk_is_full_the_ballast_is_given_up_and_what_runs_is_recorded(small_disk: Path) -> None:
    ballast = Ballast(small_disk / "ballast", 2 << 20)
    assert ballast.hold()
    journal = Journal(small_disk, durable=True, file_limit=1 << 20, limit=1 << 30, ballast=ballast)
    id_ = new_id()
    await journal.commit(id_, intent(), BODY)
    (small_disk / "others").write_bytes(bytes(_free(small_disk) - 65536))  # somebody else fills it
    for _ in range(4):
        journal.append(id_, Piece(None, Arrivals([1], [100_000])), b": " + bytes(99_996) + b"\n\n")
    journal.append(id_, closing(), STREAM)
    await asyncio.sleep(0.5)
    assert not (small_disk / "ballast").exists()
    assert not journal.disk.failing
    journal.close()
    rows = 0
    for file in journal_files(journal.directory):
        connection = sqlite3.connect(file)
        rows += connection.execute("select count(*) from row").fetchone()[0]
        connection.close()
    assert rows == 6


async def test_a_full_disk_costs_the_recorder_nothing_but_time(small_disk: Path, tmp_path: Path) -> None:
    ballast = Ballast(small_disk / "ballast", 2 << 20)
    journal = Journal(small_disk, durable=True, file_limit=1 << 20, limit=1 << 30, ballast=ballast)
    recorder = Recorder(small_disk, ballast=ballast)
    assert ballast.hold()
    id_ = new_id()
    await journal.commit(id_, intent(), BODY)
    journal.append(id_, closing(), STREAM)
    await asyncio.sleep(0.1)
    (small_disk / "others").write_bytes(bytes(max(0, _free(small_disk) - 4096)))
    while recorder.step():
        pass
    assert not (small_disk / "ballast").exists()
    assert [record["end_state"] for record in records(small_disk)] == ["complete"]
    recorder.close()
    journal.close()


def _free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def test_spill_is_a_link_that_everybody_follows(tmp_path: Path) -> None:
    boot = tmp_path / "boot"
    (tmp_path / "there").mkdir()
    boot.mkdir()
    spill_path(boot).symlink_to(tmp_path / "there")
    for path in (boot / "000001.sqlite", tmp_path / "there" / "000002.sqlite", boot / "000003.sqlite"):
        path.touch()
    assert [path.name for path in journal_files(boot)] == ["000001.sqlite", "000002.sqlite", "000003.sqlite"]
