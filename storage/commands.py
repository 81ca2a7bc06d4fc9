"""commands.db: what people want changed in the record. They write here; the recorder carries it out, in order.

Whoever may write in data_dir may command: the command line, and the console for whom it lets. A command is carried out
once; one that was interrupted is carried on with at the recorder's next start, so every command must bear being begun
again. What takes something away waits for a second person where `access.two_people` says so (decision 6).
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uuid_utils

from storage.removal.tombstones import Order

_SCHEMA: Final = """
create table if not exists command (
    id integer primary key autoincrement, -- the order in which they are carried out
    uid text not null unique,             -- UUIDv7, 32 hex digits: tombstones name it
    kind text not null,                   -- erase, hold, release, retain
    arguments text not null,              -- JSON
    actor text not null,                  -- who asked
    reason text,
    asked_at integer not null,            -- microseconds since 1970
    state text not null,                  -- proposed, waiting, running, done, failed
    plan text,                            -- JSON: what was found when it was begun
    doing text, done integer, total integer, -- how far it is
    outcome text,                         -- JSON: counts; or {"error": why not}
    ended_at integer,
    approver text, approved_at integer    -- the second person
) strict
"""
_GROWN: Final = ("approver text", "approved_at integer")
"""Columns that files of before do not have."""

NEED_TWO: Final = frozenset({"erase", "release"})
"""Kinds that a second person must approve. A hold takes nothing away, and must be in time."""


class NotYours(Exception):  # noqa: N818 - said to a person
    """Whoever asked for it cannot approve it."""


class NotOpen(Exception):  # noqa: N818 - said to a person
    """It waits for nobody's approval any more."""


_LAST: Final = 253_402_300_799_999_999  # microseconds since 1970: the end of the year 9999
_COLUMNS: Final = (
    "uid, actor, reason, asked_at, kind, arguments, state, plan, doing, done, total, outcome, "
    "approver, approved_at, ended_at"
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command, as it stands."""

    order: Order
    kind: str
    arguments: dict[str, Any]
    state: str
    plan: dict[str, Any] | None
    doing: str | None
    done: int
    total: int
    outcome: dict[str, Any] | None
    approved_at: int | None = None  # microseconds since 1970
    ended_at: int | None = None
    damaged: str | None = None  # what of it cannot be read, and so must not be carried out


def commands_path(data_dir: Path) -> Path:
    return data_dir / "commands.db"


class Commands:
    """The commands of one instance. Any number of processes may have it open.

    Raises:
        sqlite3.Error, OSError: it cannot be opened or written.
    """

    def __init__(self, data_dir: Path) -> None:
        path = commands_path(data_dir)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10)
        try:
            self._connection.execute("pragma secure_delete=on")
            self._connection.execute(_SCHEMA)
            self._grow()
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def _grow(self) -> None:
        known = {row[1] for row in self._connection.execute("pragma table_info(command)")}
        for column in _GROWN:
            if column.split()[0] not in known:
                try:
                    self._connection.execute(f"alter table command add column {column}")
                except sqlite3.OperationalError as cannot:
                    if "duplicate column" not in str(cannot):  # another process was first
                        raise

    def ask(
        self, kind: str, arguments: dict[str, Any], *, actor: str, reason: str | None, two_people: bool = False
    ) -> str:
        """Put a command at the end; one that needs two people waits for the second. Returns its uid."""
        uid = uuid_utils.uuid7().hex
        state = "proposed" if two_people and kind in NEED_TWO else "waiting"
        self._connection.execute(
            "insert into command (uid, kind, arguments, actor, reason, asked_at, state) values (?,?,?,?,?,?,?)",
            (uid, kind, json.dumps(arguments, ensure_ascii=False), actor, reason, time.time_ns() // 1000, state),
        )
        return uid

    def approve(self, uid: str, approver: str) -> None:
        """The second person says yes: the recorder carries it out.

        Raises:
            LookupError: there is none of this uid.
            NotOpen: it does not wait for approval.
            NotYours: they asked for it themselves.
        """
        command = self.get(uid)
        if command.state != "proposed":
            raise NotOpen("This order does not wait for approval any more.")
        if is_same_person(command.order.actor, approver):
            raise NotYours("Whoever asked for it cannot approve it. A second person has to.")
        changed = self._connection.execute(
            "update command set state = 'waiting', approver = ?, approved_at = ? where uid = ? and state = 'proposed'",
            (approver, time.time_ns() // 1000, uid),
        )
        if not changed.rowcount:
            raise NotOpen("This order does not wait for approval any more.")

    def decline(self, uid: str, actor: str) -> None:
        """Nobody approves it: it is over. Whoever asked may take it back so.

        Raises:
            LookupError, NotOpen: as `approve`.
        """
        self.get(uid)
        said = json.dumps({"error": f"Declined by {actor}."}, ensure_ascii=False)
        changed = self._connection.execute(
            "update command set state = 'failed', outcome = ?, ended_at = ? where uid = ? and state = 'proposed'",
            (said, time.time_ns() // 1000, uid),
        )
        if not changed.rowcount:
            raise NotOpen("This order does not wait for approval any more.")

    def listed(self, limit: int) -> list[Command]:
        """The newest, newest first."""
        asked = f"select {_COLUMNS} from command order by id desc limit ?"  # noqa: S608 - SQL of our own
        return [_command(row) for row in self._connection.execute(asked, (limit,))]

    def open(self) -> Iterator[Command]:
        """Those that are not done yet, one after the other."""
        while row := self._one("where state in ('waiting', 'running') order by id limit 1"):
            yield _command(row)

    def under_way(self, kind: str) -> list[Command]:
        """Those of this kind that are being carried out."""
        asked = f"select {_COLUMNS} from command where kind = ? and state = 'running' order by id"  # noqa: S608 - SQL of our own
        return [_command(row) for row in self._connection.execute(asked, (kind,))]

    def get(self, uid: str) -> Command:
        """This command.

        Raises:
            LookupError: there is none.
        """
        row = self._one("where uid = ?", uid)
        if row is None:
            raise LookupError(uid)
        return _command(row)

    def begun(self, uid: str, plan: dict[str, Any]) -> None:
        """It is being carried out. `plan` is what it needs if it has to be begun again."""
        self._set(uid, "state = 'running', plan = ?", json.dumps(plan, ensure_ascii=False))

    def progress(self, uid: str, doing: str, done: int, total: int) -> None:
        """How far it is."""
        self._set(uid, "state = 'running', doing = ?, done = ?, total = ?", doing, done, total)

    def ended(self, uid: str, outcome: dict[str, Any], *, failed: bool = False) -> None:
        """It is over: what came of it, or why it could not be."""
        said = json.dumps(outcome, ensure_ascii=False)
        state = "failed" if failed else "done"
        self._set(uid, "state = ?, plan = null, outcome = ?, ended_at = ?", state, said, time.time_ns() // 1000)

    def _one(self, where: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(
            f"select {_COLUMNS} from command {where}",  # noqa: S608 - SQL of our own
            values,
        ).fetchone()
        return row

    def _set(self, uid: str, changes: str, *values: object) -> None:
        self._connection.execute(f"update command set {changes} where uid = ?", (*values, uid))  # noqa: S608 - ours


def is_same_person(one: str, other: str) -> bool:
    """May these two names be one person? The operating system calls her `ann`, or `root (sudo: ann)`, and the console
    `ann@example.com`: rather once too often than an order that one person approved twice."""
    return _plain(one) == _plain(other)


def _plain(actor: str) -> str:
    name = actor.removesuffix(" (console)").casefold()
    if name.endswith(")") and " (sudo: " in name:
        name = name.partition(" (sudo: ")[2][:-1]
    return name.partition("@")[0]


def _command(row: tuple[Any, ...]) -> Command:
    (
        uid,
        actor,
        reason,
        asked_at,
        kind,
        arguments,
        state,
        plan,
        doing,
        done,
        total,
        outcome,
        approver,
        approved_at,
        ended_at,
    ) = row
    read = {"arguments": arguments, "plan": plan, "outcome": outcome}
    known = {name: _object(text) for name, text in read.items()}
    damaged = [name for name, text in read.items() if text is not None and known[name] is None]
    if not 0 <= asked_at <= _LAST:
        asked_at, damaged = 0, [*damaged, "time"]
    return Command(
        order=Order(uid, actor, reason, asked_at, approver),
        kind=kind,
        arguments=known["arguments"] or {},
        state=state,
        plan=known["plan"],
        doing=doing,
        done=done or 0,
        total=total or 0,
        outcome=known["outcome"],
        approved_at=approved_at,
        ended_at=ended_at,
        damaged=f"its {', '.join(damaged)} cannot be read" if damaged else None,
    )


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
