"""What a query's finds have in common: how many of each person, model, ending and so on. Of all of them where the tally
knows; else of the newest."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from storage.query.terms import After, Before, Field, Query
from storage.sqlite.selection import by_kind, is_only_by_kind

_COLUMNS: Final[dict[Field, str]] = {
    "user": "iif(e.unnamed, null, coalesce(nullif(e.email, ''), e.subject))",
    "domain": "e.domain",
    "model": "coalesce(e.request_model, e.response_model)",
    "operation": "e.operation",
    "decision": "iif(e.outcome = 'deny', coalesce(e.code, 'deny'), 'allow')",
    "end": "e.end_state",
}
_SELECTED: Final = ", ".join(_COLUMNS.values())
_ASKED: Final = 5_000  # seqs in one question

type Asked = Callable[..., list[Any]]


@dataclass(frozen=True, slots=True)
class Facets:
    """Counts by value, the most frequent first, of the exchanges that were looked at; whoever was erased is no value of
    `user`. `all_of_them`: these were all."""

    looked_at: int
    all_of_them: bool
    values: dict[Field, list[tuple[str, int]]]


def facets_of_all(asked: Asked, query: Query) -> Facets | None:
    """Of everything that the query finds; None where the tally does not know that."""
    if not is_only_by_kind(query) or any(isinstance(each.condition, After | Before) for each in query.terms):
        return None
    where, values = by_kind(query) or ("1", ())
    rows = asked(f"select {_SELECTED}, e.count from tally_kind e where {where}", *values)  # noqa: S608 - SQL of our own
    return Facets(sum(row[len(_COLUMNS)] for row in rows), True, _counted(rows, lambda row: row[len(_COLUMNS)]))


def facets_of(asked: Asked, seqs: Sequence[int], *, whole: bool) -> Facets:
    """Of these; `whole`: they are all that were found."""
    rows: list[Any] = []
    for at in range(0, len(seqs), _ASKED):
        some = seqs[at : at + _ASKED]
        rows += asked(
            f"select {_SELECTED} from exchange e where e.seq in ({', '.join('?' * len(some))})",  # noqa: S608 - our own
            *some,
        )
    return Facets(len(rows), whole, _counted(rows, lambda _row: 1))


def _counted(rows: Iterable[Any], many: Callable[[Any], int]) -> dict[Field, list[tuple[str, int]]]:
    counters: dict[Field, Counter[str]] = {field: Counter() for field in _COLUMNS}
    for row in rows:
        count = many(row)
        for i, field in enumerate(_COLUMNS):
            if row[i] is not None:
                counters[field][row[i]] += count
    return {field: counter.most_common() for field, counter in counters.items()}
