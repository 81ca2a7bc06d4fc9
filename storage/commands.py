"""commands.db: what people want changed in the record. They write here; the recorder carries it out, in order.

Whoever may write in data_dir may command: the command line now, the console later. A command is carried out once; one
that was interrupted is carried on with at the recorder's next start, so every command must bear being begun again.
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
    state text not null,                  -- waiting, running, done, failed
    plan text,                            -- JSON: what was found when it was begun
    doing text, done integer, total integer, -- how far it is
    outcome text,                         -- JSON: counts; or {"error": why not}
    ended_at integer
) strict
"""


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
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def ask(self, kind: str, arguments: dict[str, Any], *, actor: str, reason: str | None) -> str:
        """Put a command at the end. Returns its uid."""
        uid = uuid_utils.uuid7().hex
        self._connection.execute(
            "insert into command (uid, kind, arguments, actor, reason, asked_at, state) values (?,?,?,?,?,?,'waiting')",
            (uid, kind, json.dumps(arguments, ensure_ascii=False), actor, reason, time.time_ns() // 1000),
        )
        return uid

    def open(self) -> Iterator[Command]:
        """Those that are not done yet, one after the other."""
        while row := self._one("where state in ('waiting', 'running') order by id limit 1"):
            yield _command(row)

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
        columns = "uid, actor, reason, asked_at, kind, arguments, state, plan, doing, done, total, outcome"
        row: tuple[Any, ...] | None = self._connection.execute(
            f"select {columns} from command {where}",  # noqa: S608 - SQL of our own
            values,
        ).fetchone()
        return row

    def _set(self, uid: str, changes: str, *values: object) -> None:
        self._connection.execute(f"update command set {changes} where uid = ?", (*values, uid))  # noqa: S608 - ours


def _command(row: tuple[Any, ...]) -> Command:
    uid, actor, reason, asked_at, kind, arguments, state, plan, doing, done, total, outcome = row
    return Command(
        order=Order(uid, actor, reason, asked_at),
        kind=kind,
        arguments=json.loads(arguments),
        state=state,
        plan=json.loads(plan) if plan else None,
        doing=doing,
        done=done or 0,
        total=total or 0,
        outcome=json.loads(outcome) if outcome else None,
    )
