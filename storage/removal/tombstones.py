"""What is left where something was taken out of audit.db: who asked for it, when, why, and how much it was.

Tombstones are a chain of their own, beside that of the exchanges: whoever takes content out without one, or makes one
up later, is found (storage.sqlite.verifying); their head is signed like the others.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlite_utils import Database

GENESIS: Final = "t1:" + "0" * 64
NODE: Final = "tombstones"
"""The name under which signed heads of this chain stand beside those of the record."""

ERASE, ERASED, HOLD, RELEASE = "erase", "erased", "hold", "release"
_canonical = msgspec.json.Encoder(order="sorted").encode


def m005_erasable(db: Database) -> None:
    """A step of the schema (storage.sqlite.migrations); what was shipped is never edited."""
    db.execute(
        """
        create table tombstone (   -- what was done to the record: a chain of its own
            id integer primary key,
            at integer not null,   -- microseconds since 1970
            kind text not null,    -- erase, erased, hold, release, …
            command text not null, -- commands.db: command.uid
            actor text not null,   -- who asked
            reason text,
            detail text not null,  -- JSON
            prev_hash text not null, hash text not null
        ) strict
        """
    )
    db.execute("create index tombstone_command on tombstone (command)")
    db.execute(
        """
        create table erased ( -- exchanges whose content was taken out: their row and their place in the chain stay
            seq integer primary key references exchange (seq),
            tombstone integer not null references tombstone (id)
        ) strict
        """
    )
    db.execute("create index erased_tombstone on erased (tombstone)")
    db.execute(
        """
        create table said (     -- what was indexed for search, kept to be taken out of the index by the same words
            seq integer primary key references exchange (seq),
            content blob not null -- manifest of JSON: {"user": […], "answer": […], "tool": […]}
        ) strict
        """
    )
    db.execute(
        """
        create table hold (     -- what neither erasure nor retention may touch: one of person, issuer + subject, thread
            id integer primary key,
            person text,        -- address or subject
            issuer text, subject text,
            thread_id text,
            reason text not null, actor text not null, at integer not null
        ) strict
        """
    )
    db.execute(
        """
        create table outbox (   -- commands for whoever has a copy of the record: every sink carries them out in order
            id integer primary key autoincrement,
            at integer not null, kind text not null, detail text not null -- JSON
        ) strict
        """
    )
    # Exchanges of before there was a table of identities: whoever asks for a person must find all of them.
    db.execute(
        "insert or ignore into identity select distinct issuer, subject, coalesce(email, '') from exchange "
        "where issuer is not null and subject is not null"
    )


@dataclass(frozen=True, slots=True)
class Order:
    """A command that changes the record, as its tombstones name it."""

    uid: str
    actor: str
    reason: str | None
    asked_at: int  # microseconds since 1970
    approver: str | None = None  # the second person, where one was needed


class Tombstones:
    """Written by the recorder, inside its transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, kind: str, order: Order, detail: dict[str, Any]) -> int:
        """Put one at the end of the chain; returns its id."""
        last = self._connection.execute("select id, hash from tombstone order by id desc limit 1").fetchone()
        previous = last[1] if last else GENESIS
        if order.approver is not None:
            detail = {**detail, "approver": order.approver}
        row = (time.time_ns() // 1000, kind, order.uid, order.actor, order.reason, json.dumps(detail))
        number = (last[0] if last else 0) + 1
        self._connection.execute(
            "insert into tombstone values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, *row, previous, link(previous, number, *row)),
        )
        return number

    def of(self, order: Order, kind: str) -> int | None:
        """The id of what this command left already: it was interrupted and is carried on with."""
        found = self._connection.execute(
            "select id from tombstone where command = ? and kind = ?", (order.uid, kind)
        ).fetchone()
        return found[0] if found else None

    def head(self) -> tuple[int, str] | None:
        """(id, hash) of the last; None where there is none."""
        found = self._connection.execute("select id, hash from tombstone order by id desc limit 1").fetchone()
        return (found[0], found[1]) if found else None

    def send(self, kind: str, detail: dict[str, Any]) -> None:
        """Put a command for other stores into the outbox."""
        self._connection.execute(
            "insert into outbox (at, kind, detail) values (?, ?, ?)",
            (time.time_ns() // 1000, kind, json.dumps(detail, ensure_ascii=False)),
        )


def link(previous: str, number: int, *row: object) -> str:
    """The hash of a tombstone that follows `previous`."""
    return "t1:" + hashlib.sha256(_canonical([previous, number, *row])).hexdigest()


def chain_problem(connection: sqlite3.Connection, heads: Iterable[tuple[int, str]] = ()) -> tuple[str | None, int]:
    """(what is wrong with the chain of tombstones, None when it holds; how many signed heads match)."""
    signed = dict(heads)
    matched, expected, previous = 0, 1, GENESIS
    columns = "id, at, kind, command, actor, reason, detail, prev_hash, hash"
    for number, *row, prev_hash, hash_ in connection.execute(f"select {columns} from tombstone order by id"):  # noqa: S608 - names of our own
        if number != expected or prev_hash != previous:
            return f"tombstone {number} does not follow the one before it", matched
        if link(previous, number, *row) != hash_:
            return f"tombstone {number} was altered", matched
        if (head := signed.pop(number, None)) is not None:
            if head != hash_:
                return f"tombstone {number} is not the one that a signed head names", matched
            matched += 1
        previous, expected = hash_, expected + 1
    if signed:
        return f"tombstones {expected} to {max(signed)} are cut off: a signed head names the last", matched
    return None, matched
