"""Where the chain goes on after the file was damaged. A break is a link itself: it commits to what came before as far
as that is known, names what is lost, and every node's next record commits to it. So nobody adds one unseen."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import msgspec
from sqlite_utils import Database

from exchange.record import iso
from storage.problem import AlteredRow

_ranges = msgspec.json.Decoder(list[tuple[int, int]]).decode
_heads = msgspec.json.Decoder(dict[str, str]).decode
_canonical = msgspec.json.Encoder(order="sorted").encode

type Range = tuple[int, int]
"""First and last seq, both included."""


def m004_breaks(db: Database) -> None:
    """A step of the schema (storage.sqlite.migrations); what was shipped is never edited."""
    db.execute(
        """
        create table chain_break ( -- the file was damaged here, and the record goes on
            number integer primary key,
            after_seq integer not null, -- records up to this one came before
            at integer not null,        -- microseconds since 1970
            reason text not null,       -- what was wrong with the file
            kept_as text,               -- the name of the damaged file
            lost text not null,         -- JSON [[first, last], …]: records that are not here any more
            without text not null,      -- JSON [[first, last], …]: records whose content is not here any more
            heads text not null,        -- JSON {node: hash}: the last record of each node before, as far as known
            hash text not null          -- commits to all of this; every node's next record commits to it
        ) strict
        """
    )


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """One break. Times in microseconds since 1970."""

    after_seq: int
    at: int
    reason: str
    kept_as: str | None
    lost: tuple[Range, ...]
    without: tuple[Range, ...]
    heads: Mapping[str, str]

    def hash(self) -> str:
        """What the next record of every node links to."""
        return "s1:" + hashlib.sha256(_canonical(["break", asdict(self)])).hexdigest()

    def said(self) -> str:
        """For a person who verifies."""
        parts = [f"after record {self.after_seq} the file was damaged ({self.reason}), found {iso(self.at)}"]
        if self.lost:
            parts.append(f"records {shown(self.lost)} are not in this file any more")
        if self.without:
            parts.append(f"of records {shown(self.without)} the content is lost")
        if self.kept_as:
            parts.append(f"the damaged file is {self.kept_as}")
        return "; ".join(parts)


def shown(ranges: Sequence[Range]) -> str:
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges)


def ranges(seqs: Sequence[int]) -> tuple[Range, ...]:
    """Ascending seqs as ranges."""
    found: list[Range] = []
    for seq in seqs:
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return tuple(found)


def without(whole: Range, taken: Sequence[Range]) -> tuple[Range, ...]:
    """What is left of a range; nothing where it is empty."""
    first, last = whole
    left: list[Range] = []
    for begin, end in sorted(taken):
        if begin > first:
            left.append((first, min(begin - 1, last)))
        first = max(first, end + 1)
        if first > last:
            break
    if first <= last:
        left.append((first, last))
    return tuple((a, b) for a, b in left if a <= b)


def is_in(seq: int, given: Sequence[Range]) -> bool:
    return any(first <= seq <= last for first, last in given)


def write_break(connection: sqlite3.Connection, broken: ChainBreak) -> None:
    """Put it down, and let numbers go on after it. The caller has a transaction open."""
    connection.execute(
        "insert into chain_break (after_seq, at, reason, kept_as, lost, without, heads, hash) "
        "values (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            broken.after_seq, broken.at, broken.reason, broken.kept_as, json.dumps(broken.lost),
            json.dumps(broken.without), json.dumps(dict(broken.heads)), broken.hash(),
        ),
    )  # fmt: skip
    known = connection.execute("select seq from sqlite_sequence where name = 'exchange'").fetchone()
    if known is None:
        connection.execute("insert into sqlite_sequence (name, seq) values ('exchange', ?)", (broken.after_seq,))
    elif known[0] < broken.after_seq:
        connection.execute("update sqlite_sequence set seq = ? where name = 'exchange'", (broken.after_seq,))


def read_breaks(connection: sqlite3.Connection) -> list[tuple[ChainBreak, str]]:
    """Every break with the hash that stands beside it, in order.

    Raises:
        AlteredRow: one cannot be read.
    """
    rows = connection.execute(
        "select after_seq, at, reason, kept_as, lost, without, heads, hash from chain_break order by number"
    ).fetchall()
    found: list[tuple[ChainBreak, str]] = []
    for after_seq, at, reason, kept_as, lost, without, heads, hash_ in rows:
        try:
            broken = ChainBreak(
                after_seq, at, reason, kept_as, tuple(_ranges(lost)), tuple(_ranges(without)), _heads(heads)
            )
        except msgspec.DecodeError:
            raise AlteredRow(f"the break after record {after_seq} was altered: it cannot be read") from None
        found.append((broken, hash_))
    return found


def last_break(connection: sqlite3.Connection) -> tuple[int, str] | None:
    """(after_seq, hash) of the latest break; None when there is none."""
    found = connection.execute("select after_seq, hash from chain_break order by number desc limit 1").fetchone()
    return None if found is None else (int(found[0]), str(found[1]))
