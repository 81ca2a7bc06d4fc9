"""What nobody asks for until it is too late: room on the disk, a log that grows, a clock that is set."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from storage.journal.files import bytes_of
from storage.room import Ballast, DiskRoom, Room

log = logging.getLogger(__name__)

_EVERY: Final = 10.0  # seconds
_LOG: Final = 256 << 20  # bytes of write-ahead log from which on somebody holds it up
_STEP: Final = 1.0  # seconds by which the wall clock may differ from the other one before it was set


class Watch:
    """Looks now and then, and says what changed. Used by the recorder between batches; never waits.

    Args:
        wal: the write-ahead log of audit.db.
        empty_log: folds the log into the file and cuts it; False while a reader is in the way.
        wall, monotonic: the clocks, in seconds.
    """

    def __init__(
        self,
        wal: Path,
        empty_log: Callable[[], bool],
        rooms: Sequence[DiskRoom] = (),
        ballast: Ballast | None = None,
        *,
        log_limit: int = _LOG,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wal = wal
        self._empty_log = empty_log
        self._rooms = rooms
        self._ballast = ballast
        self._log_limit = log_limit
        self._wall = wall
        self._monotonic = monotonic
        self._apart = wall() - monotonic()
        self._known: list[Room] = ["enough"] * len(rooms)
        self._held_up = False
        self._next = 0.0

    def look(self) -> None:
        """All of it, if it is time."""
        now = self._monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY
        self._clock()
        self._disks()
        self._log()

    def _clock(self) -> None:
        apart = self._wall() - self._monotonic()
        step, self._apart = apart - self._apart, apart
        if abs(step) > _STEP:
            way = "back" if step < 0 else "forward"
            log.warning(
                "The clock was set %s by %.1f s. Times in the record show it; its order (seq) and durations do not.",
                way,
                abs(step),
            )

    def _disks(self) -> None:
        for i, room in enumerate(self._rooms):
            found = room.look()
            if found == "enough" and i == 0 and self._ballast is not None:
                self._ballast.hold()
            if found != self._known[i]:
                self._known[i] = found
                _say(room, found)

    def _log(self) -> None:
        size = bytes_of(self._wal)
        if size <= self._log_limit:
            if self._held_up:
                log.warning("The write-ahead log of audit.db is small again.")
            self._held_up = False
            return
        if self._empty_log():
            self._held_up = False
        elif not self._held_up:
            self._held_up = True
            log.warning(
                "The write-ahead log of audit.db has %d MiB: somebody reads for long, in one transaction. It shrinks "
                "once they are done; `fuser %s` names them.",
                size >> 20,
                self._wal.with_name(self._wal.name.removesuffix("-wal")),
            )


def _say(room: DiskRoom, found: Room) -> None:
    try:
        free = 100 * room.free()
    except OSError:
        return  # it was logged that the disk does not answer
    if found == "enough":
        log.warning("The disk of %s has room again: %.1f %% free.", room.path, free)
    elif found == "low":
        log.warning(
            "The disk of %s has %.1f %% free. Below %.0f %% the record counts as one that cannot be written.",
            room.path,
            free,
            100 * room.stop,
        )
    else:
        log.critical("The disk of %s has %.1f %% free: too little to promise a record. Make room.", room.path, free)
