"""The list of exchanges: search, facets, pages, and what comes in while somebody looks."""

import logging
import sqlite3
import time
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

from anyio import sleep, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse

from console.completion import last_word, offers, quoted_if_needed
from console.guard import session_cookie
from console.house import House, language_of, session_of
from console.lines import PREVIEWED, Line, line_of
from console.looking import ReasonMissing
from console.saved import saved_of, shared_link
from console.search_box import has_words, read_query
from console.store import Store
from console.texts import translated
from storage.access import AccessUnwritable
from storage.problem import StoreProblem
from storage.query.parsing import QueryProblem
from storage.query.terms import After, Exact, Is, Query
from storage.sealing.master import SealProblem
from storage.sqlite.facets import Facets
from storage.sqlite.selection import unsearchable
from wire.conversation.record import read_record

log = logging.getLogger(__name__)

PAGE: Final = 50
_COUNTED: Final = 2_000  # exchanges that facets count
_VALUES: Final = 6  # of a facet
_TIMES: Final = ("24h", "7d", "30d")
_LOOK: Final = 1.0  # seconds between two looks for what is new
_LEASE: Final = 60.0  # seconds for which one line in access.db speaks: "all from this seq on"
_BURST: Final = 100  # lines sent at once
_BEAT: Final = 15.0  # seconds of silence, after which a word says that we are still here


class Exchanges:
    """The list and what belongs to it."""

    def __init__(self, house: House) -> None:
        self._house = house

    def page(self, request: Request) -> HTMLResponse:
        """GET /exchanges?q=…&before=SEQ"""
        asked = request.query_params.get("q", "")
        before = _number(request.query_params.get("before"))
        try:
            query = read_query(asked, session_of(request), self._house.looking)
        except QueryProblem as problem:
            return self._shown(request, asked, problem=str(problem), position=problem.position, status=400)
        with self._house.store(request) as store:
            newest = store.last_seq()
            lines = self._lines(request, store, query, asked, before_seq=before)
            found = store.facets(query, _COUNTED)
        more = lines[-1].record.seq if len(lines) == PAGE and lines[-1].record.seq > 1 else None
        return self._shown(
            request,
            asked,
            lines=lines,
            older=f"/exchanges?{urlencode({'q': asked, 'before': more})}" if more else None,
            live=None if before else f"/exchanges/live?{urlencode({'q': asked, 'after': newest})}",
            facets=_facet_links(found, asked, query),
            times=_time_links(asked, query),
            looked_at=found,
            counted=not any(isinstance(term.condition, Exact) for term in query.terms),
            left_out=unsearchable(query),
            before=before,
            shared=shared_link(query),
        )

    def complete(self, request: Request) -> HTMLResponse:
        """GET /exchanges/complete?q=…: what the box offers for what is being written."""
        asked = request.query_params.get("q", "")[:2_000]
        found: Facets | None = None
        if ":" in last_word(asked):
            with self._house.store(request) as store:
                found = store.facets(Query(), _COUNTED)
        return self._house.page(request, "offers.html", offers=offers(asked, found), cut=len(last_word(asked)))

    async def live(self, request: Request) -> Response:
        """GET /exchanges/live?q=…&after=SEQ: lines as server-sent events (WHATWG HTML, 9.2), whose id is their seq."""
        after = _number(request.headers.get("last-event-id")) or _number(request.query_params.get("after")) or 0
        asked = request.query_params.get("q", "")
        try:
            query = read_query(asked, session_of(request), self._house.looking)
        except QueryProblem as problem:
            return PlainTextResponse(str(problem), status_code=400)
        return StreamingResponse(self._events(request, query, asked, after), media_type="text/event-stream")

    async def _events(self, request: Request, query: Query, asked: str, after: int) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        leased, spoke, held = 0.0, time.monotonic(), ""
        say = translated(language_of(request))
        while self._house.running() and self._house.sessions.get(session_cookie(request), touch=False) is session_of(
            request
        ):
            try:
                newest, lines = await to_thread.run_sync(self._new, request, query, after)
                if lines and lines[0].said is not None and time.monotonic() - leased > _LEASE:
                    await to_thread.run_sync(self._lease, request, asked, lines[0].record.seq)
                    leased = time.monotonic()
                why = ""
            except (StoreProblem, SealProblem, AccessUnwritable, sqlite3.Error, OSError, ReasonMissing) as cannot:
                newest, lines, why = after, [], str(cannot)  # nothing is passed over: the next look begins here again
            if why != held:
                held = why
                if why:
                    log.error("The live list stands still: %s It goes on by itself once that is mended.", why)
                name, said = ("held", "Stands still: see the log") if why else ("on", "Live")
                yield f"event: {name}\ndata: {say(said)}\n\n"
            for line in lines:
                html = self._house.fragment(request, "line.html", line=line, fresh=True, q=asked)
                yield f"id: {line.record.seq}\nevent: line\n" + "".join(f"data: {each}\n" for each in html.split("\n"))
                yield "\n"
            if lines or time.monotonic() - spoke > _BEAT:
                spoke = time.monotonic()
                yield ": here\n\n"
            after = lines[-1].record.seq if len(lines) == _BURST else max(newest, after)
            await sleep(_LOOK)

    def _new(self, request: Request, query: Query, after: int) -> tuple[int, list[Line]]:
        with self._house.store(request) as store:
            newest = store.last_seq()
            if newest <= after:
                return min(newest, after), []
            content = self._house.looking.may(session_of(request))
            found = store.listed(query, _BURST, after_seq=after, bodies=PREVIEWED if content else 0)
        lines = [line_of(read_record(each), query.texts(), content=content) for each in found]
        return max([newest, *(line.record.seq for line in lines)]), lines

    def _lease(self, request: Request, asked: str, first: int) -> None:
        self._house.looking.from_here_on(session_of(request), "tail", first, query=asked)

    def _lines(self, request: Request, store: Store, query: Query, asked: str, **where: Any) -> list[Line]:
        """One page. What was said is on it only when that is written down first."""
        session = session_of(request)
        content = self._house.looking.may(session)
        found = store.listed(query, PAGE, bodies=PREVIEWED if content else 0, **where)
        records = [read_record(each) for each in found]
        if content and (records or has_words(query)):
            seqs = [record.seq for record in records]
            self._house.looking.at(session, "search", seqs, query=asked, before=where.get("before_seq"))
        return [line_of(record, query.texts(), content=content) for record in records]

    def _shown(self, request: Request, asked: str, *, status: int = 200, **shown: Any) -> HTMLResponse:
        defaults: dict[str, Any] = {
            "lines": [], "older": None, "live": None, "facets": [], "looked_at": None, "counted": False, "times": [],
            "left_out": (), "before": None,
            "problem": None, "position": None, "saved": saved_of(request), "shared": "",
        }  # fmt: skip
        part = request.headers.get("hx-target") == "more"
        template = "lines.html" if part else "exchanges.html"
        content = self._house.looking.may(session_of(request))
        return self._house.page(
            request, template, status, **{**defaults, **shown, "q": asked, "fresh": False, "content": content}
        )


def _facet_links(found: Facets, asked: str, query: Query) -> list[dict[str, Any]]:
    """Facets with, for each value, the query that adds it or takes it out again."""
    chosen = {(t.condition.field, t.condition.value): t for t in query.terms if isinstance(t.condition, Is)}
    shown = []
    for field, values in found.values.items():
        offered = values[:_VALUES]
        if not values or (len(values) < 2 and not any(each == field for each, _ in chosen)):
            continue
        links = []
        for value, count in offered:
            term = chosen.get((field, value))
            if term is not None:
                q = str(Query(tuple(each for each in query.terms if each is not term)))
            else:
                q = f"{asked} {field}:{quoted_if_needed(value)}".strip()
            href = f"/exchanges?{urlencode({'q': q})}"
            links.append({"value": value, "count": count, "on": term is not None, "href": href})
        shown.append({"field": field, "links": links, "more": len(values) - len(offered)})
    return shown


def _time_links(asked: str, query: Query) -> list[dict[str, Any]]:
    """The last day, week and month, each with the query that looks there alone, or everywhere again."""
    links = []
    for name in _TIMES:
        term, words = f"after:{name}", asked.split()
        on = term in words
        if on:
            q = " ".join(each for each in words if each != term)
        elif any(isinstance(each.condition, After) and not each.negated for each in query.terms):
            others = [each for each in query.terms if not isinstance(each.condition, After) or each.negated]
            q = f"{Query(tuple(others))} {term}".strip()
        else:
            q = f"{asked} {term}".strip()
        links.append({"name": name, "on": on, "href": f"/exchanges?{urlencode({'q': q})}"})
    return links


def _number(given: str | None) -> int | None:
    return int(given) if given and given.isascii() and given.isdigit() and len(given) < 19 else None
