"""A reply again, word by word at the pace at which it came, as server-sent events (WHATWG HTML, 9.2)."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from anyio import sleep, to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute

from console.exchange import OneExchange, raw_of
from console.hidden import marked
from console.house import House, session_of
from console.roles import Page
from storage.sqlite.reading import RawBody
from wire.conversation.record import ShownRecord
from wire.conversation.spoken import Spoken

_SPEEDS: Final = ("1", "4", "16")
_TICK: Final = 0.5  # seconds between two looks whether anybody is still there


@dataclass(frozen=True, slots=True)
class _Piece:
    """Words, and how many seconds after the request they came."""

    at: float
    words: str


class Replay:
    """The route of the replay."""

    def __init__(self, house: House, one: OneExchange) -> None:
        self._house = house
        self._one = one

    def routes(self) -> list[BaseRoute]:
        """Where it is."""
        return [Page("/exchanges/{id}/replay", self.events, "content")]

    async def events(self, request: Request) -> Response:
        """GET /exchanges/ID/replay?speed=1|4|16. The look is written down first."""
        speed = request.query_params.get("speed", "1")
        if speed not in _SPEEDS:
            return PlainTextResponse("speed is 1, 4 or 16.", status_code=400)
        record, body = await to_thread.run_sync(self._found, request)
        return StreamingResponse(self._paced(request, record, body, float(speed)), media_type="text/event-stream")

    def _found(self, request: Request) -> tuple[ShownRecord, RawBody]:
        """The record and its bytes, once it is written down that they are shown."""
        record = self._one.whole(request, request.path_params["id"])
        self._house.looking.at(session_of(request), "replay", [record.seq], id=record.id)
        with self._house.store(request) as store:
            return record, raw_of(store, record, "response")

    async def _paced(self, request: Request, record: ShownRecord, body: RawBody, speed: float) -> AsyncIterator[str]:
        begun = time.monotonic()
        pieces = await to_thread.run_sync(lambda: list(_pieces(record, body)))
        for piece in pieces:
            while (wait := begun + piece.at / speed - time.monotonic()) > 0:
                await sleep(min(wait, _TICK))
                if not self._house.running() or await request.is_disconnected():
                    return
            if piece.words:
                yield _event("words", str(marked(piece.words)))
        yield _event("end", record.end_state)


def _pieces(record: ShownRecord, body: RawBody) -> Iterator[_Piece]:
    spoken = Spoken(
        operation=record.operation,
        status=record.status or 200,
        content_type=body.media_type,
        content_encoding=body.content_encoding,
        streamed=record.stream,
    )
    at, offset, said = 0, 0, False
    for offset, length in [*body.arrivals, (body.arrivals[-1][0] if body.arrivals else 0, len(body.content))]:
        if words := spoken.feed(body.content[at : at + length]):
            said = True
            yield _Piece(offset / 1e6, words)
        at += length
    rest = spoken.close()
    if not rest and not said:  # no stream, or none that has words: what the reply says as a whole, when it was there
        rest = "\n".join(turn.text for turn in record.turns() if turn.role == "assistant")
    yield _Piece(offset / 1e6, rest)  # without words too: it was not over before


def _event(name: str, data: str) -> str:
    return f"event: {name}\n" + "".join(f"data: {line}\n" for line in data.split("\n")) + "\n"
