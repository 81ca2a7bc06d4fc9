"""How much room a disk has, and a file that can be given up when there is none."""

import errno
import logging
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from settings.schema import Settings

log = logging.getLogger(__name__)

Room = Literal["enough", "low", "none"]
WARN: Final = 0.10
STOP: Final = 0.03


class Blocks(Protocol):
    """What is needed of os.statvfs (POSIX): blocks in all, and those that we may still use."""

    @property
    def f_blocks(self) -> int: ...
    @property
    def f_bavail(self) -> int: ...


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """The disk under a directory. `warn` and `stop` are shares of the whole that are still free: below the first it is
    low, below the second there is none to promise anything with."""

    path: Path
    warn: float = WARN
    stop: float = STOP
    statvfs: Callable[[Path], Blocks] = os.statvfs

    def free(self) -> float:
        """The share that is free, 0 to 1. 1 for a disk that does not say how large it is.

        Raises:
            OSError: the disk does not answer.
        """
        found = self.statvfs(self.path)
        return found.f_bavail / found.f_blocks if found.f_blocks else 1.0

    def look(self) -> Room:
        """How much there is; a disk that does not answer has none."""
        try:
            free = self.free()
        except OSError as cannot:
            log.error("The disk of %s does not answer: %s", self.path, cannot)
            return "none"
        return "none" if free < self.stop else "low" if free < self.warn else "enough"


class Ballast:
    """Room that is held for the last rows: when the disk is full it is given up, so that what has begun can still be
    written to its end. A full disk refuses even to delete rows; a file can always be removed."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def hold(self) -> bool:
        """Take the room, if it is not taken. False when there is not so much."""
        try:
            if self._path.stat().st_size == self._size:
                return True
        except FileNotFoundError:
            pass  # it was given up, or never taken
        if not self._size:
            return True
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _allocate(descriptor, self._size)
            finally:
                os.close(descriptor)
            part.replace(self._path)
        except OSError as cannot:
            part.unlink(missing_ok=True)
            log.warning("No room can be held for a full disk at %s: %s", self._path, cannot)
            return False
        return True

    def release(self) -> bool:
        """Give it up. False when there was nothing to give."""
        try:
            self._path.unlink()
        except OSError:
            return False  # another process was quicker, or it is not there
        log.critical("The disk is full. The ballast at %s was given up, so that what runs can be recorded.", self._path)
        return True


def rooms_from(settings: Settings) -> list[DiskRoom]:
    """The disk of the data directory, and that of the spill directory where there is one."""
    storage = settings.storage
    return [
        DiskRoom(path, storage.disk_warn, storage.disk_stop)
        for path in (settings.data_dir, storage.spill_dir)
        if path is not None
    ]


def ballast_from(settings: Settings) -> Ballast:
    return Ballast(settings.data_dir / "ballast", settings.ballast)


def is_full(error: Exception) -> bool:
    """Does this error say that the disk is full?"""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = bytes(1 << 20)  # macOS has none: a file with a hole in it would hold nothing
    for begin in range(0, size, len(block)):
        os.write(descriptor, block[: size - begin])
