"""What a search found, as a file: JSON lines, oldest first, as `sekisho export` writes them (docs/record.md)."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from console.guard import session_cookie
from console.house import House, session_of
from console.search_box import read_query
from console.sessions import SignedOut
from storage.query.parsing import QueryProblem
from storage.query.terms import Query
from wire.conversation.record import ShownRecord, read_record

_LISTED: Final = 200  # exchanges whose heads are read at once
_READ: Final = 8 << 20  # bytes of bodies that are held at once; one exchange may be larger


class Export:
    """The file of a search."""

    def __init__(self, house: House) -> None:
        self._house = house

    def file(self, request: Request) -> Response:
        """GET /exchanges/export?q=…: a file that no browser opens by itself. Where something breaks in the middle, the
        download breaks off: a file that came whole is whole.

        Raises:
            ReasonMissing, HTTPException, AccessUnwritable: as every look (console.looking).
        """
        asked = request.query_params.get("q", "")
        try:
            query = read_query(asked, session_of(request), self._house.looking)
        except QueryProblem as problem:
            said = str(problem)
            return self._house.page(request, "message.html", 400, title="Not exported", said=said, remedy=None)
        parts = self._parts(request, query, asked)
        first = next(parts, b"")  # what stands against it is a page, as long as nothing was sent
        return StreamingResponse(
            chain((first,), parts),
            media_type="application/octet-stream",
            headers={"content-disposition": 'attachment; filename="exchanges.jsonl"'},
        )

    def _parts(self, request: Request, query: Query, asked: str) -> Iterator[bytes]:
        session, after = session_of(request), 0
        with self._house.store(request) as store:
            last = store.last_seq()
        heads = self._heads(request, query, after)
        if not heads:
            self._house.looking.at(session, "export", [], query=asked)
        while heads:
            wanted = [each for each in heads if each.seq <= last]  # what comes meanwhile is not part of it
            while wanted:
                if self._house.sessions.get(session_cookie(request)) is not session:
                    raise SignedOut
                some = _no_more_than(wanted)
                with self._house.store(request) as store:
                    lines = [line for each in some for line in store.find(each.id)]
                self._house.looking.at(session, "export", [each.seq for each in some], query=asked)
                yield b"".join(line + b"\n" for line in lines)
                wanted = wanted[len(some) :]
            after = heads[-1].seq
            heads = self._heads(request, query, after) if after < last else []

    def _heads(self, request: Request, query: Query, after: int) -> list[ShownRecord]:
        with self._house.store(request) as store:
            return [read_record(each) for each in store.listed(query, _LISTED, after_seq=after, bodies=0)]


def _no_more_than(heads: list[ShownRecord]) -> list[ShownRecord]:
    """As many of the first as may be held at once; one at least."""
    room, some = _READ, heads[:1]
    for each in heads[1:]:
        room -= some[-1].request_bytes + some[-1].response_bytes
        if room <= each.request_bytes + each.response_bytes:
            break
        some.append(each)
    return some
