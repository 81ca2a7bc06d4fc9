"""How much room there is, and what is held for the last rows."""

import errno
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from settings.schema import Settings
from storage.room import Ballast, DiskRoom, Room, ballast_from, is_full, rooms_from


@dataclass
class Blocks:
    f_blocks: int
    f_bavail: int


@pytest.mark.parametrize(
    ("free", "room"),
    [(1000, "enough"), (100, "enough"), (99, "low"), (30, "low"), (29, "none"), (0, "none")],
)
def test_the_marks_are_shares_of_the_disk(tmp_path: Path, free: int, room: Room) -> None:
    assert DiskRoom(tmp_path, statvfs=lambda _: Blocks(1000, free)).look() == room


def test_a_disk_that_says_no_size_has_room_and_one_that_does_not_answer_has_none(tmp_path: Path) -> None:
    assert DiskRoom(tmp_path, statvfs=lambda _: Blocks(0, 0)).look() == "enough"
    assert DiskRoom(tmp_path / "nowhere").look() == "none"


def test_a_real_disk_is_asked(tmp_path: Path) -> None:
    assert 0 < DiskRoom(tmp_path).free() <= 1


def test_ballast_takes_its_room_for_good_and_gives_it_up_once(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast", 1 << 20)
    assert ballast.hold()
    assert ballast.hold()
    found = (tmp_path / "ballast").stat()
    assert found.st_size == 1 << 20
    assert found.st_blocks * 512 >= 1 << 20  # no hole: the room is taken
    assert found.st_mode & 0o777 == 0o600
    assert (ballast.release(), ballast.release()) == (True, False)
    assert list(tmp_path.iterdir()) == []


def test_ballast_of_another_size_is_taken_anew_and_none_is_none(tmp_path: Path) -> None:
    assert Ballast(tmp_path / "ballast", 4096).hold()
    assert Ballast(tmp_path / "ballast", 8192).hold()
    assert (tmp_path / "ballast").stat().st_size == 8192
    assert Ballast(tmp_path / "other", 0).hold()
    assert not (tmp_path / "other").exists()


def test_ballast_that_cannot_be_taken_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    assert not Ballast(tmp_path / "no" / "ballast", 4096).hold()


def test_a_full_disk_is_known_by_its_error() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (x)")
    connection.execute("pragma max_page_count=2")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.execute("insert into t values (zeroblob(100000))")
    connection.close()
    assert is_full(full.value)
    assert is_full(OSError(errno.ENOSPC, "x"))
    assert not is_full(OSError(errno.EIO, "x"))
    assert not is_full(sqlite3.OperationalError("x"))


def test_settings_say_the_marks_the_disks_and_the_ballast(tmp_path: Path) -> None:
    given = Settings.model_validate(
        {
            "data_dir": tmp_path,
            "storage": {"on_failure": "spill", "spill_dir": tmp_path / "b", "disk_warn": "20 %", "disk_stop": 0.05},
        }
    )
    assert [(room.path, room.warn, room.stop) for room in rooms_from(given)] == [
        (tmp_path, 0.2, 0.05),
        (tmp_path / "b", 0.2, 0.05),
    ]
    assert given.ballast == 0
    assert ballast_from(given).hold()
