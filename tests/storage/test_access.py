"""Who looked at what: a chain of its own, in which nothing that was looked for stands in clear."""

import sqlite3
from pathlib import Path

import pytest

from storage.access import AccessUnwritable, access_path, last_access, ranges, read_access, verify_access, write_access


def look(folder: Path, query: str = "顧客名", **more: str) -> None:
    given = {"action": "search", "exchanges": "1-3", "reason": "ticket 7", "who": "auditor", **more}
    write_access(folder, asked={"query": query}, **given)


@pytest.fixture
def looks(tmp_path: Path) -> sqlite3.Connection:
    for i in range(4):
        look(tmp_path, f"顧客名 {i}")
    return sqlite3.connect(access_path(tmp_path), isolation_level=None)


def test_a_look_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    look(tmp_path)
    (found,) = read_access(tmp_path, 10)

    assert (found.actor, found.action, found.exchanges, found.reason) == ("auditor", "search", "1-3", "ticket 7")
    assert found.asked == {"query": "顧客名"}


def test_what_was_looked_for_stands_nowhere_in_clear(tmp_path: Path) -> None:
    look(tmp_path, "canary-4711 顧客名")
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    assert b"canary-4711" not in kept
    assert "顧客名".encode() not in kept
    assert (tmp_path / "keys" / "access.key").stat().st_mode & 0o777 == 0o600
    assert access_path(tmp_path).stat().st_mode & 0o777 == 0o600


def test_without_its_key_the_chain_still_verifies(tmp_path: Path) -> None:
    look(tmp_path)
    (tmp_path / "keys" / "access.key").unlink()

    assert [found.asked for found in read_access(tmp_path, 10)] == [None]
    assert verify_access(tmp_path).broken is None


@pytest.mark.parametrize("column", ["at", "actor", "action", "exchanges", "asked", "reason", "prev_hash", "hash"])
def test_a_change_in_any_column_is_named(tmp_path: Path, looks: sqlite3.Connection, column: str) -> None:
    assert verify_access(tmp_path).broken is None
    changed = "x'00'" if column == "asked" else "'x'"
    looks.execute(f"update access set {column} = {changed} where seq = 2")
    looks.close()

    assert (verify_access(tmp_path).broken or "").startswith("look 2")


def test_a_removed_look_is_named(tmp_path: Path, looks: sqlite3.Connection) -> None:
    looks.execute("delete from access where seq = 2")
    looks.close()

    assert verify_access(tmp_path).broken == "looks 2 to 2 are missing"


@pytest.mark.parametrize(("newest", "records"), [(1, 1), (3, 3), (4, 4), (9, 4)])
def test_the_newest_looks_can_be_verified_alone(
    tmp_path: Path, looks: sqlite3.Connection, newest: int, records: int
) -> None:
    verdict = verify_access(tmp_path, newest=newest)
    assert (verdict.broken, verdict.records) == (None, records)
    looks.execute("update access set reason = 'x' where seq = 4")
    looks.close()
    assert verify_access(tmp_path, newest=newest).broken == "look 4 was altered"


def test_a_look_removed_among_the_newest_is_named(tmp_path: Path, looks: sqlite3.Connection) -> None:
    looks.execute("delete from access where seq = 3")
    looks.close()
    for newest in (1, 2, 3):
        assert verify_access(tmp_path, newest=newest).broken == "looks 3 to 3 are missing"


@pytest.mark.parametrize("all_of_it", [False, True])
def test_a_tail_that_was_cut_off_shows_against_a_signed_head(
    tmp_path: Path, looks: sqlite3.Connection, all_of_it: bool
) -> None:
    head = last_access(tmp_path)
    assert head is not None
    assert verify_access(tmp_path, [head]).heads_matched == 1
    looks.execute("delete from access where seq = 4")
    looks.close()
    if all_of_it:
        access_path(tmp_path).unlink()

    assert "cut off" in (verify_access(tmp_path, [head]).broken or "")


def test_a_look_that_cannot_be_written_is_said_with_the_remedy(tmp_path: Path) -> None:
    access_path(tmp_path).mkdir()
    with pytest.raises(AccessUnwritable, match="nothing is shown"):
        look(tmp_path)


def test_numbers_are_written_as_people_write_them() -> None:
    assert ranges([12, 3, 4, 5, 3]) == "3-5,12"
    assert ranges([]) == ""


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 5000])
def test_a_key_that_is_none_is_a_sentence_and_what_is_there_still_reads(tmp_path: Path, key: bytes) -> None:
    look(tmp_path)
    (tmp_path / "keys" / "access.key").write_bytes(key)

    with pytest.raises(AccessUnwritable, match=r"access.key is no key of 32 bytes.*put its copy back"):
        look(tmp_path)
    assert [found.asked for found in read_access(tmp_path, 10)] == [None]


def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    look(tmp_path)
    access_path(tmp_path).write_bytes(b"no database at all, for longer than a header would be" * 20)

    with pytest.raises(AccessUnwritable, match=r"damaged: move it to a safe place"):
        look(tmp_path)
    assert "cannot be read" in (verify_access(tmp_path).broken or "")
