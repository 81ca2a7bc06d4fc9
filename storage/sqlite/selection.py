"""A query → SQL. What a person wrote is only ever bound; every piece of SQL here is our own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from storage.query.terms import After, Before, Condition, Exact, Field, Is, Phrase, Query, Word
from storage.sqlite.search import all_of, phrase
from storage.sqlite.wording import PLAIN, Wording

type _Sql = tuple[str, tuple[object, ...]]
"""A condition, and the values of its `?` in order."""

_NEVER: Final[_Sql] = ("0", ())


@dataclass(frozen=True, slots=True)
class Selection:
    """Which exchanges. `literals` and `without` must be held against the bodies of what the SQL finds: characters that
    must stand there, and that must not."""

    source: str  # from …
    key: str  # the column that is the exchange's seq
    where: str
    values: tuple[object, ...]
    literals: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def page(self, *, newest_first: bool, before: int | None, after: int | None, limit: int) -> _Sql:
        """The seqs of one page."""
        conditions = [self.where]
        values = [*self.values]
        for bound, operator in ((before, "<"), (after, ">")):
            if bound is not None:
                conditions.append(f"{self.key} {operator} ?")
                values.append(bound)
        order = "desc" if newest_first else "asc"
        sql = (
            f"select {self.key} from {self.source} where {' and '.join(conditions)} order by {self.key} {order} limit ?"  # noqa: S608 - SQL of our own
        )
        return sql, (*values, limit)


def unsearchable(query: Query) -> tuple[str, ...]:
    """Words without a letter or digit: the index does not know them, and `select` passes them over. Whoever shows
    results says so."""
    return tuple(
        each.condition.text
        for each in query.terms
        if isinstance(each.condition, Word | Phrase) and phrase(each.condition.text) is None
    )


def select(query: Query, wording: Wording = PLAIN) -> Selection:
    """The SQL for this query; `wording` is how words stand in the index.

    Raises:
        StoreProblem: it cannot be asked there.
    """
    wanted: list[str] = []
    unwanted: list[str] = []
    literals: list[str] = []
    without: list[str] = []
    fields: dict[tuple[Field, bool], list[str]] = {}
    times: list[tuple[After | Before, bool]] = []
    texts = 0
    for term in query.terms:
        condition: Condition = term.condition
        match condition:
            case Is(field, value):
                fields.setdefault((field, term.negated), []).append(value)
            case After() | Before():
                times.append((condition, term.negated))
            case Exact(text):
                (without if term.negated else literals).append(text)
                if not term.negated:
                    texts += 1
                    wanted += _phrases(wording, text, begun=True)
            case Word(text) | Phrase(text):
                texts += 1
                (unwanted if term.negated else wanted).extend(_phrases(wording, text))
    by_text = bool(wanted)
    key = "search.rowid" if by_text else "e.seq"
    conditions: list[_Sql] = []
    if by_text:
        conditions.append(("search match ?", (all_of(wanted, unwanted),)))
    elif unwanted:
        hidden = "not exists (select 1 from search where search match ? and rowid = e.seq)"
        conditions.append((hidden, (" OR ".join(unwanted),)))
    elif texts and not (fields or times or without):
        conditions.append(_NEVER)  # nothing but words that the index does not know
    for (field, negated), values in fields.items():
        if field == "tool":
            values = [name for value in values for name in wording.tools(value)]
        conditions.append(_held(_any(_FIELDS[field], values), negated))
    for each, negated in times:
        conditions.append(_held(_time(each), negated))
        if not negated:
            conditions.append(_seqs(each, key))
    where = " and ".join(sql for sql, _ in conditions) or "1"
    return Selection(
        source="search cross join exchange e on e.seq = search.rowid" if by_text else "exchange e",
        key=key,
        where=where,
        values=tuple(value for _, values in conditions for value in values),
        literals=tuple(literals),
        without=tuple(without),
    )


def _phrases(wording: Wording, text: str, *, begun: bool = False) -> list[str]:
    found = wording.phrase(text, begun=begun)
    return [] if found is None else [found]


def _held(condition: _Sql, negated: bool) -> _Sql:
    """The condition, or that it does not hold: where nothing is known (null), it does not."""
    sql, values = condition
    return (f"({sql}) is not true", values) if negated else (f"({sql})", values)


def _any(made: Callable[[str], _Sql], values: Iterable[str]) -> _Sql:
    each = [made(value) for value in values]
    return " or ".join(sql for sql, _ in each), tuple(value for _, bound in each for value in bound)


def _time(bound: After | Before) -> _Sql:
    return (f"e.started_at {'>=' if isinstance(bound, After) else '<'} ?", (bound.at,))


def _seqs(bound: After | Before, key: str) -> _Sql:
    """The same again by seq, which is nearly in the order of time: an index of two numbers says from where to look.
    The clock may have gone back, and an exchange is stored when it ends: so the first of all later ones, no guess."""
    # `+`: SQLite would go through the record by seq until one fits, instead of asking the index of times.
    edge, operator = ("min(+seq)", ">=") if isinstance(bound, After) else ("max(+seq)", "<=")
    condition, values = _time(bound)
    return f"{key} {operator} (select {edge} from exchange e where {condition})", values  # noqa: S608 - our own


def _like(column: str, value: str) -> _Sql:
    """Equal but for ASCII case; `*` stands for anything."""
    if "*" in value:
        return f"lower({column}) glob lower(?)", (_glob(value),)
    return f"{column} = ? collate nocase", (value,)


def _glob(value: str) -> str:
    """GLOB's other wildcards, `?` and `[`, stand for themselves."""
    return value.replace("[", "[[]").replace("?", "[?]")


def _user(value: str) -> _Sql:
    """The address, which is kept in lower case, or the subject, whose case counts (RFC 7519, 4.1.2). Who that may be is
    asked first: there is an index of people."""
    if "*" in value:
        same, address, subject = "glob", _glob(value.lower()), _glob(value)
    else:
        same, address, subject = "=", value.lower(), value
    people = f"select issuer, subject from identity where email {same} ? or subject {same} ?"  # noqa: S608 - our own
    return (
        f"(e.issuer, e.subject) in ({people}) and (e.email {same} ? or e.subject {same} ?)",
        (address, subject, address, subject),
    )


def _domain(value: str) -> _Sql:
    return _like("e.domain", value)


def _model(value: str) -> _Sql:
    """The model that was asked for, or the one that answered."""
    asked, answered = _like("e.request_model", value), _like("e.response_model", value)
    return f"{asked[0]} or {answered[0]}", asked[1] + answered[1]


def _host(value: str) -> _Sql:
    return _like("e.host", value)


def _operation(value: str) -> _Sql:
    return "e.operation = ?", (value,)


def _decision(value: str) -> _Sql:
    """`allow`, `deny`, or the code of a refusal. The two constants lead SQLite to the index of refusals."""
    if value == "allow":
        return "e.outcome = 'allow'", ()
    denied = "e.outcome = 'deny' and e.outcome <> 'allow'"
    return (denied, ()) if value == "deny" else (f"{denied} and e.code = ?", (value,))


def _end(value: str) -> _Sql:
    constant = "" if value == "complete" else " and e.end_state <> 'complete'"  # leads to the index of what went wrong
    return f"e.end_state = ?{constant}", (value,)


def _tool(value: str) -> _Sql:
    condition, values = _like("name", value)
    return f"e.seq in (select seq from tool_use where {condition})", values  # noqa: S608 - a our own


def _thread(value: str) -> _Sql:
    return "e.thread_id >= ? and e.thread_id < ?", (value, value + "g")


_FIELDS: Final[dict[Field, Callable[[str], _Sql]]] = {
    "user": _user,
    "domain": _domain,
    "model": _model,
    "host": _host,
    "operation": _operation,
    "decision": _decision,
    "end": _end,
    "tool": _tool,
    "thread": _thread,
}
