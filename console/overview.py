"""Overview, refusals and people: what it all comes to. Nothing that was said is on these pages."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse

from console.charts import Series, columns, lines, share
from console.explaining import explained
from console.house import House, language_of, money, session_of
from console.search_box import has_words, read_query
from console.span import RANGES, Span, added
from console.texts import translated
from exchange.record import identifier
from storage.query.parsing import QueryProblem
from storage.query.terms import After, Before, Is, Query, Term
from storage.sqlite.people import Who
from storage.sqlite.summary import ERASED, Dimension, Group, Steps
from storage.sqlite.tally import FIRST_BYTE

_SORTS: Final[dict[str, Callable[["Sum"], float]]] = {
    "exchanges": lambda one: one.count,
    "in": lambda one: one.tokens_in,
    "out": lambda one: one.tokens_out,
    "cost": lambda one: one.cost,
    "refused": lambda one: one.refused,
    "last": lambda one: one.last_seq,
}
"""Of people: the most first."""

_SHOWN: Final = 12  # of a list
_PEOPLE: Final = 200
_EXPLAINED: Final = 1_000  # groups of refusals of which the reason is looked up
OVERVIEW: Final[tuple[tuple[Dimension, ...], ...]] = (
    ("step",), ("person",), ("model",), ("domain",),
)  # fmt: skip
REFUSALS: Final[tuple[tuple[Dimension, ...], ...]] = (("person", "model", "code", "rule"),)
PEOPLE_BY: Final[tuple[tuple[Dimension, ...], ...]] = (("issuer", "subject", "person", "domain"),)


@dataclass(slots=True)
class Sum:
    """What some exchanges come to."""

    count: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    refused: int = 0
    cut: int = 0
    errors: int = 0
    unpriced: int = 0
    last_seq: int = 0
    slow: list[int] = field(default_factory=lambda: [0] * (len(FIRST_BYTE) + 1))

    def add(self, group: Group) -> None:
        self.count += group.count
        self.tokens_in += group.input_tokens
        self.tokens_out += group.output_tokens
        self.cost += group.cost_usd
        self.unpriced += group.unpriced
        self.last_seq = max(self.last_seq, group.last_seq)
        self.refused += group.refused
        self.cut += group.cut
        self.errors += group.errors
        if group.slow:
            self.slow = [a + b for a, b in zip(self.slow, group.slow, strict=True)]

    @property
    def well(self) -> int:
        return max(0, self.count - self.refused - self.cut - self.errors)

    def percentile(self, part: float) -> float:
        """Seconds until the first byte that this part of all stays under, as an edge says; -1 where none is known."""
        total, seen = sum(self.slow), 0
        if not total:
            return -1.0
        low = 0.0
        for high, count in zip((*FIRST_BYTE, FIRST_BYTE[-1] * 2), self.slow, strict=True):
            if count and seen + count >= part * total:
                return low + (high - low) * (part * total - seen) / count
            seen += count
            low = high
        return low


class Overview:
    """The pages that count."""

    def __init__(self, house: House) -> None:
        self._house = house

    def page(self, request: Request) -> HTMLResponse:
        """GET /overview?range=7d&q=…"""
        return self._counted(request, "overview.html", self._overview)

    def refusals(self, request: Request) -> HTMLResponse:
        """GET /refusals?range=7d&q=…"""
        return self._counted(request, "refusals.html", self._refusals)

    def people(self, request: Request) -> HTMLResponse:
        """GET /people?range=30d&q=…"""
        return self._counted(request, "people.html", self._people)

    def _counted(
        self, request: Request, template: str, shown: Callable[[Request, Query, Span], dict[str, Any]]
    ) -> HTMLResponse:
        asked = request.query_params.get("q", "")
        span = Span.of(request.query_params.get("range", "30d"))
        links = [(name, f"{request.url.path}?{urlencode({'range': name, 'q': asked})}") for name in RANGES]
        common = {"q": asked, "range": span.name, "ranges": links, "problem": None}
        try:
            query = read_query(asked, session_of(request), self._house.looking)
        except QueryProblem as problem:
            return self._house.page(request, template, 400, **common | {"problem": str(problem), "empty": True})
        if has_words(query):  # how often something was said is told here
            self._house.looking.at(session_of(request), "search", (), query=asked)
        bounds = (Term(After(span.begin)), Term(Before(span.end)))
        found = shown(request, Query((*query.terms, *bounds)), span)
        return self._house.page(request, template, **common, **found)

    def _overview(self, request: Request, query: Query, span: Span) -> dict[str, Any]:
        with self._house.store(request) as store:
            groups, *named = store.summaries(query, Steps(span.step, span.offset), OVERVIEW)
            unseen = store.unseen(span.begin)[:_SHOWN]
        say = translated(language_of(request))
        href = partial(span.search, request.query_params.get("q", ""))
        by_step: dict[int, Sum] = defaultdict(Sum)
        for group in groups:
            by_step[group.step or 0].add(group)
        steps = [by_step.get(step, Sum()) for step in span.steps()]
        labels = [span.label(step) for step in span.steps()]
        ended = [
            Series("Well", "s-good", [each.well for each in steps]),
            Series("Refused", "s-no", [each.refused for each in steps]),
            Series("Cut off", "s-warn", [each.cut for each in steps]),
            Series("Errors", "s-bad", [each.errors for each in steps]),
        ]
        spent = [Series("Cost", "s-accent", [each.cost for each in steps])]
        waited = [
            Series("Half are faster than", "s-accent", [each.percentile(0.5) for each in steps]),
            Series("95 % are faster than", "s-warn", [each.percentile(0.95) for each in steps]),
        ]
        return {
            "empty": not groups,
            "total": _total(groups),
            "labels": labels,
            "charts": [
                {
                    "title": "Exchanges",
                    "drawn": columns(labels, ended, "{:,.0f}".format, say),
                    "series": ended,
                    "kind": "count",
                },
                {
                    "title": "Cost",
                    "drawn": columns(labels, spent, money, say),
                    "series": spent,
                    "kind": "money",
                },
                {
                    "title": "Until the first byte",
                    "drawn": lines(labels, waited, "{:.1f} s".format, say),
                    "series": waited,
                    "kind": "seconds",
                },
            ],
            "tops": [
                _top("Person", "user", named[0], lambda group: group.person, href),
                _top("Model", "model", named[1], lambda group: group.model, href),
                _top("Domain", "domain", named[2], lambda group: group.domain, href),
            ],
            "unseen": unseen,
        }

    def _refusals(self, request: Request, query: Query, span: Span) -> dict[str, Any]:
        denied_only = Query((*query.terms, Term(Is("decision", "deny"))))
        with self._house.store(request) as store:
            denied = store.summaries(denied_only, Steps(span.step, span.offset), REFUSALS)[0]
            newest = sorted({group.last_seq for group in denied}, reverse=True)[:_EXPLAINED]
            last = store.last_of(newest)
        by_code: dict[str, list[Group]] = defaultdict(list)
        for group in denied:
            by_code[group.code or "refused"].append(group)
        codes, asked = [], request.query_params.get("q", "")
        for code, groups in sorted(by_code.items(), key=lambda each: -sum(one.count for one in each[1])):
            people = Counter[str | None]()
            reasons = Counter[str]()
            for group in groups:
                people[group.person] += group.count
                if group.last_seq in last:
                    reasons[last[group.last_seq][2] or ""] += group.count
            latest, most = last.get(max(group.last_seq for group in groups)), people.most_common(_SHOWN)
            of_them = added(asked, "decision", "deny" if code == "refused" else code)
            codes.append(
                {
                    "code": code,
                    "count": sum(group.count for group in groups),
                    "why": explained(code),
                    "rules": sorted({group.rule for group in groups if group.rule}),
                    "models": [name for name, _ in Counter(g.model for g in groups if g.model).most_common(5)],
                    "people": [(name, many, name and span.search(of_them, "user", name)) for name, many in most],
                    "reasons": [(said, count) for said, count in reasons.most_common(3) if said],
                    "last": identifier(latest[0]) if latest else None,
                    "last_at": _moment(latest[1]) if latest else None,
                    "href": span.search(asked, "decision", "deny" if code == "refused" else code),
                }
            )
        return {"empty": not denied, "codes": codes, "total": sum(group.count for group in denied)}

    def _people(self, request: Request, query: Query, span: Span) -> dict[str, Any]:
        with self._house.store(request) as store:
            groups = store.summaries(query, Steps(span.step, span.offset), PEOPLE_BY)[0]
        erased = _total(group for group in groups if group.person == ERASED)
        groups = [group for group in groups if group.issuer is not None]
        sums: dict[tuple[str, str], Sum] = defaultdict(Sum)
        named: dict[tuple[str, str], Group] = {}
        for group in groups:
            key = (group.issuer or "", group.subject or "")
            sums[key].add(group)
            named[key] = group
        wanted = request.query_params.get("sort", "exchanges")
        sort = wanted if wanted in _SORTS else "exchanges"
        asked = request.query_params.get("q", "")
        same = {"q": asked, "range": span.name}
        most = sorted(sums, key=lambda key: -_SORTS[sort](sums[key]))[:_PEOPLE]
        people = []
        with self._house.store(request) as store:
            begun = store.begun()
            held = {hold.who for hold in store.holds() if hold.who is not None}
            last = store.last_of([sums[key].last_seq for key in most])
            for key in most:
                latest = last.get(sums[key].last_seq)
                first = store.first_seen(*key)
                one = named[key]
                known = {"issuer": key[0], "subject": key[1]}
                people.append(
                    {
                        "person": one.person or key[1],
                        "issuer": key[0],
                        "domain": one.domain,
                        "sum": sums[key],
                        "first": None if first is None else _moment(first),
                        "new": first is not None and first >= span.begin > begun,
                        "last": None if latest is None else _moment(latest[1]),
                        "held": not held.isdisjoint({Who(one.person), Who(key[1]), Who(None, *key)}),
                        "hold": f"/orders/new?{urlencode({'kind': 'hold', **known})}",
                        "erase": f"/orders/new?{urlencode({'kind': 'erase', **known})}",
                        "href": span.search(asked, "user", one.person or key[1]),
                        "overview": span.overview(asked, "user", one.person or key[1]),
                    }
                )
        left = max(0, len(sums) - len(people))
        return {
            "empty": not people and not erased.count,
            "people": people,
            "left": left,
            "erased": erased.count,
            "sort": sort,
            "sorts": {name: f"/people?{urlencode(same | {'sort': name})}" for name in _SORTS},
        }


def _total(groups: Iterable[Group]) -> Sum:
    total = Sum()
    for group in groups:
        total.add(group)
    return total


def _top(
    title: str, name: str, groups: Sequence[Group], by: Callable[[Group], str | None], href: Callable[[str, str], str]
) -> dict[str, Any]:
    sums: dict[str, Sum] = defaultdict(Sum)
    for group in groups:
        if value := by(group):  # nobody known, and whoever was erased, are on no list
            sums[value].add(group)
    most = sorted(sums.items(), key=lambda each: (-each[1].cost, -each[1].count))
    top = max([each.cost for each in sums.values()], default=0.0)
    return {
        "title": title,
        "left": max(0, len(most) - _SHOWN),
        "rows": [
            {
                "value": value,
                "sum": one,
                "bar": share(one.cost, top),
                "href": href(name, value),
            }
            for value, one in most[:_SHOWN]
        ],
    }


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, tz=UTC).astimezone()
