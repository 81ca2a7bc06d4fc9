"""What the newest finds of a query have in common: how many of each person, model, ending and so on."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from storage.query.terms import Field
from storage.sqlite.selection import Selection

_COLUMNS: Final[dict[Field, str]] = {
    "user": "coalesce(nullif(e.email, ''), e.subject)",
    "domain": "e.domain",
    "model": "coalesce(e.request_model, e.response_model)",
    "operation": "e.operation",
    "decision": "iif(e.outcome = 'deny', coalesce(e.code, 'deny'), 'allow')",
    "end": "e.end_state",
}


@dataclass(frozen=True, slots=True)
class Facets:
    """Counts by value, the most frequent first, of the exchanges that were looked at. `all_of_them`: these were all."""

    looked_at: int
    all_of_them: bool
    values: dict[Field, list[tuple[str, int]]]


def facets(asked: Callable[..., list[Any]], selection: Selection, upto: int) -> Facets:
    """The facets of a selection's newest."""
    sql, values = selection.page(newest_first=True, before=None, after=None, limit=upto)
    columns = ", ".join(_COLUMNS.values())
    rows = asked(f"select {columns} from exchange e where e.seq in ({sql})", *values)  # noqa: S608 - SQL of our own
    counted = {
        field: Counter(row[i] for row in rows if row[i] is not None).most_common() for i, field in enumerate(_COLUMNS)
    }
    return Facets(len(rows), len(rows) < upto, counted)
