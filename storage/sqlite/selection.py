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
    looked_up: bool = False
    hidden: str | None = None
    """For full text: what must not stand there, where there is nothing that must."""

    def within(self, first: int, last: int) -> _Sql:
        """The condition, between these seqs, both included."""
        # `+`: where another index leads to the finds, SQLite must not go through all between these instead.
        place = f"+{self.key}" if self.looked_up else self.key
        where, values = f"{self.where} and {place} between ? and ?", (*self.values, first, last)
        if self.hidden is None:
            return where, values
        unwanted = "select rowid from search where search match ? and rowid between ? and ?"
        return f"{where} and {self.key} not in ({unwanted})", (*values, self.hidden, first, last)

    def page(self, first: int, last: int, *, newest_first: bool, limit: int) -> _Sql:
        """The seqs of one page, between these, both included."""
        where, values = self.within(first, last)
        order = "desc" if newest_first else "asc"
        sql = f"select {self.key} from {self.source} where {where} order by {self.key} {order} limit ?"  # noqa: S608 - SQL of our own
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
    times: list[tuple[After | Before, bool]] = []
    texts = 0
    for term in query.terms:
        condition: Condition = term.condition
        match condition:
            case Is():
                pass
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
    fields = _fields_of(query)
    conditions: list[_Sql] = []
    if by_text:
        conditions.append(("search match ?", (all_of(wanted, unwanted),)))
    elif texts and not unwanted and not (fields or times or without):
        conditions.append(_NEVER)  # nothing but words that the index does not know
    for (field, negated), values in fields.items():
        if field == "tool":
            values = [name for value in values for name in wording.tools(value)]
        conditions.append(_held(_any(_FIELDS[field], values), negated))
    for each, negated in times:
        conditions.append(_held(_time(each), negated))
    where = " and ".join(sql for sql, _ in conditions) or "1"
    return Selection(
        source="search cross join exchange e on e.seq = search.rowid" if by_text else "exchange e",
        key=key,
        where=where,
        values=tuple(value for _, values in conditions for value in values),
        literals=tuple(literals),
        without=tuple(without),
        looked_up=not by_text and is_looked_up(query),
        hidden=" OR ".join(unwanted) if unwanted and not by_text else None,
    )


def by_kind(query: Query) -> _Sql | None:
    """The condition of the query's fields on the kinds of exchanges that there are (storage.sqlite.tally, whose columns
    bear the names of `exchange`); None where it asks for none of them."""
    fields = _fields_of(query)
    conditions = [
        _held(_any(_FIELDS[field], values), negated) for (field, negated), values in fields.items() if field in _OF_KIND
    ]
    if not conditions:
        return None
    return " and ".join(sql for sql, _ in conditions), tuple(value for _, bound in conditions for value in bound)


def is_only_by_kind(query: Query) -> bool:
    """Fields of the kind and times, and nothing else?"""
    return all(
        isinstance(each.condition, After | Before)
        or (isinstance(each.condition, Is) and each.condition.field in _OF_KIND)
        for each in query.terms
    )


def is_looked_up(query: Query) -> bool:
    """Is there something that leads to all finds by an index of its own: a person, a thread, a tool?"""
    return any(
        not term.negated and isinstance(term.condition, Is) and term.condition.field in ("tool", "thread", "user")
        for term in query.terms
    )


def _fields_of(query: Query) -> dict[tuple[Field, bool], list[str]]:
    fields: dict[tuple[Field, bool], list[str]] = {}
    for term in query.terms:
        if isinstance(term.condition, Is):
            fields.setdefault((term.condition.field, term.negated), []).append(term.condition.value)
    return fields


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
    asked first: there is an index of people. What was erased is nobody's, also when its person came back."""
    if "*" in value:
        same, address, subject = "glob", _glob(value.lower()), _glob(value)
    else:
        same, address, subject = "=", value.lower(), value
    people = f"select issuer, subject from identity where email {same} ? or subject {same} ?"  # noqa: S608 - our own
    return (
        f"(e.issuer, e.subject) in ({people}) and (e.email {same} ? or e.subject {same} ?) and e.unnamed = 0",
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
_OF_KIND: Final[frozenset[Field]] = frozenset(("user", "domain", "model", "host", "operation", "decision", "end"))
