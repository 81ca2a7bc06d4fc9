"""seal.db: the data keys, wrapped. A file of its own, so that what is destroyed here is gone from the record's backups.

The recorder makes keys; a key is on disk before anything that it sealed (`Vault.persist`).
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from storage.problem import StoreProblem
from storage.sealing.content import key_number
from storage.sealing.master import MasterKey, MasterKeys, SealProblem, wrong_key

Kind = Literal["content", "address", "index"]
"""What a key is for: sealing a person's content of one day; the addresses of a person's chunks; search and threads."""

_NEWEST: Final = """
    select e.salt from exchange e join sealed s on s.seq = e.seq where e.salt is not null order by e.seq desc limit 1
"""
_SCHEMA: Final = """
create table if not exists data_key (
    number integer primary key autoincrement,      -- stands in everything that it sealed; never given twice
    issuer text not null, subject text not null,   -- whose; '' both: of whom nothing is known, or the instance's own
    kind text not null,                            -- content | address | index
    day integer not null,                          -- of content: days since 1970, UTC
    master text not null,                          -- id of the master key that wraps it
    wrapped blob not null                          -- AES Key Wrap (RFC 3394)
) strict;
create index if not exists data_key_person on data_key (issuer, subject, kind);
create unique index if not exists data_key_for_good on data_key (kind, issuer, subject) where kind <> 'content';
create index if not exists data_key_master on data_key (master);
"""


def seal_path(data_dir: Path) -> Path:
    return data_dir / "seal.db"


def is_sealed_dir(data_dir: Path) -> bool:
    """Was content ever sealed here?"""
    return seal_path(data_dir).exists()


class KeyFile:
    """seal.db, open. Not thread-safe. Use `writing_keys` or `reading_keys`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def close(self) -> None:
        self._connection.close()

    def add(self, master: MasterKey, key: bytes, kind: Kind, issuer: str, subject: str, day: int) -> int:
        """Its number. It is on disk after the next `commit`."""
        if not self._connection.in_transaction:
            self._asked("begin immediate")
        row = self._asked(
            "insert into data_key (issuer, subject, kind, day, master, wrapped) values (?, ?, ?, ?, ?, ?)",
            (issuer, subject, kind, day, master.id, master.wrap(key, _whose(kind, issuer, subject, day))),
        ).lastrowid
        assert row is not None
        return row

    def commit(self) -> None:
        """Wait until the disk has every key that was added.

        Raises:
            sqlite3.Error, StoreProblem: it has none of them; nothing may be kept that they sealed.
        """
        if not self._connection.in_transaction:
            return
        try:
            self._asked("commit")
        except (sqlite3.Error, StoreProblem):
            if self._connection.in_transaction:
                self._asked("rollback")
            raise

    def key(self, masters: MasterKeys, number: int) -> bytes | None:
        """The key of this number; None when it is gone.

        Raises:
            SealProblem: the master key is another, or the row was altered.
        """
        return self._unwrapped(masters, "number = ?", number)

    def lasting(self, masters: MasterKeys, kind: Kind, issuer: str = "", subject: str = "") -> bytes | None:
        """The key of this kind that is there for good; None when there is none yet."""
        return self._unwrapped(masters, "kind = ? and issuer = ? and subject = ?", kind, issuer, subject)

    def highest(self) -> int:
        """The highest number that a key here ever had."""
        found = self._asked("select coalesce(max(seq), 0) from sqlite_sequence where name = 'data_key'").fetchone()
        return int(found[0])

    def masters(self) -> dict[str, int]:
        """How many keys each master key wraps, by its id."""
        return dict(self._asked("select master, count(*) from data_key group by master").fetchall())

    def masters_in_use(self) -> Iterator[str]:
        """The ids of the master keys that wrap anything; quick, however many keys there are."""
        after = ""
        while row := self._asked("select min(master) from data_key where master > ?", (after,)).fetchone():
            if row[0] is None:
                return
            yield (after := row[0])

    def people(self) -> tuple[int, int]:
        """How many people have keys, and how many keys for content there are."""
        found: tuple[int, int] = self._asked(
            "select count(distinct issuer || char(0) || subject), count(*) from data_key where kind = 'content'"
        ).fetchone()
        return found

    def last(self, issuer: str, subject: str) -> int:
        """The highest number of this person's keys; 0 where there are none."""
        found = self._asked(
            "select coalesce(max(number), 0) from data_key where issuer = ? and subject = ?", (issuer, subject)
        ).fetchone()
        return int(found[0])

    def destroy(self, issuer: str, subject: str, last: int) -> int:
        """Destroy the keys of a person up to this number. Returns how many there were."""
        gone = self._asked(
            "delete from data_key where issuer = ? and subject = ? and number <= ?", (issuer, subject, last)
        )
        return gone.rowcount

    def copy_to(self, other: sqlite3.Connection) -> None:
        """All of it."""
        self._connection.backup(other)

    def wrap_again(self, masters: MasterKeys) -> Iterator[int]:
        """Wrap by the current master key what an older one wraps. Yields how many are done, batch by batch, each on
        disk by then."""
        done = last = 0
        while rows := self._asked(
            "select number, issuer, subject, kind, day, master, wrapped from data_key "
            "where number > ? and master <> ? order by number limit 500",
            (last, masters.current.id),
        ).fetchall():
            last = rows[-1][0]
            again = []
            for number, issuer, subject, kind, day, master, wrapped in rows:
                whose = _whose(kind, issuer, subject, day)
                key = masters.unwrap(master, wrapped, whose)
                again.append((masters.current.id, masters.current.wrap(key, whose), number))
            self._asked("begin immediate")
            self._connection.executemany("update data_key set master = ?, wrapped = ? where number = ?", again)
            self.commit()
            done += len(rows)
            yield done
        if done:
            self._asked("vacuum")  # nothing of what the old key wrapped stays in the file

    def _unwrapped(self, masters: MasterKeys, where: str, *values: object) -> bytes | None:
        row = self._asked(
            f"select kind, issuer, subject, day, master, wrapped from data_key where {where}",  # noqa: S608 - our own
            values,
        ).fetchone()
        return None if row is None else masters.unwrap(row[4], row[5], _whose(*row[:4]))

    def _asked(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """A damaged key file is another matter than a damaged record, and another than a full disk.

        Raises:
            StoreProblem: seal.db is damaged.
            sqlite3.OperationalError: anything else.
        """
        try:
            return self._connection.execute(sql, values)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as broken:
            raise _unusable(self._path, broken) from broken


def _whose(kind: str, issuer: str, subject: str, day: int) -> bytes:
    return f"{kind} {day} {len(issuer)} {issuer} {subject}".encode("utf-8", "surrogatepass")


def writing_keys(data_dir: Path) -> KeyFile:
    """For the recorder: seal.db, made on first use. A commit waits for the disk; what is deleted is overwritten.

    Raises:
        StoreProblem: it cannot be used.
    """
    path = seal_path(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        connection.execute("pragma synchronous=full")
        connection.execute("pragma secure_delete=on")
        connection.executescript(_SCHEMA)
    except sqlite3.DatabaseError as broken:
        connection.close()
        raise _unusable(path, broken) from broken
    return KeyFile(connection, path)


@contextmanager
def reading_keys(data_dir: Path) -> Iterator[KeyFile]:
    """For everybody else.

    Raises:
        StoreProblem: there is none, or it cannot be read.
    """
    path = seal_path(data_dir)
    if not path.exists():
        raise keys_missing(data_dir)
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)
        try:
            yield KeyFile(connection, path)
        finally:
            connection.close()
    except sqlite3.DatabaseError as broken:
        raise _unusable(path, broken) from broken


def keys_missing(data_dir: Path) -> SealProblem:
    """What to say where there is no seal.db."""
    return SealProblem(
        f"The data keys are not here: {seal_path(data_dir)} is missing. Restore it from a backup; what is sealed "
        "cannot be read without it."
    )


def last_number(data_dir: Path) -> int:
    """The number of the key that sealed the newest exchange; 0 where the record has none that is sealed, or cannot be
    read: whoever opens it next says why."""
    path = data_dir / "audit.db"
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        row = connection.execute(_NEWEST).fetchone()
    except sqlite3.Error:
        return 0  # no record of ours, or from before content could be sealed
    finally:
        connection.close()
    return key_number(row[0]) if row else 0


def copy_keys(data_dir: Path, file: Path) -> None:
    """Copy seal.db as it is now into this file, which must not exist; while the recorder goes on. Only its owner may
    read it.

    Raises:
        StoreProblem: it cannot be read.
        OSError, sqlite3.Error: the copy cannot be written.
    """
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with reading_keys(data_dir) as keys:
        copy = sqlite3.connect(file, isolation_level=None)
        try:
            keys.copy_to(copy)
        finally:
            copy.close()


def check_master(masters: MasterKeys, keys: KeyFile) -> None:
    """Does every key here unwrap by one of these?

    Raises:
        SealProblem: one does not; nothing may be written then.
    """
    for needed in keys.masters_in_use():
        if needed not in masters:
            raise wrong_key(needed, masters.current.id)


def new_key() -> bytes:
    """256 random bits from the operating system."""
    return secrets.token_bytes(32)


def _unusable(path: Path, why: sqlite3.Error) -> StoreProblem:
    return StoreProblem(f"{path} cannot be used: {why}. Restore it from a backup; it holds the keys of what is sealed.")
