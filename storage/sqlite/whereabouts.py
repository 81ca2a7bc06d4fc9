"""Where in the order of the record a query's finds can lie, by what is known of its fields and times beforehand.

The newest fifty of what is common are near the end; of what is rare they may be anywhere, and whoever looks for them
row by row reads a million. The tally (storage.sqlite.tally) knows between which places each kind lies on each day.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from storage.query.terms import After, Before, Query
from storage.sqlite.selection import by_kind, is_looked_up
from storage.sqlite.tally import DAY

_FEW: Final = 20_000  # exchanges, up to which their places are looked up one by one, past which by day
_FEW_WORDS: Final = 2_000  # the same, where each of them asks another index too
_COMMON: Final = 0.5  # of all exchanges: past this, wherever one looks there are some

type Stretch = tuple[int, int]
"""The first and the last seq between which finds can lie, both included."""

EVERYWHERE: Final[Stretch] = (0, 1 << 62)

type Asked = Callable[..., list[Any]]


def stretches(asked: Asked, query: Query, zone: int | None) -> list[Stretch]:
    """All there are, the newest first, none touching another; empty where nothing can be found.

    `zone`: of the tally's days, microseconds east of Greenwich; None where it is not to be asked.
    """
    if zone is None:
        return [EVERYWHERE]
    low, high = _by_time(asked, query, zone)
    found = _by_fields(asked, query)
    return [(max(first, low), min(last, high)) for first, last in found if first <= high and last >= low]


def _by_fields(asked: Asked, query: Query) -> list[Stretch]:
    kinds = by_kind(query)
    if kinds is None:
        return [EVERYWHERE]
    condition, values = kinds
    count, first, last = asked(
        f"select coalesce(sum(count), 0), min(first_seq), max(last_seq) from tally_kind e where {condition}",  # noqa: S608 - our own
        *values,
    )[0]
    if not count:
        return []
    whole = asked("select sum(count) from tally_kind")[0][0]
    most = 0 if is_looked_up(query) else _FEW_WORDS if query.texts() else _COMMON * whole
    if count > most:
        return [(first, last)]
    of_them = f"from tally where kind in (select id from tally_kind e where {condition})"  # noqa: S608 - our own
    if count <= _FEW:
        rows = asked(f"select first_seq, last_seq {of_them} order by last_seq desc", *values)
    else:
        by_day = f"select min(first_seq), max(last_seq) as last {of_them} group by day order by last desc"
        rows = asked(by_day, *values)
    return list(_merged((row[0], row[1]) for row in rows))


def _merged(found: Iterator[Stretch]) -> Iterator[Stretch]:
    """Those that touch as one; they come by where they end, the newest first."""
    now: Stretch | None = None
    for first, last in found:
        if now is not None and last + 1 >= now[0]:
            now = (min(first, now[0]), now[1])
        else:
            if now is not None:
                yield now
            now = (first, last)
    if now is not None:
        yield now


def _by_time(asked: Asked, query: Query, zone: int) -> Stretch:
    """By the times that must hold. An exchange is stored when it ends, and the clock may have gone back: so these are
    the bounds of what began in that time, no guess. Whole days are in the tally, the rest of one in the index."""
    low, high = EVERYWHERE
    for term in query.terms:
        condition = term.condition
        if term.negated or not isinstance(condition, After | Before):
            continue
        day = (condition.at + zone) // DAY
        if isinstance(condition, After):
            rest, days, edge = "e.started_at >= ? and e.started_at < ?", "day > ?", "min"
            times = (condition.at, (day + 1) * DAY - zone)
        else:
            rest, days, edge = "e.started_at >= ? and e.started_at < ?", "day < ?", "max"
            times = (day * DAY - zone, condition.at)
        # `+`: SQLite would go through the record by seq until one fits, instead of asking the index of times.
        found = [
            asked(f"select {edge}(+seq) from exchange e where {rest}", *times)[0][0],  # noqa: S608 - our own
            asked(f"select {edge}({'first_seq' if edge == 'min' else 'last_seq'}) from tally where {days}", day)[0][0],  # noqa: S608 - the same
        ]
        known = [each for each in found if each is not None]
        if isinstance(condition, After):
            low = max(low, min(known, default=EVERYWHERE[1]))
        else:
            high = min(high, max(known, default=-1))
    return low, high
