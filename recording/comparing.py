"""Is what was derived what the exact bytes say? It is in no hash, so that a better reader may derive it again; so
whoever can write to the file could put another answer, or another end, in its place."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from recording.costs import Prices
from recording.rebuild import whole_again
from recording.understanding import READER
from storage.sealing.content import Opener
from storage.sqlite.writing import DERIVED, derived_values
from storage.upkeep.kept import KeptExchange, kept_exchanges

_BATCH: Final = 100
_MESSAGES: Final = "application/json-seq"  # of a WebSocket: what the gate refused of them is not told by their bytes
_NOTHING: Final = (None, b"null")

_ELSEWHERE: Final = frozenset({"thread_id", "cost_usd"})
"""What is not in the bytes: a thread is found in its neighbours, a price in a table that is brought up to date."""


@dataclass(slots=True)
class Compared:
    """How many are what their bytes say; what is not, (seq, names of what differs); how many cannot be compared, since
    their bytes are not kept, another version read them, or they came over a WebSocket."""

    same: int = 0
    other: list[tuple[int, list[str]]] = field(default_factory=list)
    left_out: int = 0


def compared(
    connection: sqlite3.Connection, dialects: Mapping[str, str], opener: Opener, seen: Callable[[int], None]
) -> Compared:
    """Derive everything again and hold it against what stands there; nothing is written. `dialects` as for `rebuild`,
    `seen` is told the seq it is at.

    Raises:
        StoreProblem: a record was altered, and is none any more.
    """
    found, prices = Compared(), Prices()
    at, upto = 0, connection.execute("select coalesce(max(seq), 0) from exchange").fetchone()[0]
    while batch := kept_exchanges(connection, at, upto, _BATCH, opener):
        at = batch[-1].seq
        stands = {
            row[0]: tuple(row[1:])
            for row in connection.execute(
                f"select seq, reader, {', '.join(DERIVED)} from exchange where seq between ? and ?",  # noqa: S608 - ours
                (batch[0].seq, at),
            )
        }
        for kept in batch:
            reader, *values = stands[kept.seq]
            if kept.raw is None or reader != READER or kept.raw.request_type == _MESSAGES:
                found.left_out += 1
            elif differs := _differs(kept, tuple(values), dialects, prices):
                found.other.append((kept.seq, differs))
            else:
                found.same += 1
        seen(at)
    return found


def _differs(kept: KeptExchange, values: tuple[object, ...], dialects: Mapping[str, str], prices: Prices) -> list[str]:
    derived = whole_again(kept, dialects, prices).derived
    names = [
        name
        for name, stands, again in zip(DERIVED, values, derived_values(derived), strict=True)
        if stands != again and name not in _ELSEWHERE
    ]
    names += [
        name
        for name, stands, again in (
            ("request", kept.request, derived.request or None),
            ("response", kept.response, derived.response or None),
        )
        if stands != again and not (stands in _NOTHING and again in _NOTHING)
    ]
    return names
