"""The console as one ASGI application: which page is where, and how every page says that something cannot be done."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from console.access_page import AccessPage
from console.entrance import Entrance
from console.exchange import NotFound, OneExchange
from console.exchanges import Exchanges
from console.exporting import Export
from console.guard import COOKIE, Guard, session_cookie, set_cookie, way_of
from console.house import THEMES, House, session_of, templates
from console.looking import Looking, ReasonMissing
from console.orders import Orders, OrdersUnusable
from console.overview import Overview
from console.own_page import OwnPage
from console.replay import Replay
from console.roles import Page, all_named
from console.saved import SavedSearches
from console.sessions import Sessions
from console.signing_in import HOME, SigningIn
from console.store import OpenStore
from console.texts import LANGUAGES
from settings.schema import Settings
from signin.cookie import cookie_name
from signin.own_path import own_path
from signin.relying_party import SignIn
from storage.access import AccessUnwritable
from storage.problem import StoreProblem
from storage.sealing.master import SealProblem

log = logging.getLogger(__name__)

_STATIC: Final = Path(__file__).parent / "static"
_YEAR: Final = 365 * 86400
_REASON: Final = 500  # characters
_NEXT: Final = 16_384  # characters of an address with its query


def console_app(
    settings: Settings,
    open_store: OpenStore,
    sessions: Sessions,
    *,
    who: str,
    invite: Callable[[], None],
    running: Callable[[], bool],
    sign_in: SignIn | None = None,
) -> Starlette:
    """The application. `who` a one-time key lets in on this machine; `invite` makes one known to them. Pages that stay
    open end when it is no longer `running`. With `sign_in` people come in with their company account."""
    house = House(settings, open_store, sessions, Looking(settings), templates(), invite, running, sign_in is not None)
    signing_in = SigningIn(house, sign_in, settings.console.origin) if sign_in is not None else None
    exchanges, one, desk = Exchanges(house), OneExchange(house), _Desk(house, who, signing_in)
    counted = Overview(house)
    routes: list[BaseRoute] = [
        Page("/", lambda _: RedirectResponse(HOME, 303), "somebody"),
        Page("/exchanges", exchanges.page, "records"),
        Page("/exchanges/complete", exchanges.complete, "records"),
        Page("/exchanges/live", exchanges.live, "records"),
        Page("/exchanges/export", Export(house).file, "content"),
        Page("/exchanges/{id}", one.page, "records"),
        Page("/exchanges/{id}/record.json", one.json, "content"),
        Page("/exchanges/{id}/new", one.difference, "content"),
        *Replay(house, one).routes(),
        Page("/exchanges/{id}/{side:str}", _side(one), "content"),
        Page("/threads/{id}", one.thread, "content"),
        Page("/overview", counted.page, "records"),
        Page("/refusals", counted.refusals, "records"),
        Page("/people", counted.people, "everybody"),
        Page("/access", AccessPage(house).page, "looks"),
        Page("/me", OwnPage(house).page, "somebody"),
        *Orders(house).routes(),
        *SavedSearches(house).routes(),
        Page("/help", desk.help, "somebody"),
        Page("/reason", desk.ask_reason, "somebody"),
        Page("/reason", desk.reason, "somebody", methods=["POST"]),
        Page("/preferences", desk.preferences, "somebody", methods=["POST"]),
        Page("/leave", desk.leave, "somebody", methods=["POST"]),
        Page("/enter", desk.enter, "nobody"),
        *(signing_in.routes() if signing_in is not None else ()),
        Page("/healthz", lambda _: PlainTextResponse("ok\n"), "nobody"),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    entrance = Entrance(settings.console, signs_in=sign_in is not None)
    return Starlette(
        routes=all_named(routes),
        middleware=[Middleware(Guard, sessions=sessions, entrance=entrance, refused=desk.refused)],
        exception_handlers=desk.handlers(),
        lifespan=_lifespan(sign_in),
    )


def _lifespan(sign_in: SignIn | None) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        if sign_in is not None:
            await sign_in.start()
        try:
            yield
        finally:
            if sign_in is not None:
                await sign_in.stop()

    return running


def _side(one: OneExchange) -> Callable[[Request], Response]:
    def raw(request: Request) -> Response:
        if request.path_params["side"] not in ("request", "response"):
            raise HTTPException(404)
        return one.raw(request)

    return raw


class _Desk:
    """The way in and out, what a person chose, and every page that says why not."""

    def __init__(self, house: House, who: str, signing_in: SigningIn | None) -> None:
        self._house = house
        self._who = who
        self._signing_in = signing_in

    def enter(self, request: Request) -> Response:
        """GET /enter?key=…: a one-time key becomes a session."""
        way = way_of(request)
        session = self._house.sessions.enter(request.query_params.get("key", ""), self._who) if way.local else None
        if session is None:
            return self._no_entry(request, "This way in was used already, or is too old.")
        self._house.sessions.leave(session_cookie(request))
        answer = RedirectResponse(HOME, 303)
        set_cookie(answer, cookie_name(COOKIE, secure=way.secure), session, secure=way.secure)
        return answer

    async def leave(self, request: Request) -> Response:
        """POST /leave, with everywhere=1 on all devices; then at the provider, where the settings say so."""
        everywhere = request.state.form.get("everywhere") == "1"
        principal = session_of(request).principal
        self._house.sessions.leave(request.state.session_id, everywhere=everywhere)
        request.state.session = None
        onward = None
        if self._signing_in is not None and principal is not None:  # whoever came by a key has no session there
            onward = await self._signing_in.sign_out(principal)
        answer = self._house.page(
            request, "message.html", title="Signed out", said="You are signed out.", remedy=None, leaving=onward
        )
        secure = way_of(request).secure
        set_cookie(answer, cookie_name(COOKIE, secure=secure), "", secure=secure, life=0)
        return answer

    def help(self, request: Request) -> Response:
        """GET /help: the query language and the keys."""
        return self._house.page(request, "help.html")

    def ask_reason(self, request: Request) -> Response:
        """GET /reason?next=…"""
        return self._house.page(request, "reason.html", next=_next(request.query_params))

    async def reason(self, request: Request) -> Response:
        """POST /reason: why this person looks, until they leave or say otherwise."""
        given = " ".join(request.state.form.get("reason", "").split())[:_REASON]
        session_of(request).reason = given or None
        return RedirectResponse(_next(request.state.form), 303)

    async def preferences(self, request: Request) -> Response:
        """POST /preferences: language and colours."""
        form = request.state.form
        answer = RedirectResponse(_next(form), 303)
        for name, known in (("lang", LANGUAGES), ("theme", THEMES)):
            if form.get(name) in known:
                set_cookie(answer, name, form[name], secure=way_of(request).secure, life=_YEAR)
        return answer

    def refused(self, request: Request, status: int, said: str) -> Response:
        """What the guard answers in place of a page."""
        if status == 401:
            return self._no_entry(request, said)
        return self._house.page(request, "message.html", status, title="No entry", said=said, remedy=None)

    def _no_entry(self, request: Request, said: str) -> Response:
        """To the sign-in, where a person asks for a page; else the page that says how one comes in."""
        way = way_of(request)
        https = self._house.settings.console.origin.startswith("https://")
        if self._house.signs_in and _is_navigation(request) and not (way.local and https):
            return RedirectResponse(f"/sign-in?{urlencode({'to': own_path(_here(request), HOME)})}", 303)
        remedy = None
        if way.local:
            self._house.invite()
            remedy = "Open the address that stands in the terminal where the console runs. A new one was just printed."
        return self._house.page(request, "message.html", 401, title="No entry", said=said, remedy=remedy)

    def handlers(self) -> Any:
        """For each problem, the page that says it."""
        return {
            ReasonMissing: self._reason_missing,
            NotFound: lambda request, why: self._said(request, 404, "Not here", str(why)),
            OrdersUnusable: lambda request, why: self._said(request, 503, "Orders cannot be used", str(why)),
            AccessUnwritable: lambda request, why: self._said(request, 503, "Nothing is shown", str(why)),
            SealProblem: lambda request, why: self._said(request, 503, "The record is sealed", str(why)),
            StoreProblem: lambda request, why: self._said(request, 503, "The record cannot be read", str(why)),
            sqlite3.Error: lambda request, why: self._said(request, 503, "The record cannot be read", f"{why}."),
            HTTPException: self._http,
            Exception: self._fault,
        }

    def _said(self, request: Request, status: int, title: str, said: str) -> HTMLResponse:
        return self._house.page(request, "message.html", status, title=title, said=said, remedy=None)

    def _reason_missing(self, request: Request, _: Exception) -> Response:
        return RedirectResponse(f"/reason?{urlencode({'next': _here(request)})}", 303)

    def _http(self, request: Request, why: Exception) -> Response:
        status = why.status_code if isinstance(why, HTTPException) else 500
        if status == 403:
            return self._said(request, 403, "Not for your role", "Your role does not show this.")
        said = "There is no such page." if status == 404 else "That cannot be done here."
        return self._said(request, status, "Not here", said)

    def _fault(self, request: Request, _: Exception) -> Response:
        log.error("A page failed: %s %s", request.method, request.url.path)
        said = "The console failed on this page. That is a fault of ours; its log says more."
        return self._said(request, 500, "A fault", said)


def _next(given: Mapping[str, str]) -> str:
    """The page of ours that `next` names, with whatever is asked there."""
    return own_path(given.get("next"), HOME, longest=_NEXT)


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _is_navigation(request: Request) -> bool:
    """Does a person ask for a page, and not a script for a part of one?"""
    accepts = "text/html" in request.headers.get("accept", "")
    return request.method == "GET" and accepts and "hx-request" not in request.headers
