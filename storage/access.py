"""access.db: who looked at what, hash-chained, written before anything is shown.

Anybody who may read the record writes here, each in a transaction of its own that waits for the disk. What was looked
for is kept sealed: words that somebody searches for are words that somebody said, and stand nowhere in clear.
"""

import base64
import contextlib
import hashlib
import json
import os
import pwd
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

GENESIS: Final = "a1:" + "0" * 64
NODE: Final = "access.db"
"""The name under which signed heads of this chain stand beside those of the record."""

_REMEDY: Final = "See that the disk has room and that you may write there."
_NONCE: Final = 12  # bytes, as AES-GCM wants them (NIST SP 800-38D, 5.2.1.1)
_KEY: Final = 32  # bytes
_FOR: Final = b"sekisho access"
_SCHEMA: Final = """
create table if not exists access (
    seq integer primary key autoincrement,
    at text not null,           -- RFC 3339, UTC
    actor text not null,        -- the operating system's name of whoever looked
    action text not null,       -- search, show, replay, export, tail
    exchanges text not null,    -- which: ranges of exchange.seq, as in 3-7,12
    asked blob not null,        -- what was asked for: JSON, sealed with keys/access.key
    reason text,
    prev_hash text not null, hash text not null
) strict
"""
_canonical = msgspec.json.Encoder(order="sorted").encode


class AccessUnwritable(Exception):  # noqa: N818 - said to a person
    """A look cannot be written down; so nothing may be shown."""


class UnusableKey(Exception):  # noqa: N818 - said to a person
    """keys/access.key is not a key."""


@dataclass(frozen=True, slots=True)
class Access:
    """One look at content."""

    seq: int
    at: str
    actor: str
    action: str
    exchanges: str
    asked: dict[str, Any] | None  # None: the key that opens it is not here
    reason: str | None


@dataclass(slots=True)
class AccessVerdict:
    """What was found. `broken` is None when the chain holds."""

    records: int = 0
    broken: str | None = None
    heads_matched: int = 0


def access_path(data_dir: Path) -> Path:
    return data_dir / "access.db"


def actor() -> str:
    """Who runs this process, as the operating system knows it; behind sudo, both names."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    behind = os.environ.get("SUDO_USER") if os.getuid() == 0 else None
    return f"{name} (sudo: {behind})" if behind else name


def ranges(seqs: Iterable[int]) -> str:
    """Numbers as people write them: 3-7,12."""
    parts: list[list[int]] = []
    for seq in sorted(set(seqs)):
        if parts and seq == parts[-1][1] + 1:
            parts[-1][1] = seq
        else:
            parts.append([seq, seq])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


class Spans:
    """What `ranges` wrote, read again: is a number among them? One that ends with a dash has no end."""

    def __init__(self, written: str) -> None:
        parts = [part.partition("-") for part in filter(None, written.split(","))]
        self.parts = [(int(first), int(last) if last else None if dash else int(first)) for first, dash, last in parts]

    def __contains__(self, number: int) -> bool:
        return any(first <= number and (last is None or number <= last) for first, last in self.parts)


def write_access(
    data_dir: Path, *, action: str, asked: dict[str, Any], exchanges: str, reason: str | None, who: str | None = None
) -> None:
    """Write down one look. Returns once the disk has it.

    Args:
        asked: what was asked for; kept sealed.
        exchanges: which exchanges are about to be shown, as `ranges` writes them.
        who: whoever looks; the user of this process when not given.

    Raises:
        AccessUnwritable: it is not written; the message says why.
    """
    path = access_path(data_dir)
    try:
        sealed = _seal(_key(data_dir, make=True), asked)
        connection = _open(path)
        try:
            connection.execute("begin immediate")
            last = connection.execute("select hash from access order by seq desc limit 1").fetchone()
            previous = last[0] if last else GENESIS
            at = datetime.now(tz=UTC).isoformat(timespec="milliseconds")
            row = (at, who or actor(), action, exchanges, sealed, reason)
            connection.execute(
                "insert into access (at, actor, action, exchanges, asked, reason, prev_hash, hash) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, previous, _link(previous, *row)),
            )
            connection.execute("commit")
        finally:
            connection.close()
    except (sqlite3.Error, OSError, UnusableKey) as cannot:
        damaged = isinstance(cannot, sqlite3.DatabaseError) and not isinstance(cannot, sqlite3.OperationalError)
        remedy = (
            "It is damaged: move it to a safe place, it is evidence, and a new one is begun." if damaged else _REMEDY
        )
        raise AccessUnwritable(
            f"Every look at content is written to {path} first, and that failed: {cannot}. So nothing is shown. "
            f"{remedy}"
        ) from cannot


def read_access(data_dir: Path, limit: int) -> Iterator[Access]:
    """The newest looks, oldest of them first.

    Raises:
        sqlite3.Error: access.db cannot be read.
    """
    if not access_path(data_dir).exists():
        return
    try:
        key = _key(data_dir, make=False)
    except (FileNotFoundError, UnusableKey):
        key = None
    connection = _open_to_read(access_path(data_dir))
    try:
        rows = connection.execute("select * from access order by seq desc limit ?", (limit,)).fetchall()
    finally:
        connection.close()
    for row in reversed(rows):
        asked = _unsealed(key, row["asked"])
        yield Access(row["seq"], row["at"], row["actor"], row["action"], row["exchanges"], asked, row["reason"])


def last_access(data_dir: Path) -> tuple[int, str] | None:
    """(seq, hash) of the last look; None where nobody looked.

    Raises:
        sqlite3.Error: access.db cannot be read.
    """
    if not access_path(data_dir).exists():
        return None
    connection = _open_to_read(access_path(data_dir))
    try:
        found = connection.execute("select seq, hash from access order by seq desc limit 1").fetchone()
    finally:
        connection.close()
    return (found[0], found[1]) if found else None


def verify_access(
    data_dir: Path,
    heads: Iterable[tuple[int, str]] = (),
    *,
    seen_one: Callable[[], None] = lambda: None,
    newest: int | None = None,
) -> AccessVerdict:
    """Recompute every hash, oldest first, and hold signed heads, (seq, hash), against them; with `newest` of so many
    looks alone, whose first is taken at its word for what came before."""
    verdict = AccessVerdict()
    try:
        verdict.broken = _problem(data_dir, dict(heads), verdict, seen_one, newest)
    except sqlite3.Error as cannot:
        verdict.broken = f"it cannot be read: {cannot}"
    return verdict


def _problem(
    data_dir: Path, signed: dict[int, str], verdict: AccessVerdict, seen_one: Callable[[], None], newest: int | None
) -> str | None:
    previous, expected = GENESIS, 1
    if access_path(data_dir).exists():
        connection = _open_to_read(access_path(data_dir))
        try:
            if newest is not None:
                last = connection.execute("select max(seq) from access").fetchone()[0] or 0
                before = connection.execute("select hash from access where seq = ?", (last - newest,)).fetchone()
                if before is not None:
                    previous, expected = before["hash"], last - newest + 1
            for row in connection.execute("select * from access where seq >= ? order by seq", (expected,)):
                seen_one()
                if (why := _wrong(row, expected, previous)) is not None:
                    return why
                if (head := signed.pop(row["seq"], None)) is not None:
                    if head != row["hash"]:
                        return f"look {row['seq']} is not the one that a signed head names"
                    verdict.heads_matched += 1
                previous = row["hash"]
                expected += 1
                verdict.records += 1
        finally:
            connection.close()
    if signed:
        return f"looks {expected} to {max(signed)} are cut off: a signed head names the last"
    return None


def _wrong(row: sqlite3.Row, expected: int, previous: str) -> str | None:
    if row["seq"] != expected:
        return f"looks {expected} to {row['seq'] - 1} are missing"
    if row["prev_hash"] != previous:
        return f"look {row['seq']} does not follow the one before it"
    said = (row["at"], row["actor"], row["action"], row["exchanges"], row["asked"], row["reason"])
    return None if _link(previous, *said) == row["hash"] else f"look {row['seq']} was altered"


def _link(previous: str, at: str, who: str, action: str, exchanges: str, asked: bytes, reason: str | None) -> str:
    content = _canonical([previous, at, who, action, exchanges, base64.b64encode(asked).decode(), reason])
    return "a1:" + hashlib.sha256(content).hexdigest()


def _open(path: Path) -> sqlite3.Connection:
    """A rollback journal, and a disk that is waited for: looks are few, and each must be there before it happens."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        connection.execute("pragma synchronous=full")
        connection.execute(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _open_to_read(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)
    connection.row_factory = sqlite3.Row
    return connection


def _key(data_dir: Path, *, make: bool) -> bytes:
    path = data_dir / "keys" / "access.key"
    if make and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"access.key.{os.getpid()}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(AESGCM.generate_key(8 * _KEY))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # somebody else's came first: that one it is
            path.hardlink_to(part)
        part.unlink()
    key = path.read_bytes()
    if len(key) != _KEY:
        raise UnusableKey(f"{path} is no key of {_KEY} bytes; put its copy back, or remove it to have a new one made")
    return key


def _seal(key: bytes, asked: dict[str, Any]) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, json.dumps(asked, ensure_ascii=False).encode(), _FOR)


def _unsealed(key: bytes | None, sealed: bytes) -> dict[str, Any] | None:
    if key is None:
        return None
    try:
        opened: dict[str, Any] = json.loads(AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _FOR))
    except (InvalidTag, ValueError):
        return None
    return opened
