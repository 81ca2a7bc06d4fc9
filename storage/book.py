"""data_dir/fronts.db: which sessions, tokens and devices there are, and whose. No token, code or secret stands in it.

What passes is decided by signatures and by who is revoked; this is what people are shown, and may end. One process
writes here: that of the fronts, or in its place whoever holds its lock.
"""

import contextlib
import json
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from exchange.scope import Scope

DEVICE_LIFE_S: Final = 600
_SHOWN_S: Final = 90 * 86400
"""How long a token is listed after its end, in seconds."""

_WAITING: Final = 20_000
"""Devices that may wait at once, since anybody may ask for a code. Then the oldest goes: whoever asks for thousands
must ask for more than these while one person reads a code."""

_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Of user codes: no vowels, so no words (RFC 8628 §6.1)."""

_SCHEMA: Final = """
create table if not exists session (
    number text primary key, email text not null, origin text not null, began integer not null, ends integer not null,
    agent text not null) strict;
create table if not exists token (
    number text primary key, email text not null, name text not null, began integer not null, ends integer not null,
    scope text not null, ended integer) strict;
create table if not exists device (
    device text primary key, code text not null unique, name text not null, ends integer not null,
    asked real not null, state text not null, email text, groups text) strict;
create table if not exists erasure (
    command text primary key, at integer not null, sessions integer not null, tokens integer not null,
    devices integer not null) strict;
create index if not exists session_email on session (email);
create index if not exists token_email on token (email);
"""

DeviceState = Literal["waiting", "approved", "denied", "taken"]


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its owner sees it. Times in Unix seconds; `ended`: when it was revoked."""

    number: str
    name: str
    began: int
    ends: int
    scope: Scope
    ended: int | None


@dataclass(frozen=True, slots=True)
class Device:
    """A terminal that waits for its person."""

    name: str
    state: DeviceState
    email: str | None


@dataclass(frozen=True, slots=True)
class Approved:
    """A terminal whose person said yes; `groups` are theirs at that time."""

    email: str
    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What the book has of somebody, by number. `open`: the sessions and tokens among it that are not over yet, with
    their ends in Unix seconds."""

    sessions: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    open: tuple[tuple[str, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sessions or self.tokens or self.devices)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much of it an erasure took out."""

    sessions: int
    tokens: int
    devices: int


def book_path(data_dir: Path) -> Path:
    return data_dir / "fronts.db"


def book_lock(data_dir: Path) -> Path:
    """The lock of the one who writes there (storage.journal.files.hold_lock)."""
    return data_dir / "fronts.db.lock"


class BookReader:
    """The book for whoever only reads in it; it must be there. Opened for each question: few are asked.

    Raises (every method):
        sqlite3.Error: the file cannot be used.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = book_path(data_dir)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        book = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=10, isolation_level=None)
        try:
            yield book
        finally:
            book.close()

    def held(self, addresses: Collection[str], before: float) -> Held:
        """What there is of whoever has one of these addresses, from until then (Unix seconds)."""
        sessions: list[tuple[str, int]] = []
        tokens: list[tuple[str, int, int | None]] = []
        devices: list[str] = []
        with self._open() as book:
            for email in sorted(addresses):
                rows = book.execute("select number, ends from session where email = ? and began <= ?", (email, before))
                sessions += rows.fetchall()
                rows = book.execute(
                    "select number, ends, ended from token where email = ? and began <= ?", (email, before)
                )
                tokens += rows.fetchall()
                rows = book.execute(
                    "select device from device where email = ? and ends <= ?", (email, before + DEVICE_LIFE_S)
                )
                devices += [row[0] for row in rows]
        now = time.time()
        return Held(
            tuple(number for number, _ in sessions),
            tuple(number for number, _, _ in tokens),
            tuple(devices),
            (
                *((number, ends) for number, ends in sessions if ends > now),
                *((number, ends) for number, ends, ended in tokens if ends > now and ended is None),
            ),
        )

    def erasure(self, command: str) -> Forgotten | None:
        """What the erasure of this command took out; None: it was not carried out here yet."""
        with self._open() as book:
            if book.execute("select 1 from sqlite_schema where name = 'erasure'").fetchone() is None:
                return None  # a file of before
            row = book.execute("select sessions, tokens, devices from erasure where command = ?", (command,)).fetchone()
        return Forgotten(*row) if row else None


class Book(BookReader):
    """The book for its one writer. Any thread may ask."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        with self._open() as book:
            book.execute("pragma journal_mode = wal")
            book.executescript(_SCHEMA)
            if "groups" not in {row[1] for row in book.execute("pragma table_info(device)")}:  # a file of before
                book.execute("alter table device add column groups text")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        book = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        try:
            book.execute("pragma secure_delete = on")  # what is forgotten leaves no copy of itself on its page
            yield book
        finally:
            book.close()

    # -- erasure -----------------------------------------------------------------------------------------------------

    def forget(self, command: str, held: Held) -> None:
        """Take exactly this out, and note that this command (a command's uid) was carried out here. What is open of it
        must be revoked first: what is not listed cannot be ended."""
        counts = (len(held.sessions), len(held.tokens), len(held.devices))
        with self._open() as book:
            book.execute("begin immediate")
            for delete, numbers in (
                ("delete from session where number = ?", held.sessions),
                ("delete from token where number = ?", held.tokens),
                ("delete from device where device = ?", held.devices),
            ):
                book.executemany(delete, [(number,) for number in numbers])
            book.execute(
                "insert into erasure values (?, ?, ?, ?, ?) on conflict (command) do update set "
                "sessions = sessions + excluded.sessions, tokens = tokens + excluded.tokens, "
                "devices = devices + excluded.devices",
                (command, int(time.time()), *counts),
            )
            book.execute("commit")
            book.execute("pragma wal_checkpoint(truncate)")  # nor does the write-ahead log

    def tidy(self) -> None:
        """Let go of what is over and shown no more."""
        now = int(time.time())
        with self._open() as book:
            book.execute("delete from session where ends <= ?", (now,))
            book.execute("delete from token where ends <= ?", (now - _SHOWN_S,))
            book.execute("delete from device where ends <= ?", (now,))

    # -- sessions ----------------------------------------------------------------------------------------------------

    def begin_session(self, number: str, email: str, origin: str, ends: int, agent: str) -> None:
        now = int(time.time())
        with self._open() as book:
            book.execute("delete from session where ends <= ?", (now,))
            book.execute("insert into session values (?, ?, ?, ?, ?, ?)", (number, email, origin, now, ends, agent))

    def sessions_of(self, email: str) -> list[tuple[str, int]]:
        """Numbers and ends of this person's sessions, at whatever front."""
        with self._open() as book:
            return list(book.execute("select number, ends from session where email = ?", (email,)))

    # -- tokens ------------------------------------------------------------------------------------------------------

    def begin_token(self, number: str, email: str, name: str, ends: int, scope: Scope) -> None:
        written = json.dumps({"models": scope.models, "operations": scope.operations})
        now = int(time.time())
        with self._open() as book:
            book.execute("delete from token where ends <= ?", (now - _SHOWN_S,))
            book.execute(
                "insert into token values (?, ?, ?, ?, ?, ?, null)",
                (number, email, name, now, ends, written),
            )

    def tokens_of(self, email: str) -> list[Token]:
        """This person's tokens, the newest first."""
        with self._open() as book:
            rows = book.execute(
                "select number, name, began, ends, scope, ended from token where email = ? order by began desc, number",
                (email,),
            ).fetchall()
        return [
            Token(number, name, began, ends, _scope(scope), ended) for number, name, began, ends, scope, ended in rows
        ]

    def end_token(self, number: str, email: str) -> Token | None:
        """Note that it is revoked. None: this person has no such token."""
        with self._open() as book:
            book.execute(
                "update token set ended = ? where number = ? and email = ? and ended is null",
                (int(time.time()), number, email),
            )
        return next((one for one in self.tokens_of(email) if one.number == number), None)

    # -- devices (RFC 8628) ------------------------------------------------------------------------------------------

    def begin_device(self, name: str) -> tuple[str, str]:
        """A device code and a user code, for DEVICE_LIFE_S."""
        device, now = secrets.token_urlsafe(32), time.time()
        letters = [secrets.choice(_LETTERS) for _ in range(8)]
        code = "".join(letters[:4]) + "-" + "".join(letters[4:])
        with self._open() as book:
            book.execute("delete from device where ends <= ?", (int(now),))
            book.execute(
                "delete from device where rowid in (select rowid from device order by rowid desc limit -1 offset ?)",
                (_WAITING - 1,),
            )
            book.execute(
                "insert into device values (?, ?, ?, ?, ?, 'waiting', null, null)",
                (_hashed(device), code, name, int(now) + DEVICE_LIFE_S, 0.0),
            )
        return device, code

    def device(self, code: str) -> Device | None:
        """The device with this user code, as people type it."""
        with self._open() as book:
            row = book.execute(
                "select name, state, email from device where code = ? and ends > ?", (_written(code), time.time())
            ).fetchone()
        return Device(*row) if row else None

    def answer_device(self, code: str, email: str, groups: Sequence[str], *, approved: bool) -> bool:
        """This person, who is in these groups, says yes or no; said again, it was heard. False: nobody waits with this
        code any more."""
        state = "approved" if approved else "denied"
        with self._open() as book:
            before = book.execute(
                "select state, email from device where code = ? and ends > ?", (_written(code), time.time())
            ).fetchone()
            if (
                before is not None
                and before[1] == email
                and (before[0] == state or (before[0] == "taken" and approved))
            ):
                return True
            done = book.execute(
                "update device set state = ?, email = ?, groups = ? where code = ? and ends > ? and state = 'waiting'",
                (state, email, json.dumps(list(groups)), _written(code), time.time()),
            )
            return done.rowcount == 1

    def ask_device(self, device: str, interval: float) -> tuple[str, Approved | None]:
        """What a device is told: (`taken`, for whom) once, when its person said yes; else (the error of RFC 8628 §3.5,
        None)."""
        now, hashed = time.time(), _hashed(device)
        with self._open() as book:
            book.execute("begin immediate")
            row = book.execute(
                "select name, state, email, asked, ends, groups from device where device = ?", (hashed,)
            ).fetchone()
            told, found = "expired_token", None
            if row is not None and row[4] > now:
                early = now - row[3] < interval * 0.8
                told = {"denied": "access_denied", "taken": "expired_token"}.get(
                    row[1], "slow_down" if early else "authorization_pending"
                )
                book.execute("update device set asked = ? where device = ?", (now, hashed))
                if row[1] == "approved" and not early:
                    book.execute("update device set state = 'taken' where device = ?", (hashed,))
                    told, found = "taken", Approved(row[2], row[0], tuple(json.loads(row[5] or "[]")))
            book.execute("commit")
        return told, found


def _hashed(device: str) -> str:
    return sha256(device.encode()).hexdigest()


def _written(code: str) -> str:
    """As it is written, however it was typed."""
    letters = "".join(letter for letter in code.upper() if letter in _LETTERS)
    return f"{letters[:4]}-{letters[4:]}"


def _scope(text: str) -> Scope:
    said = json.loads(text)
    models, operations = said["models"], said["operations"]
    return Scope(
        None if models is None else tuple(models),
        None if operations is None else tuple(operations),
    )
