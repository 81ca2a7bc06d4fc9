"""What a query's finds come to: counts, tokens and costs by time, person, model and ending.

From the tally where it knows all that is asked (fields and whole days of its zone); else from the exchanges, once for
all groupings.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import add, attrgetter
from typing import Any, Final, Literal

from storage.query.terms import After, Before, Query
from storage.sqlite.selection import Selection, by_kind, is_only_by_kind
from storage.sqlite.tally import DAY, SUMS
from storage.sqlite.whereabouts import Stretch

Dimension = Literal["step", "issuer", "subject", "person", "domain", "model", "outcome", "code", "rule", "end_state"]

ERASED: Final = ""
"""In place of a person: people who were erased, together. None is nobody known."""

_DIMENSIONS: Final[dict[Dimension, str]] = {
    "issuer": "iif(e.unnamed, null, e.issuer)",
    "subject": "iif(e.unnamed, null, e.subject)",
    "person": f"iif(e.unnamed, '{ERASED}', coalesce(nullif(e.email, ''), e.subject))",
    "domain": "e.domain",
    "model": "coalesce(e.request_model, e.response_model)",
    "outcome": "e.outcome",
    "code": "e.code",
    "rule": "e.rule",
    "end_state": "e.end_state",
}

type Asked = Callable[..., list[Any]]


@dataclass(frozen=True, slots=True)
class Group:
    """Exchanges that are one in what they were grouped by; the rest of that is None."""

    step: int | None = None  # started_at, in whole steps since 1970 of the zone that was asked for
    issuer: str | None = None
    subject: str | None = None
    person: str | None = None  # address, else subject; or ERASED
    domain: str | None = None
    model: str | None = None
    outcome: str | None = None
    code: str | None = None
    rule: str | None = None
    end_state: str | None = None
    count: int = 0
    refused: int = 0  # of these, by us
    cut: int = 0  # broken off by somebody, or too late
    errors: int = 0  # the provider's: none answered, or with a status of 400 or more
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0  # of these, without a known cost though there was usage
    slow: tuple[int, ...] = ()  # by time until the first byte, as FIRST_BYTE says; where it is by step
    last_seq: int = 0  # none of them comes later


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of time in microseconds, in a zone so far east of Greenwich."""

    step: int
    offset: int


def summaries(
    asked: Asked, query: Query, selection: Selection, within: Callable[[], Stretch | None], steps: Steps,
    by: Sequence[Sequence[Dimension]], zone: int | None,
) -> list[list[Group]]:  # fmt: skip
    """For each grouping its groups. `within`: where the finds lie, asked for where the tally does not know; None: there
    are none. `zone`: that of the tally's days, None where it is not to be asked."""
    tallied = _tallied(asked, query, steps, zone, {each for grouping in by for each in grouping})
    if tallied is not None:
        return _from_tally(asked, tallied, by)
    place = within()
    if place is None:
        return [[] for _ in by]
    every = list(dict.fromkeys(each for grouping in by for each in grouping))
    found = _from_exchanges(asked, selection, place, steps, every)
    return [_together(found, every, grouping) for grouping in by]


# -- from the tally ---------------------------------------------------------------------------------------------------


def _tallied(
    asked: Asked, query: Query, steps: Steps, zone: int | None, dimensions: set[Dimension]
) -> tuple[str, tuple[Any, ...]] | None:
    """The condition on the tally that is this query; None where it does not know enough."""
    if (
        zone is None
        or not is_only_by_kind(query)
        or ("step" in dimensions and (steps.step != DAY or steps.offset != zone))
    ):
        return None
    conditions: list[str] = []
    values: list[Any] = []
    for term in query.terms:
        at = term.condition
        if not isinstance(at, After | Before):
            continue
        day, rest = divmod(at.at + zone, DAY)
        if isinstance(at, Before) and rest:  # in mid-day: the same where nothing of that day comes later
            last = asked("select max(started_at) from exchange")[0][0]
            if last is not None and last >= at.at:
                return None
            day += 1
        elif rest:
            return None
        conditions.append(f"t.day {'>=' if isinstance(at, After) != term.negated else '<'} ?")
        values.append(day)
    kinds = by_kind(query)
    if kinds is not None:
        conditions.append(f"t.kind in (select e.id from tally_kind e where {kinds[0]})")  # noqa: S608 - SQL of our own
        values += kinds[1]
    return " and ".join(conditions) or "1", tuple(values)


def _from_tally(
    asked: Asked, where: tuple[str, tuple[Any, ...]], by: Sequence[Sequence[Dimension]]
) -> list[list[Group]]:
    kinds = "t cross join tally_kind e on e.id = t.kind"
    by_day = f"from tally {kinds} where {where[0]}"
    # By number first, and only then by what the numbers stand for: names are compared once for a kind, not for each of
    # its days. `+`: in order of its days, not through the index of kinds.
    summed = ", ".join(f"sum(t.{name}) as {name}" for name in ("count", "failed", *_SPENT))
    numbers = f"select +t.kind as kind, {summed}, max(t.last_seq) as last_seq from tally t where {where[0]} group by 1"  # noqa: S608 - SQL of our own
    by_number = f"from ({numbers}) {kinds}"
    found: list[list[Group]] = []
    fine: tuple[list[Dimension], list[Group]] | None = None
    for grouping in by:
        if "step" in grouping:
            rows = asked(_grouped(grouping, _TALLIED, _SLOW_TALLIED, "max(t.last_seq)", by_day, "t.day"), *where[1])
            found.append([_group(grouping, row) for row in rows])
            continue
        if fine is None:  # once for all that is not by day
            every: list[Dimension] = list(dict.fromkeys(each for one in by for each in one if each != "step"))
            rows = asked(_grouped(every, _TALLIED, (), "max(t.last_seq)", by_number, "t.day"), *where[1])
            fine = every, [_group(every, row) for row in rows]
        found.append(_together(fine[1], fine[0], grouping))
    return found


# -- from the exchanges -----------------------------------------------------------------------------------------------


def _from_exchanges(
    asked: Asked, selection: Selection, within: Stretch, steps: Steps, every: Sequence[Dimension]
) -> list[Group]:
    where, values = selection.within(*within)
    source = f"from {selection.source} where {where}"
    step = "(e.started_at + ?) / ?"
    before = (steps.offset, steps.step) if "step" in every else ()
    rows = asked(_grouped(every, _COUNTED, _SLOW_COUNTED, "max(e.seq)", source, step), *before, *values)
    return [_group(every, row) for row in rows]


# -- both -------------------------------------------------------------------------------------------------------------


def _grouped(
    every: Sequence[Dimension], sums: Sequence[str], slow: Sequence[str], last: str, source: str, step: str
) -> str:
    columns = ", ".join(f"{step if each == 'step' else _DIMENSIONS[each]} as d{n}" for n, each in enumerate(every))
    keys = ", ".join(f"d{n}" for n in range(len(every)))
    summed = ", ".join(f"sum({each})" for each in (*sums, *slow))
    return f"select {columns}, {summed}, {last} {source} group by {keys}"


def _group(every: Sequence[Dimension], row: Sequence[Any]) -> Group:
    key, sums = row[: len(every)], row[len(every) :]
    named: dict[str, Any] = dict(zip(every, key, strict=True))
    many = len(_MEASURES)
    return Group(
        **named, **dict(zip(_MEASURES, sums[:many], strict=True)), slow=tuple(sums[many:-1]), last_seq=sums[-1]
    )


def _together(found: Iterable[Group], every: Sequence[Dimension], grouping: Sequence[Dimension]) -> list[Group]:
    """The groups of a finer grouping as those of a coarser one."""
    if list(every) == list(grouping):
        return list(found)
    key_of = attrgetter(*grouping)
    sums: dict[Any, list[Any]] = {}
    for each in found:
        now = (*_measured(each), *each.slow)
        before = sums.get(key := key_of(each))
        if before is None:
            sums[key] = [*now, each.last_seq]
        else:
            sums[key] = [*map(add, before, now), max(before[-1], each.last_seq)]
    return [_group(grouping, (*(key if len(grouping) > 1 else (key,)), *values)) for key, values in sums.items()]


_CUT: Final = "('upstream_cut', 'client_gone', 'timed_out', 'proxy_died')"
_CLASSES: Final = {
    "refused": "iif(e.end_state = 'refused', {count}, 0)",
    "cut": f"iif(e.end_state in {_CUT}, {{count}}, 0)",
    "errors": "iif(e.end_state = 'upstream_error', {count}, "
    f"iif(e.end_state = 'refused' or e.end_state in {_CUT}, 0, {{failed}}))",
}
_SPENT: Final = ("input_tokens", "output_tokens", "cost_usd", "unpriced")
_MEASURES: Final = ("count", *_CLASSES, *_SPENT)
_measured: Final = attrgetter(*_MEASURES)
_SLOW: Final = tuple(name for name in SUMS if name.startswith("slow"))

_TALLIED: Final = (
    "t.count",
    *(how.format(count="t.count", failed="t.failed") for how in _CLASSES.values()),
    *(f"t.{name}" for name in _SPENT),
)
_SLOW_TALLIED: Final = tuple(f"t.{name}" for name in _SLOW)
_OF_ONE: Final = {name: how.format(e="e") for name, how in SUMS.items()}
_COUNTED: Final = (
    "1",
    *(how.format(count="1", failed=_OF_ONE["failed"]) for how in _CLASSES.values()),
    *(_OF_ONE[name] for name in _SPENT),
)
_SLOW_COUNTED: Final = tuple(_OF_ONE[name] for name in _SLOW)
