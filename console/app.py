"""The console as one ASGI application: which page is where, and how every page says that something cannot be done."""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console.access_page import AccessPage
from console.exchange import NotFound, OneExchange
from console.exchanges import Exchanges
from console.guard import COOKIE, Guard, set_cookie
from console.house import THEMES, House, session_of, templates
from console.looking import Looking, ReasonMissing
from console.orders import Orders, OrdersUnusable
from console.overview import Overview
from console.sessions import Sessions
from console.store import OpenStore
from console.texts import LANGUAGES
from settings.schema import Settings
from storage.access import AccessUnwritable
from storage.problem import StoreProblem
from storage.sealing.master import SealProblem

log = logging.getLogger(__name__)

_STATIC: Final = Path(__file__).parent / "static"
_YEAR: Final = 365 * 86400
_REASON: Final = 500  # characters


def console_app(
    settings: Settings,
    open_store: OpenStore,
    sessions: Sessions,
    *,
    who: str,
    invite: Callable[[], None],
    running: Callable[[], bool],
) -> Starlette:
    """The application. `who` a one-time key lets in; `invite` makes one known to them. Pages
    that stay open end when it is no longer `running`."""
    house = House(settings, open_store, sessions, Looking(settings), templates(), invite, running)
    exchanges, one, desk = Exchanges(house), OneExchange(house), _Desk(house, who)
    counted = Overview(house)
    routes = [
        Route("/", lambda _: RedirectResponse("/exchanges", 303)),
        Route("/exchanges", exchanges.page),
        Route("/exchanges/complete", exchanges.complete),
        Route("/exchanges/live", exchanges.live),
        Route("/exchanges/{id}", one.page),
        Route("/exchanges/{id}/record.json", one.json),
        Route("/exchanges/{id}/{side:str}", _side(one)),
        Route("/threads/{id}", one.thread),
        Route("/overview", counted.page),
        Route("/refusals", counted.refusals),
        Route("/people", counted.people),
        Route("/access", AccessPage(house).page),
        *Orders(house).routes(),
        Route("/help", desk.help),
        Route("/reason", desk.ask_reason),
        Route("/reason", desk.reason, methods=["POST"]),
        Route("/preferences", desk.preferences, methods=["POST"]),
        Route("/enter", desk.enter),
        Route("/leave", desk.leave, methods=["POST"]),
        Route("/healthz", lambda _: PlainTextResponse("ok\n")),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    hosts = {"127.0.0.1", "localhost", "::1", settings.console.listen.host}
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, sessions=sessions, hosts=hosts, refused=desk.refused)],
        exception_handlers=desk.handlers(),
    )


def _side(one: OneExchange) -> Callable[[Request], Response]:
    def raw(request: Request) -> Response:
        if request.path_params["side"] not in ("request", "response"):
            raise HTTPException(404)
        return one.raw(request)

    return raw


class _Desk:
    """The way in and out, what a person chose, and every page that says why not."""

    def __init__(self, house: House, who: str) -> None:
        self._house = house
        self._who = who

    def enter(self, request: Request) -> Response:
        """GET /enter?key=…: a one-time key becomes a session."""
        session = self._house.sessions.enter(request.query_params.get("key", ""), self._who)
        if session is None:
            return self.refused(request, 401, "This way in was used already, or is too old.")
        answer = RedirectResponse("/exchanges", 303)
        set_cookie(answer, COOKIE, session)
        return answer

    async def leave(self, request: Request) -> Response:
        """POST /leave, with everywhere=1 on all devices."""
        everywhere = request.state.form.get("everywhere") == "1"
        self._house.sessions.leave(request.state.session_id, everywhere=everywhere)
        request.state.session = None
        answer = self._house.page(request, "message.html", title="Signed out", said="You are signed out.", remedy=None)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    def help(self, request: Request) -> Response:
        """GET /help: the query language and the keys."""
        return self._house.page(request, "help.html")

    def ask_reason(self, request: Request) -> Response:
        """GET /reason?next=…"""
        return self._house.page(request, "reason.html", next=_own_page(request.query_params.get("next")))

    async def reason(self, request: Request) -> Response:
        """POST /reason: why this person looks, until they leave or say otherwise."""
        given = " ".join(request.state.form.get("reason", "").split())[:_REASON]
        session_of(request).reason = given or None
        return RedirectResponse(_own_page(request.state.form.get("next")), 303)

    async def preferences(self, request: Request) -> Response:
        """POST /preferences: language and colours."""
        form = request.state.form
        answer = RedirectResponse(_own_page(form.get("next")), 303)
        for name, known in (("lang", LANGUAGES), ("theme", THEMES)):
            if form.get(name) in known:
                set_cookie(answer, name, form[name], life=_YEAR)
        return answer

    def refused(self, request: Request, status: int, said: str) -> HTMLResponse:
        """What the guard answers in place of a page."""
        remedy = None
        if status == 401:
            self._house.invite()
            remedy = "Open the address that stands in the terminal where the console runs. A new one was just printed."
        return self._house.page(request, "message.html", status, title="No entry", said=said, remedy=remedy)

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
        return RedirectResponse(f"/reason?{urlencode({'next': str(request.url.path)})}", 303)

    def _http(self, request: Request, why: Exception) -> Response:
        status = why.status_code if isinstance(why, HTTPException) else 500
        said = "There is no such page." if status == 404 else "That cannot be done here."
        return self._said(request, status, "Not here", said)

    def _fault(self, request: Request, _: Exception) -> Response:
        log.error("A page failed: %s %s", request.method, request.url.path)
        said = "The console failed on this page. That is a fault of ours; its log says more."
        return self._said(request, 500, "A fault", said)


def _own_page(given: str | None) -> str:
    """A path of this console, and of nothing else."""
    parts = urlsplit(given or "")
    own = given is not None and given.startswith("/") and not parts.netloc and given[1:2] not in ("/", "\\")
    return given if own and given and given.isprintable() else "/exchanges"
