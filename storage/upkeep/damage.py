"""A damaged file: noticed, put aside under a name of its own, never deleted."""

import itertools
import shutil
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from storage.access import NODE as ACCESS
from storage.heads import public_key, read_heads
from storage.removal.tombstones import NODE as TOMBSTONES
from storage.sqlite.breaks import ChainBreak
from storage.upkeep.integrity import quick_check

_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PARTS: Final = ("", "-wal", "-shm")
_LINES: Final = 1000  # of signed heads, some days' worth: each costs a verification
_STEPS: Final = 100_000  # of SQLite's machine between looks at the clock


def is_damage(error: sqlite3.Error) -> bool:
    """Does SQLite say that the file itself is damaged? (Primary result codes, sqlite.org/rescode.html.)"""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE


def damage_of(path: Path, *, within: float | None = None) -> str | None:
    """What is wrong with the file; None when nothing is, it does not exist, or it could not be looked through
    `within` so many seconds: then what was not seen is left to the daily look.

    Raises:
        sqlite3.Error: it cannot be opened or read, for another reason than damage.
    """
    if not path.exists():
        return None
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)
    try:
        if within is not None:
            until = time.monotonic() + within
            connection.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS)
        return quick_check(connection)
    except sqlite3.Error as wrong:
        if getattr(wrong, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            return None
        if is_damage(wrong):
            return str(wrong)
        raise
    finally:
        connection.close()


def name_aside(path: Path, at: float) -> Path:
    """A free name for a damaged file: `audit.db.corrupt-<time>`."""
    base = f"{path.name}.corrupt-{datetime.fromtimestamp(at, tz=UTC):%Y%m%dT%H%M%SZ}"
    names = (base if number == 1 else f"{base}-{number}" for number in itertools.count(1))
    return next(path.with_name(name) for name in names if not path.with_name(name).exists())


def put_aside(path: Path, aside: Path) -> None:
    """Give the damaged file, and what belongs to it, this name."""
    for part in _PARTS:
        old = path.with_name(f"{path.name}{part}")
        if old.exists():
            shutil.move(old, aside.with_name(f"{aside.name}{part}"))  # it may come from the second disk


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file's end, though it may be damaged."""

    last_seq: int
    heads: dict[str, str]


def known_of(path: Path, heads_file: Path) -> Known:
    """As far as the file itself can still be read, and what its signed heads say."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)
    try:
        known = end_of(connection)
    finally:
        connection.close()
    return Known(max([known.last_seq, *signed_of(path.parent, heads_file).values()]), known.heads)


def last_given(connection: sqlite3.Connection) -> int:
    """The last seq that was given, whether its record is here still or not."""
    asked = ("select max(seq) from exchange", "select seq from sqlite_sequence where name = 'exchange'")
    return max(_number(connection, sql) for sql in asked)


def end_of(connection: sqlite3.Connection) -> Known:
    """The last seq that was given, and the last record of each node; this looks at all records."""
    last, heads = last_given(connection), dict[str, str]()
    try:
        for node, hash_ in connection.execute(
            "select node, hash from exchange where seq in (select max(seq) from exchange group by node)"
        ):
            heads[node] = hash_
    except sqlite3.Error:
        heads = {}  # not all of them can be read, and half of the truth would look like all of it
    return Known(last, heads)


def signed_of(data_dir: Path, heads_file: Path) -> dict[str, int]:
    """node → seq of the last record that a signed head at the end of this file names; nothing where there is none."""
    found: dict[str, int] = {}
    try:
        lines = heads_file.read_text(encoding="utf-8", errors="replace").split("\n")[-_LINES:]
        heads, _ = read_heads("\n".join(lines), public_key(data_dir))
    except (OSError, ValueError):
        return {}  # no head was signed here yet, or the key is not here any more
    for head in heads:
        if head.node not in (ACCESS, TOMBSTONES):
            found[head.node] = max(found.get(head.node, 0), head.seq)
    return found


def _number(connection: sqlite3.Connection, sql: str) -> int:
    try:
        found = connection.execute(sql).fetchone()
    except sqlite3.Error:
        return 0  # this part of the file is what is damaged
    return int(found[0] or 0) if found else 0


def begun_anew(reason: str, kept_as: Path, known: Known, at: float) -> ChainBreak:
    """The break with which a new file begins: everything before it is in the damaged one."""
    lost = ((1, known.last_seq),) if known.last_seq else ()
    return ChainBreak(known.last_seq, int(at * 1e6), reason, kept_as.name, lost, (), known.heads)
