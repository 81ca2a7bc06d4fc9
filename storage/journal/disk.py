"""The disk's side of the journal: one transaction for each batch, files rotated, what is owed kept while it refuses."""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from storage.journal.files import (
    SCHEMA,
    Entry,
    bytes_of,
    connect,
    file_name,
    journal_files,
    rotate_path,
    spill_path,
)
from storage.room import Ballast, DiskRoom, is_full
from storage.sealing.journal import JournalSealer

log = logging.getLogger(__name__)

_INSERT, _VALUES, _LAST = "insert into row (exchange, kind, head, body) values ", "(?, ?, ?, ?), ", "(?, ?, ?, ?)"
_AT_ONCE = 100  # rows in one statement
_SMALL = 4096  # bytes of a row; a larger one has a statement to itself
_OWED = 64 << 20  # bytes of rows kept in memory while the disk refuses them
_SLICE = 1 << 20  # bytes of them that are tried at once: a disk that refuses is not asked to take all, time and again
_PAUSE, _LONGEST = 5.0, 300.0  # seconds that a disk that refused is left alone, doubled each time
_ROW = 128  # bytes that a row takes beside its head and body, about


class JournalDisk:
    """Writes batches of rows into the files of one boot. Used by one thread at a time.

    Args:
        directory: the boot's own.
        durable: wait for the disk at every commit.
        file_limit: bytes after which the next file is begun.
        sealer: what seals the rows; None leaves them as they are.
        rooms: the disks of the boot's directory and of its link to a second one, in this order; none: not looked at.
        ballast: given up when the disk is full.
    """

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool,
        file_limit: int,
        sealer: JournalSealer | None = None,
        rooms: Sequence[DiskRoom] = (),
        ballast: Ballast | None = None,
    ) -> None:
        self._directory = directory
        self._sealer = sealer
        self._places = [directory, *([spill_path(directory)] if spill_path(directory).is_symlink() else [])]
        self._place = 0  # of these, where it writes
        self._barred = [0.0] * len(self._places)  # until when a place that refused is left alone (monotonic)
        self._pause = _PAUSE
        self._rooms = rooms
        self._ballast = ballast
        self._durable = durable
        self._file_limit = file_limit
        self._files = 0  # begun, or tried to
        self._name = ""  # of the file that is open
        self._bytes_in_file = 0
        self._connection: sqlite3.Connection | None = None
        self._owed: deque[Entry] = deque()
        self._owed_bytes = 0
        self.lost_rows = 0
        self.failing = False
        self._open_next_file()

    def write(self, rows: list[Entry]) -> str | None:
        """Commit these rows together, after those still owed. None, or why that failed: then none is written."""
        some = bool(rows or self._owed)
        try:
            try:
                self._write_all(rows)
            except (sqlite3.Error, OSError) as refused:
                if not self._helped(refused):
                    raise
                self._write_all(rows)
        except (sqlite3.Error, OSError) as cannot:
            if not self.failing:
                self.failing = True
                log.error("The journal cannot be written: %s", cannot)
            return str(cannot)
        if self.failing and some:
            self.failing = False
            log.warning("The journal can be written again.")
        return None

    def where_there_is_room(self) -> str | None:
        """Go to the first disk that has room and has not refused lately. None, or why there is nowhere to promise
        anything: then it stays where it is."""
        now = time.monotonic()
        for place in range(len(self._places)):
            if now < self._barred[place] or (place < len(self._rooms) and self._rooms[place].look() == "none"):
                continue
            if place == self._place or self._go_to(place):
                return None
        return "the journal's disk is nearly full, or refuses" if self._rooms else None

    def _write_all(self, rows: list[Entry]) -> None:
        while self._owed:
            self._write_owed()
        if rows:
            self._commit(rows)

    def _helped(self, refused: Exception) -> bool:
        """What can be done at once about a disk that refuses: give up the ballast, or go to the other disk."""
        if is_full(refused) and self._ballast is not None and self._ballast.release():
            return True
        if len(self._places) == 1:
            return False
        self._barred[self._place] = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _LONGEST)
        other = 1 - self._place
        return time.monotonic() >= self._barred[other] and self._go_to(other)

    def _go_to(self, place: int) -> bool:
        before, self._place = self._place, place
        try:
            self._open_next_file()
        except (sqlite3.Error, OSError) as cannot:
            log.error("The journal cannot go on in %s: %s", self._places[place], cannot)
            self._place = before
            self._barred[place] = time.monotonic() + self._pause
            return False
        if place:
            log.error("The journal goes on on the second disk, in %s.", self._places[place].resolve())
        else:
            log.warning("The journal is back in %s.", self._places[place])
            self._pause = _PAUSE
        return True

    def owe(self, rows: list[Entry]) -> None:
        """Rows that were refused but must not be lost: they go first as soon as the disk takes any.

        Once there is no room for one, none is taken until those owed are written: what is missing is then the end of
        what was seen, not holes all over it.
        """
        for row in rows:
            size = _size(row)
            if self.lost_rows or self._owed_bytes + size > _OWED:
                if not self.lost_rows:
                    log.error("Rows are lost: the disk refuses them, and no more can be kept in memory.")
                self.lost_rows += 1
            else:
                self._owed.append(row)
                self._owed_bytes += size

    def _write_owed(self) -> None:
        """The next slice of what is owed."""
        rows: list[Entry] = []
        size = 0
        for row in self._owed:
            if rows and size + _size(row) > _SLICE:
                break
            rows.append(row)
            size += _size(row)
        self._commit(rows)
        for _ in rows:
            self._owed.popleft()
        self._owed_bytes -= size
        if not self._owed and self.lost_rows:
            log.error("%d rows were lost while the disk refused them.", self.lost_rows)
            self.lost_rows = 0

    def rotate_if_asked(self) -> None:
        """Begin the next file when the recorder asks for it: what stands in the one before can then be removed."""
        asked = rotate_path(self._directory)
        if not asked.exists():
            return
        if self._bytes_in_file:
            self._rotate()
        if not self._bytes_in_file:
            asked.unlink(missing_ok=True)

    def bytes_waiting(self) -> int:
        """What the boot's files take on disk: not yet removed by the recorder."""
        return sum(map(bytes_of, journal_files(self._directory)))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _commit(self, rows: list[Entry]) -> None:
        if self._connection is None:
            self._open_next_file()
        assert self._connection is not None
        sizes = [_ROW + len(row[2]) + len(row[3] or b"") for row in rows]
        if len(rows) <= _AT_ONCE and max(sizes) <= _SMALL:
            self._insert(rows)  # a statement alone is a transaction
        else:
            self._commit_many(self._connection, rows)
        self._bytes_in_file += sum(sizes)
        if self._bytes_in_file > self._file_limit:
            self._rotate()

    def _commit_many(self, connection: sqlite3.Connection, rows: list[Entry]) -> None:
        connection.execute("begin immediate")
        try:
            for each in _statements(rows):
                self._insert(each)
            connection.execute("commit")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("rollback")
            raise

    def _insert(self, rows: list[Entry]) -> None:
        """These rows in one statement. Python lets go of its lock for each step of a statement, and with the event loop
        busy gets it back late: a step a row would cost the batch, and the loop, far more than the rows themselves."""
        assert self._connection is not None
        if self._sealer is not None:
            # Their numbers are part of what is sealed. They follow the last: nobody else writes or removes rows here.
            last = self._connection.execute("select coalesce(max(no), 0) from row").fetchone()[0]
            rows = self._sealer.sealed(rows, self._name, last + 1)
        values: list[bytes | int | None] = []
        for row in rows:
            values.extend(row)
        self._connection.execute(_INSERT + _VALUES * (len(rows) - 1) + _LAST, values)

    def _rotate(self) -> None:
        try:
            self._open_next_file()
        except (sqlite3.Error, OSError) as cannot:
            log.error("No next journal file can be begun, this one grows on: %s", cannot)

    def _open_next_file(self) -> None:
        """Begin the next file, whose number is nobody else's on any disk. Of one that cannot be begun nothing is left:
        a later file says that the one before it is read to its end."""
        self._files += 1
        path = self._places[self._place] / file_name(self._files)
        try:
            connection = connect(path, durable=self._durable)
            try:
                connection.execute(SCHEMA)
            except sqlite3.Error:
                connection.close()
                raise
        except (sqlite3.Error, OSError):
            for part in ("", "-wal", "-shm"):
                path.with_name(f"{path.name}{part}").unlink(missing_ok=True)
            raise
        self.close()
        self._connection, self._name = connection, path.name
        self._bytes_in_file = 0


def _size(row: Entry) -> int:
    return _ROW + len(row[2]) + len(row[3] or b"")


def _statements(rows: list[Entry]) -> Iterator[list[Entry]]:
    """The rows of each statement, in order. A prepared statement keeps the values it was last given: with one for each
    number of rows, large bodies would stay in memory a thousand times."""
    run: list[Entry] = []
    for row in rows:
        alone = _size(row) > _SMALL
        if run and (alone or len(run) == _AT_ONCE):
            yield run
            run = []
        if alone:
            yield [row]
        else:
            run.append(row)
    if run:
        yield run
