"""What retention leaves where exchanges were: ranges of the record, with the hashes at both ends.

The chain holds over them: the next record follows the last one that is gone, and the first that is gone follows the one
before. A tombstone commits to the ranges of its run; its head is signed with the others.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlite_utils import Database

from storage.problem import AlteredRow
from storage.sqlite.breaks import Range

PRUNE, PRUNED, EXPIRE, EXPIRED = "prune", "pruned", "expire", "expired"
_numbers = msgspec.json.Decoder(dict[str, list[tuple[int, int]]]).decode
_canonical = msgspec.json.Encoder(order="sorted").encode


def m007_retention(db: Database) -> None:
    """A step of the schema (storage.sqlite.migrations); what was shipped is never edited."""
    db.execute(
        """
        create table pruned (      -- exchanges that were let go for their age or the room they took
            first integer primary key, last integer not null, -- seqs, both included: one after the other, of one node
            node text not null,
            prev_hash text not null, -- what the first of them followed
            hash text not null,      -- what the next of this node follows
            numbers text not null,   -- JSON {boot: [[first, last], …]}: how workers had counted them
            tombstone integer not null references tombstone (id)
        ) strict
        """
    )
    db.execute("create index pruned_node on pruned (node, last)")
    db.execute("create index pruned_tombstone on pruned (tombstone)")
    db.execute(
        """
        create table unswept (     -- people of whom exchanges were let go, and pieces of whose bodies may be left over
            scope integer primary key
        ) strict
        """
    )
    db.execute("create index body_raw_kept on body (seq) where raw = 'kept'")


@dataclass(frozen=True, slots=True)
class Pruned:
    """One range that is gone."""

    first: int
    last: int
    node: str
    prev_hash: str
    hash: str
    numbers: dict[str, list[Range]]
    tombstone: int


@dataclass(slots=True)
class Gone:
    """An exchange that is being let go: what its range keeps of it."""

    seq: int
    node: str
    boot: str
    number: int
    prev_hash: str
    hash: str


class Ranges:
    """Written inside the transactions of a retention run."""

    def __init__(self, connection: sqlite3.Connection, tombstone: int) -> None:
        self._connection = connection
        self._tombstone = tombstone

    def add(self, gone: Gone) -> None:
        """Let the range that ends before this exchange grow, or begin one."""
        execute = self._connection.execute
        before = execute(
            "select first, last, node, tombstone, numbers from pruned where first < ? order by first desc limit 1",
            (gone.seq,),
        ).fetchone()
        if before is not None and before[1:4] == (gone.seq - 1, gone.node, self._tombstone):
            numbers = json.loads(before[4])
            _count(numbers, gone)
            execute(
                "update pruned set last = ?, hash = ?, numbers = ? where first = ?",
                (gone.seq, gone.hash, json.dumps(numbers), before[0]),
            )
            return
        numbers = {}
        _count(numbers, gone)
        row = (gone.seq, gone.seq, gone.node, gone.prev_hash, gone.hash, json.dumps(numbers), self._tombstone)
        execute("insert into pruned values (?, ?, ?, ?, ?, ?, ?)", row)


def _count(numbers: dict[str, list[Any]], gone: Gone) -> None:
    counted = numbers.setdefault(gone.boot, [])
    for each in counted:
        if each[1] + 1 == gone.number:
            each[1] = gone.number
            return
        if each[0] - 1 == gone.number:
            each[0] = gone.number
            return
    counted.append([gone.number, gone.number])


def read_pruned(connection: sqlite3.Connection, tombstone: int | None = None) -> Iterator[Pruned]:
    """The ranges, in the order of the record; those of one run when its tombstone is given.

    Raises:
        AlteredRow: one cannot be read.
    """
    where, values = ("where tombstone = ?", (tombstone,)) if tombstone is not None else ("", ())
    columns = "first, last, node, prev_hash, hash, numbers, tombstone"
    for first, last, node, prev_hash, hash_, numbers, run in connection.execute(
        f"select {columns} from pruned {where} order by first",  # noqa: S608 - SQL of our own
        values,
    ):
        try:
            counted = _numbers(numbers)
        except msgspec.DecodeError:
            raise AlteredRow(f"the range of records {first} to {last}, which were let go, was altered") from None
        yield Pruned(first, last, node, prev_hash, hash_, counted, run)


def last_pruned(connection: sqlite3.Connection, node: str) -> tuple[int, str] | None:
    """(seq, hash) of the last exchange of this node that was let go."""
    found = connection.execute(
        "select last, hash from pruned where node = ? order by last desc limit 1", (node,)
    ).fetchone()
    return (found[0], found[1]) if found else None


def digest_of(connection: sqlite3.Connection, tombstone: int) -> str:
    """What the tombstone of a run commits to: all its ranges."""
    digest = hashlib.sha256()
    for each in read_pruned(connection, tombstone):
        digest.update(_canonical([each.first, each.last, each.node, each.prev_hash, each.hash, each.numbers]))
    return digest.hexdigest()
