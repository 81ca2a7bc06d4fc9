"""Which exchanges are due: by their age, or by what a rule's exchanges may take.

Each question goes to the index of rules and times, for one rule at a time: what is kept is not gone through to find
what is not. Pages are short, so that whoever asks can do something else between two of them.
"""

import heapq
import sqlite3
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from sqlite_utils import Database

from storage.removal.sweeping import Step

PAGE = 1000
"""Exchanges looked at in one go."""

type Place = tuple[int, int]
"""(started_at, seq) of an exchange: its place among those of its rule."""


def m009_due(db: Database) -> None:
    """A step of the schema (storage.sqlite.migrations); what was shipped is never edited."""
    db.execute("create index exchange_rule on exchange (rule, started_at)")
    db.execute("create index tombstone_kind on tombstone (kind)")


@dataclass(frozen=True, slots=True)
class Limit:
    """How long, in microseconds, and how much, in bytes; None is for ever, and any amount."""

    age: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long what is kept. `rules`: by the name of the rule that decided, in place of the general age."""

    general: Limit = Limit()
    raw: int | None = None  # microseconds
    rules: Mapping[str, Limit] = field(default_factory=dict)

    def is_for_ever(self) -> bool:
        return self == Keeping()


def due_by_age(connection: sqlite3.Connection, keeping: Keeping, now: int) -> Iterator[tuple[str, Iterator[int]]]:
    """The setting that says so, and the seqs of what is older, about in the order of the record."""
    others: list[str | None] = []
    for rule in _rules(connection):
        age = keeping.rules[rule].age if rule is not None and rule in keeping.rules else None
        if age is None:
            others.append(rule)
        else:
            yield f"rules.{rule}.keep.days", (seq for _, seq in _older(connection, rule, now - age))
    if keeping.general.age is not None:
        before = now - keeping.general.age
        yield "storage.keep.days", (seq for _, seq in heapq.merge(*(_older(connection, r, before) for r in others)))


def due_by_size(connection: sqlite3.Connection, rule: str, limit: int) -> Generator[Step, None, Iterator[int]]:
    """Of this rule's exchanges, those before the newest so many bytes of bodies on the wire. Counts page by page."""
    room, done, at = limit, 0, (1 << 62, 0)
    asked = (
        "select started_at, seq, request_bytes + response_bytes from exchange where rule = ? "
        "and started_at <= ? and (started_at, seq) < (?, ?) order by started_at desc, seq desc limit ?"
    )
    while page := connection.execute(asked, (rule, at[0], *at, PAGE)).fetchall():
        for *at_, size in page:
            room -= size
            if room < 0:
                return (seq for _, seq in _older(connection, rule, at_[0], at_[1]))
        done += len(page)
        at = (page[-1][0], page[-1][1])
        yield f"counting (rules.{rule}.keep.bytes)", done, 0
    return iter(())


def _older(connection: sqlite3.Connection, rule: str | None, before: int, upto: int = -1) -> Iterator[Place]:
    """What this rule decided (None: none did) before this time; of that time itself, up to a seq."""
    asked = (
        "select started_at, seq from exchange where rule is ? and started_at between ? and ? "
        "and (started_at, seq) > (?, ?) and (started_at, seq) <= (?, ?) order by started_at, seq limit ?"
    )
    at = (-1 << 62, 0)
    while page := connection.execute(asked, (rule, at[0], before, *at, before, upto, PAGE)).fetchall():
        yield from page
        at = page[-1]


def _rules(connection: sqlite3.Connection) -> Iterator[str | None]:
    """The rules on record, one look into the index for each."""
    if connection.execute("select 1 from exchange where rule is null limit 1").fetchone() is not None:
        yield None
    following = "select min(rule) from exchange where rule > ?"
    rule = ""
    while (found := connection.execute(following, (rule,)).fetchone()[0]) is not None:
        yield found
        rule = found
