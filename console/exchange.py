"""One exchange: its conversation and everything that is known of it; its exact bytes; and whole conversations."""

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.curl import curl
from console.difference import difference
from console.house import House, session_of
from console.lines import line_of
from console.roles import may
from console.search_box import read_query
from console.standing import standing
from console.store import Store
from console.turns import PAGE, bubbles
from console.waterfall import drawing, spans
from exchange.decision import CODES
from exchange.record import identifier
from storage.query.parsing import QueryProblem
from storage.query.terms import Is, Query, Term
from storage.sqlite.reading import RawBody
from wire.conversation import Turn, conversation
from wire.conversation.hits import folded_words, has_any
from wire.conversation.record import ShownRecord, read_record
from wire.conversation.turn import compact
from wire.conversation.unrepeated import Unrepeated

_THREAD: Final = 300  # exchanges of one conversation on a page
_WHOLE: Final = 24 << 20
"""Bytes of bodies that one page reads; what is larger is there to be downloaded."""

_KEPT_TURNS: Final = 2  # of the history, before what is new


class NotFound(Exception):  # noqa: N818 - a page says it
    """There is no such exchange; or its bytes are gone. The sentence is a key of the catalogue."""


class OneExchange:
    """Pages about one exchange or one conversation."""

    def __init__(self, house: House) -> None:
        self._house = house

    def page(self, request: Request) -> Response:
        """GET /exchanges/ID?from=N&q=…. The id of a conversation leads to it, the number of an exchange to its page."""
        session, given = session_of(request), request.path_params["id"]
        if given.isascii() and given.isdigit() and len(given) < 19:
            return self._numbered(request, int(given))
        content = may(session.role, "content")
        if content:
            try:
                record, large = self._record(request, given)
            except NotFound:
                if self._is_thread(request, given):
                    return RedirectResponse(f"/threads/{given}", 303)
                raise
            self._house.looking.at(session, "show", [record.seq], id=record.id)
        else:
            record, large = self._head(request, given), False
        turns, words = record.turns(), self._words(request) if content else []
        first = _first(request, turns, words)
        with self._house.store(request) as store:
            chain = standing(self._house.settings, store.problem_of, record.node, record.seq)
            arrivals = raw_of(store, record, "response").arrivals if not large else []
            follows = content and not large and self._before(store, record, bodies=0) is not None
        shown = turns[first : first + PAGE]
        made = bubbles(shown, words)
        history = max(0, _fresh(record) - first)
        return self._house.page(
            request,
            "exchange.html",
            record=record,
            line=line_of(record, (), content=False),
            bubbles=made,
            history=0 if any(each.hit for each in made[:history]) else history,
            hits=sum(each.hit for each in made),
            **_way_back(request),
            first=first,
            total=len(turns),
            page_size=PAGE,
            large=large,
            waterfall=drawing(record, arrivals),
            spans=spans(record),
            told=CODES.get(record.decision.code or ""),
            content=content,
            curl=curl(record, _body(record)) if content else None,
            chain=chain,
            follows=follows,
        )

    def _numbered(self, request: Request, seq: int) -> Response:
        """To the page of the exchange that has this place in the record: logs of looks name exchanges so."""
        with self._house.store(request) as store:
            found = store.last_of([seq])
        if seq not in found:
            raise NotFound("There is no exchange of this number.")
        return RedirectResponse(f"/exchanges/{identifier(found[seq][0])}", 303)

    def _words(self, request: Request) -> list[str]:
        """What was looked for where this exchange was found, to stand out in it."""
        asked = request.query_params.get("q", "")
        try:
            return folded_words(read_query(asked, session_of(request), self._house.looking).texts())
        except QueryProblem:
            return []

    def difference(self, request: Request) -> Response:
        """GET /exchanges/ID/new: what is new in this turn of its conversation."""
        record = self.whole(request, request.path_params["id"])
        with self._house.store(request) as store:
            before = self._before(store, record)
        seqs = [record.seq] if before is None else [before.seq, record.seq]
        self._house.looking.at(session_of(request), "show", seqs, id=record.id, new="1")
        if before is None:
            raise NotFound("Nothing on record comes before this in its conversation.")
        found = difference(before, record)
        turns = found.turns[-PAGE:]
        return self._house.page(
            request,
            "difference.html",
            record=record,
            line=line_of(record, (), content=False),
            before=line_of(before, (), content=False),
            found=found,
            bubbles=bubbles(turns),
            left=len(found.turns) - len(turns),
        )

    def whole(self, request: Request, given: str) -> ShownRecord:
        """The record with its bodies, not yet written down as looked at.

        Raises:
            NotFound: there is none, or it is too large for a page.
        """
        record, large = self._record(request, given)
        if large:
            raise NotFound("This exchange is too large for a page. Its raw bytes can be downloaded.")
        return record

    def _before(self, store: Store, record: ShownRecord, bodies: int = _WHOLE) -> ShownRecord | None:
        if record.thread_id is None:
            return None
        query = Query((Term(Is("thread", _hex(record.thread_id))),))
        heads = store.listed(query, 1, before_seq=record.seq, bodies=bodies)
        return read_record(heads[0]) if heads else None

    def thread(self, request: Request) -> HTMLResponse:
        """GET /threads/ID?q=…: the conversation once, with a line where each exchange begins."""
        given = request.path_params["id"]
        with self._house.store(request) as store:
            query = Query((Term(Is("thread", _hex(given))),))
            heads = [read_record(each) for each in store.listed(query, _THREAD)]
            if not heads:
                raise NotFound("There is no such conversation.")
            room = _WHOLE
            records: list[ShownRecord] = []
            for head in reversed(heads):
                room -= head.request_bytes + head.response_bytes
                records += [read_record(each) for each in store.find(head.id)] if room > 0 else [head]
        self._house.looking.at(session_of(request), "show", [each.seq for each in records], id=given)
        seen = Unrepeated()
        steps: list[dict[str, Any]] = []
        turns: list[Turn] = []
        for record in records:
            asked = conversation(record.operation, record.request, None)
            answered = conversation(record.operation, None, record.response)
            new, follows = seen.new(asked)
            some = [*new, *answered][:PAGE]
            steps.append(
                {
                    "line": line_of(record, (), content=False),
                    "follows": follows,
                    "turns": slice(len(turns), len(turns) + len(some)),
                    "left": max(0, len(new) + len(answered) - PAGE),
                }
            )
            turns += some
            seen.add(asked, answered)
        made = bubbles(turns, self._words(request))  # at once: how much is compared has one end
        costs = [each.cost_usd for each in records if each.cost_usd is not None]
        return self._house.page(
            request,
            "thread.html",
            steps=steps,
            bubbles=made,
            hits=sum(each.hit for each in made),
            records=records,
            **_way_back(request),
            id=records[0].thread_id or given,
            people=list(dict.fromkeys(each.person for each in records)),
            models=list(dict.fromkeys(each.model for each in records)),
            cost=sum(costs) if costs else None,
            tokens=(
                sum(each.usage.input_tokens or 0 for each in records),
                sum(each.usage.output_tokens or 0 for each in records),
            ),
        )

    def raw(self, request: Request) -> Response:
        """GET /exchanges/ID/request or /response: the exact bytes, as a file that no browser opens by itself."""
        side = request.path_params["side"]
        record = self._head(request, request.path_params["id"])
        self._house.looking.at(session_of(request), "show", [record.seq], id=record.id, raw=side)
        with self._house.store(request) as store:
            body = raw_of(store, record, side)
        if body.state != "kept" and not body.content:
            raise NotFound("The exact bytes of this exchange are not kept any more.")
        return _file(body.content, f"{record.id}.{side}.bin")

    def json(self, request: Request) -> Response:
        """GET /exchanges/ID/record.json: the record, as `sekisho show ID --json` prints it."""
        record = self._head(request, request.path_params["id"])
        self._house.looking.at(session_of(request), "export", [record.seq], id=record.id)
        with self._house.store(request) as store:
            found = store.find(record.id)
        if not found:
            raise NotFound("There is no exchange of this id.")
        return _file(found[0] + b"\n", f"{record.id}.json")

    def _is_thread(self, request: Request, given: str) -> bool:
        wanted = _hex(given)
        with self._house.store(request) as store:
            return store.has_thread(wanted)

    def _head(self, request: Request, given: str) -> ShownRecord:
        """Without its bodies: they may be large."""
        wanted = _hex(given)
        with self._house.store(request) as store:
            found = store.head(wanted)
        if found is None:
            raise NotFound("There is no exchange of this id.")
        return read_record(found)

    def _record(self, request: Request, given: str) -> tuple[ShownRecord, bool]:
        """The record; without bodies, and True, where they are too large for a page."""
        head = self._head(request, given)
        if head.request_bytes + head.response_bytes > _WHOLE:
            return head, True
        with self._house.store(request) as store:
            found = store.find(head.id)
        return (read_record(found[0]) if found else head), False


def raw_of(store: Store, record: ShownRecord, side: str) -> RawBody:
    """The exact bytes of its request or response.

    Raises:
        NotFound: it was let go of since the record was read.
    """
    try:
        return store.raw(record.id, side)
    except LookupError:
        raise NotFound("There is no exchange of this id.") from None


def _way_back(request: Request) -> dict[str, str]:
    """The search where this was found, as it was written and as links carry it on."""
    asked = request.query_params.get("q", "")
    return {"q": asked, "kept": urlencode({"q": asked}) if asked else ""}


def _hex(given: str) -> str:
    wanted = given.replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{32}", wanted):
        raise NotFound("That is no id of an exchange.")
    return wanted


def _first(request: Request, turns: list[Turn], words: Sequence[str] = ()) -> int:
    """Where the page begins: as asked, else so that what was looked for is on it, else the end of a long one."""
    given = request.query_params.get("from", "")
    if given.isascii() and given.isdigit() and len(given) < 9:
        return min(int(given), max(0, len(turns) - 1))
    last = max(0, len(turns) - PAGE)
    if words and last:
        hit = next((i for i, turn in enumerate(turns) if has_any(turn.text, words)), last)
        return min(max(0, hit - _KEPT_TURNS), last)
    return last


def _fresh(record: ShownRecord) -> int:
    """How many turns were there before: up to the last answer that the request itself brings, tools left aside."""
    asked = conversation(record.operation, record.request, None)
    last = max((i for i, turn in enumerate(asked) if turn.role == "assistant" and turn.kind == "text"), default=-1)
    return last + 1 if last + 1 > _KEPT_TURNS else 0


def _body(record: ShownRecord) -> str | None:
    return None if record.request is None else compact(record.request)


def _file(content: bytes, name: str) -> Response:
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
