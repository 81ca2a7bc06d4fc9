"""The recorder's end of the journal: rows in the order in which they were written; nothing is changed."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from storage.journal.files import connect
from storage.journal.rows import Row, decode
from storage.sealing.journal import JournalOpener


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands."""

    file: str
    no: int
    kind: int


class JournalFile:
    """One journal file, open for reading. `opener` opens what is sealed in it; without one only `after` works there."""

    def __init__(self, path: Path, opener: JournalOpener | None = None) -> None:
        self.path = path
        self._opener = opener or JournalOpener(path.parent, None)
        self._connection = connect(path, durable=False)
        self._connection.execute("pragma query_only=on")

    def after(self, no: int, limit: int) -> list[tuple[int, bytes, int]]:
        """(no, exchange, kind) of the rows after this one, at most so many. Bodies are not touched."""
        try:
            return self._connection.execute(
                "select no, exchange, kind from row where no > ? order by no limit ?", (no, limit)
            ).fetchall()
        except sqlite3.OperationalError as cannot:
            if "no such table" in str(cannot):
                return []  # begun, and its worker has not come further yet
            raise

    def row(self, no: int) -> tuple[Row, bytes]:
        """The row of this number, and its body.

        Raises:
            LookupError: there is none, or it cannot be read.
            SealProblem: it is sealed, and the key is missing or another.
        """
        found = self._connection.execute("select exchange, kind, head, body from row where no = ?", (no,)).fetchone()
        if found is None:
            raise LookupError(f"{self.path.name} has no row {no}")
        head, body = self._opener.opened(self.path.name, no, found)
        try:
            return decode(found[1], head), body or b""
        except (msgspec.DecodeError, KeyError) as broken:
            raise LookupError(f"row {no} of {self.path.name} cannot be read: {broken}") from broken

    def keep_only(self, exchanges: Iterable[bytes]) -> None:
        """Remove the rows of all other exchanges, and every trace of them. The worker has begun a later file.

        Raises:
            sqlite3.Error: they are still there.
        """
        connection = connect(self.path, durable=True)
        try:
            connection.execute("pragma secure_delete=on")
            connection.execute("create temp table kept (exchange blob primary key)")
            connection.executemany("insert into kept values (?)", [(exchange,) for exchange in exchanges])
            connection.execute("delete from row where exchange not in (select exchange from kept)")
            connection.execute("pragma wal_checkpoint(truncate)")  # what it said before stood in the log alone
        finally:
            connection.close()

    def close(self) -> None:
        self._connection.close()


def boots(directory: Path) -> Iterator[Path]:
    """The boots that left a journal, oldest first (their names are UUIDv7)."""
    if directory.is_dir():
        yield from sorted(path for path in directory.iterdir() if (path / "lock").exists())
