"""The worker's end of the journal: group commits by one thread; appending never waits."""

import asyncio
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uuid_utils

from storage.journal.files import SCHEMA, bytes_of, connect, file_name, hold_lock, journal_dir, journal_files
from storage.journal.rows import Row, encode

log = logging.getLogger(__name__)

_BATCH = 512  # rows in one commit
_PATIENCE = 2.0  # seconds until a writer that does not answer counts as failed
_UNWRITTEN = 64 << 20  # bytes of rows kept in memory while the disk refuses them


class JournalUnavailable(Exception):  # noqa: N818 - it is a state of the world, not a mistake in the code
    """The row is not on disk."""


@dataclass(slots=True)
class _Entry:
    exchange: bytes
    kind: int
    head: bytes
    body: bytes | None
    committed: asyncio.Future[None] | None

    @property
    def size(self) -> int:
        return 128 + len(self.head) + (len(self.body) if self.body else 0)


class Journal:
    """One boot's journal. Made and used on the event loop; a thread of its own talks to the disk.

    Args:
        data_dir: the instance's data directory.
        durable: wait for the disk at every commit (a gateway's promise); else leave that to the operating system.
        file_limit: bytes after which the next file is begun.
        limit: bytes of journal on disk past which `full` says so: the recorder is dead or far behind.
    """

    def __init__(self, data_dir: Path, *, durable: bool, file_limit: int, limit: int) -> None:
        self.boot = uuid_utils.uuid7().hex
        self.directory = journal_dir(data_dir) / self.boot
        self.directory.mkdir(parents=True, mode=0o700)
        self._lock = hold_lock(self.directory / "lock")
        self._durable = durable
        self._file_limit = file_limit
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._waiting_since: float | None = None
        self._answered = 0
        self._asked = 0
        self._files = 0
        self._bytes_in_file = 0
        self._connection: sqlite3.Connection | None = None
        self._unwritten: list[_Entry] = []
        self.lost_rows = 0
        self.full = False
        self.failing = False
        self._ticker: asyncio.TimerHandle | None = None
        self._pending: set[asyncio.Future[None]] = set()
        self._open_next_file()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()
        self._tick()

    # -- on the loop ------------------------------------------------------------------------------------------------

    def append(self, exchange: bytes, row: Row, body: bytes | None = None) -> None:
        """Put a row on its way. Never waits; a row the disk refuses is tried again."""
        self._queue.put(_Entry(exchange, *encode(row), body, None))

    def commit(self, exchange: bytes, row: Row, body: bytes | None = None) -> asyncio.Future[None]:
        """Put a row on its way; the future is done once it is on disk, or fails with JournalUnavailable."""
        future = self._loop.create_future()
        if self.full:
            future.set_exception(JournalUnavailable("the journal is past its limit: the recorder is behind or dead"))
            return future
        self._pending.add(future)
        self._asked += 1
        self._queue.put(_Entry(exchange, *encode(row), body, future))
        return future

    def close(self) -> None:
        """Write what is still to be written, and let go of the lock."""
        if self._ticker is not None:
            self._ticker.cancel()
        self._queue.put(None)
        self._thread.join(timeout=10)
        os.close(self._lock)

    def _tick(self) -> None:
        """Four times a second: is the writer answering, is there room?"""
        now = self._loop.time()
        if not self._pending:
            self._waiting_since = None
        elif self._waiting_since is None or self._answered:
            self._waiting_since, self._answered = now, 0
        elif now - self._waiting_since > _PATIENCE:
            self._settle(list(self._pending), JournalUnavailable("the journal's disk does not answer"))
        self._ticker = self._loop.call_later(0.25, self._tick)

    def _settle(self, futures: list[asyncio.Future[None]], failure: JournalUnavailable | None) -> None:
        self._answered += 1
        self._pending.difference_update(futures)
        for future in futures:
            if not future.done():
                if failure is None:
                    future.set_result(None)
                else:
                    future.set_exception(failure)

    # -- on the thread ----------------------------------------------------------------------------------------------

    def _write(self) -> None:
        last_look = 0.0
        while True:
            try:
                entry = self._queue.get(timeout=0.5)
            except queue.Empty:
                batch: list[_Entry] = []
            else:
                if entry is None:
                    break
                batch = [entry]
            ending = False
            while len(batch) < _BATCH:
                try:
                    entry = self._queue.get_nowait()
                except queue.Empty:
                    break
                if entry is None:
                    ending = True
                    break
                batch.append(entry)
            if batch or self._unwritten:
                self._commit(batch)
            if time.monotonic() - last_look > 0.5:
                last_look = time.monotonic()
                self.full = sum(map(bytes_of, journal_files(self.directory))) > self._limit
            if ending:
                break
        self._commit([])
        if self._connection is not None:
            self._connection.close()

    def _commit(self, batch: list[_Entry]) -> None:
        """One transaction for the whole batch. What is owed to the record is kept for the next try if it fails."""
        rows = self._unwritten + batch
        futures = [entry.committed for entry in batch if entry.committed is not None]
        try:
            if self._connection is None:
                self._open_next_file()
            assert self._connection is not None
            self._connection.execute("begin immediate")
            try:
                self._connection.executemany(
                    "insert into row (exchange, kind, head, body) values (?, ?, ?, ?)",
                    [(entry.exchange, entry.kind, entry.head, entry.body) for entry in rows],
                )
                self._connection.execute("commit")
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
                raise
        except (sqlite3.Error, OSError) as cannot:
            self._refused(batch, cannot)
            self._answer(futures, JournalUnavailable(str(cannot)))
            return
        self._answer(futures, None)
        self._unwritten = []
        if self.failing:
            self.failing = False
            log.warning("The journal can be written again.")
        self._bytes_in_file += sum(entry.size for entry in rows)
        if self._bytes_in_file > self._file_limit:
            self._rotate()

    def _refused(self, batch: list[_Entry], cannot: Exception) -> None:
        """Intents are answered with the failure; pieces and closings are owed, and wait for a disk that takes them."""
        if not self.failing:
            self.failing = True
            log.error("The journal cannot be written: %s", cannot)
        owed = [entry for entry in batch if entry.committed is None]
        kept = sum(entry.size for entry in self._unwritten)
        for entry in owed:
            kept += entry.size
            if kept > _UNWRITTEN:
                self.lost_rows += 1
            else:
                self._unwritten.append(entry)
        time.sleep(0.05)  # this thread may; a disk that is full at once is asked again, not hammered

    def _rotate(self) -> None:
        try:
            self._open_next_file()
        except (sqlite3.Error, OSError) as cannot:
            log.error("No next journal file can be begun, this one grows on: %s", cannot)

    def _open_next_file(self) -> None:
        path = self.directory / file_name(self._files + 1)
        connection = connect(path, durable=self._durable)
        connection.execute(SCHEMA)
        if self._connection is not None:
            self._connection.close()
        self._connection = connection
        self._files += 1
        self._bytes_in_file = 0

    def _answer(self, futures: list[asyncio.Future[None]], failure: JournalUnavailable | None) -> None:
        if futures:
            self._on_loop(lambda: self._settle(futures, failure))

    def _on_loop(self, act: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            log.debug("The loop ended before the journal did.")
