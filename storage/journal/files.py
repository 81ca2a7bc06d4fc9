"""Journal files on disk: names, locks, the schema, and how a connection to one is opened."""

import fcntl
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

_TRIES, _BETWEEN = 10, 0.02

type Entry = tuple[bytes, int, bytes, bytes | None]
"""(exchange, kind, head, body), as they stand in the file."""

SCHEMA: Final = """
create table if not exists row (
    no integer primary key,   -- counts within the file, from 1
    exchange blob not null,   -- UUIDv7, 16 bytes
    kind integer not null,    -- storage.journal.rows: 1 intent, 2 piece, 3 closing
    head blob not null,       -- MessagePack
    body blob                 -- request or reply bytes, as they came
) strict
"""


def journal_dir(data_dir: Path) -> Path:
    """Where the journals of all boots are."""
    return data_dir / "journal"


def rotate_path(boot: Path) -> Path:
    """A file that asks the worker of this boot to begin the next journal file; gone once it did."""
    return boot / "rotate"


def file_name(number: int) -> str:
    return f"{number:06d}.sqlite"


def spill_path(boot: Path) -> Path:
    """Where the boot's files on a second disk are: a link to that directory, where there is one."""
    return boot / "spill"


def link_spill(boot: Path, spill_dir: Path) -> None:
    """Make the boot's directory on the second disk, and the link by which everybody finds it.

    Raises:
        OSError: it cannot be made.
    """
    there = spill_dir.absolute() / boot.name
    there.mkdir(parents=True, mode=0o700, exist_ok=True)
    spill_path(boot).symlink_to(there, target_is_directory=True)


def spill_is_away(boot: Path) -> bool:
    """Does this boot have files on a second disk that is not there at the moment?"""
    link = spill_path(boot)
    return link.is_symlink() and not link.exists()


def journal_files(boot: Path) -> list[Path]:
    """The journal files of a boot, oldest first, on whichever disk: their numbers go on from one to the other."""
    found = [*boot.glob("[0-9]*.sqlite"), *spill_path(boot).glob("[0-9]*.sqlite")]
    return sorted(found, key=lambda path: path.name)


def bytes_of(file: Path) -> int:
    """What a journal file takes on disk, its write-ahead log included. 0 when it is gone."""
    total = 0
    for part in (file, Path(f"{file}-wal")):
        try:
            total += part.stat().st_size
        except FileNotFoundError:
            continue  # removed meanwhile, or never needed
    return total


def connect(file: Path, *, durable: bool) -> sqlite3.Connection:
    """A connection to a journal file.

    The write-ahead log is never folded into the file: a journal file lives for minutes and is read once, so writing
    every page a second time would be wasted. `durable` waits for the disk at every commit.
    """
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=5, cached_statements=256)
    try:
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        connection.execute("pragma page_size=16384")  # bodies of 64 KiB are usual: a third less work than 4 KiB pages
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma wal_autocheckpoint=0")
        connection.execute(f"pragma synchronous={'full' if durable else 'normal'}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def hold_lock(path: Path) -> int:
    """Take the lock that says: alive. Returns the descriptor; the lock goes when the process does, however it ends.

    Raises:
        BlockingIOError: somebody else holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_BETWEEN)  # somebody may only be looking whether it is held
        else:
            return descriptor
    os.close(descriptor)
    raise BlockingIOError(f"{path} is held by another process")


def is_held(path: Path) -> bool:
    """Does somebody hold this lock? Looking takes it for a moment, shared with others who look."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_alive(boot: Path) -> bool:
    """Does the worker of this boot still run?"""
    return is_held(boot / "lock")
