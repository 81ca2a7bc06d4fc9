"""The worker's end of the journal: group commits by one thread; appending never waits."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import uuid_utils

from storage.journal.disk import JournalDisk
from storage.journal.files import Entry, hold_lock, journal_dir, link_spill
from storage.journal.rows import Row, encode
from storage.room import Ballast, DiskRoom
from storage.sealing.journal import JournalSealer
from storage.sealing.master import MasterKeys

log = logging.getLogger(__name__)

_PATIENCE = 2.0  # seconds until a disk that does not answer counts as failed
_GATHER = 0.01  # seconds that rows nobody waits for may wait for company
_TICK = 0.25  # seconds between looks at the journal's size, and tries at a disk that refused rows
_CLOSING = 10.0  # seconds for the last rows at the end


class JournalUnavailable(Exception):  # noqa: N818 - it is a state of the world, not a mistake in the code
    """The row is not on disk."""


class _Batch:
    """Rows that go to the disk together, in the order they came, each with the future of whoever waits for it."""

    __slots__ = ("asked", "futures", "rows")

    def __init__(self) -> None:
        self.rows: list[Entry] = []
        self.futures: list[asyncio.Future[None] | None] = []
        self.asked = False  # somebody waits


class Journal:
    """One boot's journal. Made and used on the event loop; a thread of its own talks to the disk.

    While the disk is busy with one batch the next gathers, and all that gathered goes together: so the more there is
    to do, the more rows share one wait for the disk.

    Args:
        data_dir: the instance's data directory.
        durable: wait for the disk at every commit (a gateway's promise); else leave that to the operating system.
        file_limit: bytes after which the next file is begun.
        limit: bytes of journal on disk past which `full` says so: the recorder is dead or far behind. From half of it
            on it is `crowded`: then strangers' refusals get no rows, which anybody could have made without end.
        masters: what wraps the key that seals the rows, in the thread that writes them; None leaves them unsealed.
        rooms: the disks of `data_dir` and of `spill_dir`, looked at now and then; `full` says so too when no place has
            room.
        spill_dir: on a second disk, where the journal goes on while the first refuses.
        ballast: given up when the disk is full.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool,
        file_limit: int,
        limit: int,
        masters: MasterKeys | None = None,
        rooms: Sequence[DiskRoom] = (),
        spill_dir: Path | None = None,
        ballast: Ballast | None = None,
    ) -> None:
        self.boot = uuid_utils.uuid7().hex
        self.directory = journal_dir(data_dir) / self.boot
        self.directory.mkdir(parents=True, mode=0o700)
        self._lock = hold_lock(self.directory / "lock")
        if spill_dir is not None:
            link_spill(self.directory, spill_dir)
        self.disk = JournalDisk(
            self.directory,
            durable=durable,
            file_limit=file_limit,
            sealer=JournalSealer(self.directory, masters) if masters is not None else None,
            rooms=rooms,
            ballast=ballast,
        )
        self._nowhere = self.disk.where_there_is_room()  # why nothing may be promised
        self.full = self._nowhere is not None
        self.crowded = False
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._mutex = threading.Lock()  # over the two below
        self._next = _Batch()
        self._awake = False
        self._waking = False  # the loop's own: the thread is woken at the end of this turn
        self._ended = False
        self._go = threading.Lock()  # released: the thread has something to do
        self._go.acquire()
        self._with_disk: _Batch | None = None
        self._since = 0.0
        self._gathering: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()
        self._ticker = self._loop.call_later(_TICK, self._tick)

    def append(self, exchange: bytes, row: Row, body: bytes | None = None) -> None:
        """Put a row on its way. Never waits; a row the disk refuses is tried again."""
        kind, head = encode(row)
        with self._mutex:
            self._next.rows.append((exchange, kind, head, body))
            self._next.futures.append(None)
        if self._gathering is None and not self._awake:
            self._gathering = self._loop.call_later(_GATHER, self._wake)

    def commit(self, exchange: bytes, row: Row, body: bytes | None = None) -> asyncio.Future[None]:
        """Put a row on its way; the future is done once it is on disk, or fails with JournalUnavailable."""
        future = self._loop.create_future()
        if self.full:
            why = self._nowhere or "the journal is past its limit: the recorder is behind or dead"
            future.set_exception(JournalUnavailable(why))
            return future
        kind, head = encode(row)
        with self._mutex:
            batch = self._next
            batch.rows.append((exchange, kind, head, body))
            batch.futures.append(future)
            batch.asked = True
        if not self._awake:
            self._wake_soon()
        return future

    def close(self) -> None:
        """Write what is still to be written, and let go of the lock."""
        self._ticker.cancel()
        self._ended = True
        self._wake()
        self._thread.join(_CLOSING)
        os.close(self._lock)

    def _wake_soon(self) -> None:
        """Whoever else is read in this turn of the loop shares the wait for the disk, and the thread takes Python's
        lock from the loop once for all of them."""
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._waking = False
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        with self._mutex:
            if self._awake:
                return
            self._awake = True
        self._go.release()

    def _tick(self) -> None:
        """Is the disk answering? If it is idle: is there room, and will it take what it refused?"""
        if (batch := self._with_disk) is not None and self._loop.time() - self._since > _PATIENCE:
            _fail(batch.futures + self._next.futures, "the journal's disk does not answer")
        self._wake()
        self._ticker = self._loop.call_later(_TICK, self._tick)

    def _settle(self, futures: list[asyncio.Future[None] | None], failed: str | None) -> None:
        if failed is not None:
            _fail(futures, failed)
        else:
            for future in futures:
                if future is not None and not future.done():
                    future.set_result(None)
        self._gather()

    def _gather(self) -> None:
        """The thread is done with a batch, and asleep: what came in meanwhile is the next."""
        if self._awake:
            return
        if self._next.asked:
            self._wake_soon()
        elif self._next.rows and self._gathering is None:
            self._gathering = self._loop.call_later(_GATHER, self._wake)

    # -- on the thread ----------------------------------------------------------------------------------------------

    def _write(self) -> None:
        looked = 0.0
        while not self._ended:
            self._go.acquire()
            self._one_batch()
            if time.monotonic() - looked > _TICK:
                looked = time.monotonic()
                self.disk.rotate_if_asked()
                waiting = self.disk.bytes_waiting()
                self._nowhere = self.disk.where_there_is_room()
                self.full = waiting > self._limit or self._nowhere is not None
                self.crowded = waiting > self._limit // 2
        self._one_batch()
        self.disk.close()

    def _one_batch(self) -> None:
        """Write what gathered. The loop says when it is time for the next: it has rows to hand over by then."""
        with self._mutex:
            batch, self._next = self._next, _Batch()
        self._since, self._with_disk = self._loop.time(), batch
        failed = self.disk.write(batch.rows)
        if failed is not None:
            self.disk.owe([row for row, future in zip(batch.rows, batch.futures, strict=True) if future is None])
        self._with_disk = None
        with self._mutex:
            self._awake = False  # before the loop is told: it looks at this when it is
            left = bool(self._next.rows)
        if batch.asked:
            self._on_loop(partial(self._settle, batch.futures, failed))
        elif left:
            self._on_loop(self._gather)

    def _on_loop(self, act: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            log.debug("The loop ended before the journal did.")


def _fail(futures: list[asyncio.Future[None] | None], why: str) -> None:
    for future in futures:
        if future is not None and not future.done():
            future.set_exception(JournalUnavailable(why))
