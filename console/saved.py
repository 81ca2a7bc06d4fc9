"""Searches that somebody kept: in their own browser, in a cookie that no script reads (decision 6)."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from console.guard import cookie_of, set_cookie, way_of
from console.house import House, session_of
from console.roles import Page
from console.search_box import read_query
from signin.own_path import own_path
from storage.query.parsing import QueryProblem
from storage.query.terms import Query

_MOST: Final = 20
_NAME: Final = 60  # characters
_ROOM: Final = 3_500  # of a cookie, of which browsers keep 4,096 bytes with its name (RFC 6265, 6.1)
_UNPACKED: Final = 64 << 10  # bytes, past which it is none of ours
_LIFE: Final = 365 * 86400
_HOME: Final = "/exchanges"


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """One search: what it is called, and the query as it was written."""

    name: str
    query: str


def saved_of(request: Request) -> list[Saved]:
    """Those of whoever asks, in the order in which they were kept. What is no list of ours is none."""
    packed = cookie_of(request, _cookie(request)) or ""
    try:
        opened = zlib.decompressobj()
        raw = opened.decompress(base64.urlsafe_b64decode(packed), _UNPACKED)
        found = msgspec.json.decode(raw, type=list[Saved]) if not opened.unconsumed_tail else []
    except (binascii.Error, zlib.error, ValueError):
        return []
    return [each for each in found if each.name.strip() and each.query.strip()][:_MOST]


def shared_link(query: Query) -> str:
    """The path of this search with its times spelled out: `after:7d` is another week for whoever opens it later."""
    return f"{_HOME}?{urlencode({'q': str(query)})}"


class SavedSearches:
    """The routes that keep one and let go of one."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            Page("/saved", self.keep, "records", methods=["POST"]),
            Page("/saved/remove", self.remove, "records", methods=["POST"]),
        ]

    async def keep(self, request: Request) -> Response:
        """POST /saved: name and q. The same name again takes the place of the other."""
        form = request.state.form
        query = form.get("q", "").strip()
        name = " ".join(form.get("name", "").split())[:_NAME] or query[:_NAME]
        try:
            read_query(query, session_of(request), self._house.looking)
        except QueryProblem as problem:
            return self._said(request, 400, str(problem))
        if not query:
            return self._said(request, 400, "There is nothing to be kept: write a search first.")
        kept = [*(each for each in saved_of(request) if each.name != name), Saved(name, query)]
        packed = _packed(kept)
        if len(kept) > _MOST or len(packed) > _ROOM:
            return self._said(request, 409, "No more searches fit into this browser. Remove one first.")
        return self._answer(request, packed)

    async def remove(self, request: Request) -> Response:
        """POST /saved/remove: name."""
        name = request.state.form.get("name", "")
        return self._answer(request, _packed([each for each in saved_of(request) if each.name != name]))

    def _answer(self, request: Request, packed: str) -> Response:
        answer = RedirectResponse(own_path(request.state.form.get("next"), _HOME), 303)
        set_cookie(answer, _cookie(request), packed, secure=way_of(request).secure, life=_LIFE)
        return answer

    def _said(self, request: Request, status: int, said: str) -> Response:
        return self._house.page(request, "message.html", status, title="Saved searches", said=said, remedy=None)


def _packed(kept: Sequence[Saved]) -> str:
    return base64.urlsafe_b64encode(zlib.compress(msgspec.json.encode(kept), 9)).decode("ascii")


def _cookie(request: Request) -> str:
    """Of this person: somebody else at the same browser has another."""
    who = hashlib.sha256(session_of(request).who.encode()).hexdigest()[:16]
    return f"sekisho-saved-{who}"
