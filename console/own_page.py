"""What is recorded about whoever asks: how much, when, which models, and who looked at it."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse

from console.exchange import NotFound
from console.house import House, session_of
from console.lines import line_of
from console.looking import actor_of
from console.overview import Sum
from console.span import Span
from storage.access import Access, read_access
from storage.query.terms import After, Before, Query, Term
from storage.sqlite.summary import Steps
from wire.conversation.record import read_record

_LATEST: Final = 20
_PLACES: Final = 20_000  # of one's newest exchanges, that looks are held against
_LOOKS: Final = 2_000  # newest
_SHOWN: Final = 50
_LEASE: Final = timedelta(seconds=60)  # of a live tail, which writes down from where on it shows


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody saw so many of one's exchanges."""

    at: datetime
    who: str
    action: str
    count: int


class OwnPage:
    """The page about oneself. Nothing that was said is on it."""

    def __init__(self, house: House) -> None:
        self._house = house

    def page(self, request: Request) -> HTMLResponse:
        """GET /me"""
        session = session_of(request)
        if session.principal is None or session.principal.email is None:
            raise NotFound("This page is for people who sign in with an address of their own.")
        email = session.principal.email
        span = Span.of("90d")
        query = Query((Term(After(span.begin)), Term(Before(span.end))))
        with self._house.own_store(email) as store:
            (groups,) = store.summaries(query, Steps(span.step, span.offset), (("model",),))
            lines = [line_of(read_record(each), (), content=False) for each in store.listed(Query(), _LATEST)]
            places = store.places(_PLACES)
            begun = store.begun()
        total = Sum()
        models: dict[str, Sum] = defaultdict(Sum)
        for group in groups:
            total.add(group)
            models[group.model or "–"].add(group)
        newest = list(read_access(self._house.settings.data_dir, _LOOKS))
        looks = list(_looks(newest, places[::-1], actor_of(session)))
        mine = [look for look in newest if look.actor == actor_of(session)] if session.role != "self" else []
        return self._house.page(
            request,
            "own.html",
            email=email,
            total=total,
            models=sorted(models.items(), key=lambda each: -each[1].count),
            lines=lines,
            since=datetime.fromtimestamp(begun / 1e6).astimezone() if begun else None,
            looks=looks[::-1][:_SHOWN],
            looked_at=_LOOKS,
            mine=[(look, datetime.fromisoformat(look.at).astimezone()) for look in mine[::-1][:_SHOWN]],
        )


def _looks(looks: Iterable[Access], places: Sequence[tuple[int, int]], me: str) -> Iterator[Look]:
    """Those of others that showed any of these (seq, begun at in microseconds), oldest first."""
    seqs = [seq for seq, _ in places]
    for look in looks:
        if look.actor == me:
            continue
        at = datetime.fromisoformat(look.at)
        count = 0
        for part in filter(None, look.exchanges.split(",")):
            first, dash, last = part.partition("-")
            from_, to = bisect_left(seqs, int(first)), bisect_right(seqs, int(last or first))
            if dash and not last:  # all that came in while somebody looked on
                until = (at + _LEASE).timestamp() * 1e6
                to = from_ + sum(begun <= until for _, begun in places[from_:])
            count += max(0, to - from_)
        if count:
            yield Look(at.astimezone(), look.actor, look.action, count)
