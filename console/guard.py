"""Before any page: is it asked by our name, by somebody who is signed in, and from our own page? After: did it end?"""

import logging
import sqlite3
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.entrance import Entrance, Way, WrongWay
from console.headers import protected
from console.looking import ReasonMissing
from console.sessions import Sessions, SignedOut
from signin.cookie import cookie_name, cookie_set, cookie_value
from storage.access import AccessUnwritable
from storage.problem import StoreProblem
from storage.sealing.master import SealProblem

log = logging.getLogger(__name__)

_FORM: Final = 64 << 10  # bytes of a form, at most
_OPEN: Final = ("/static/", "/enter", "/healthz", "/sign-in")
_UNTOUCHED: Final = ("/exchanges/live", "/orders/table")  # a page that reloads itself is nobody's presence

COOKIE: Final = "sekisho-console"

type Refused = Callable[[Request, int, str], Response]
"""A page that says why not: request, status, sentence (a key of the catalogue)."""


class Guard:
    """An ASGI layer around all routes."""

    def __init__(self, app: ASGIApp, sessions: Sessions, entrance: Entrance, refused: Refused) -> None:
        self._app = app
        self._sessions = sessions
        self._entrance = entrance
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                kept = path.startswith("/static/") and message["status"] == 200
                way = scope["state"].get("way")
                secure = way is not None and way.secure
                message["headers"] = protected(list(message["headers"]), kept=kept, secure=secure)
            await send(message)

        request = Request(scope, receive)
        scope.setdefault("state", {})
        refusal = await self._refusal(request, path)
        if refusal is not None:
            await self._refused(request, *refusal)(scope, receive, sent)
            return
        try:
            await self._app(scope, receive, sent)
        except Exception as why:
            if not begun:
                raise
            _broke_off(request, why)  # and the body has no end: the server closes, the browser says that it failed

    async def _refusal(self, request: Request, path: str) -> tuple[int, str] | None:
        state = request.state
        state.session, state.form = None, {}
        try:
            state.way = self._entrance.way(request)
        except WrongWay as wrong:
            return 421, str(wrong)
        state.session_id = session_cookie(request)
        state.session = self._sessions.get(state.session_id, touch=path not in _UNTOUCHED)
        if path.startswith(_OPEN):
            return None if request.method in ("GET", "HEAD") else (405, "That cannot be done here.")
        if state.session is None:
            return 401, "You are not signed in."
        if request.method not in ("GET", "HEAD"):
            return await self._forged(request)
        return None

    async def _forged(self, request: Request) -> tuple[int, str] | None:
        """Forms count from our own pages only: by what the browser says of their origin, and by the session's token."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin = request.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _FORM:
                return 413, "That form is too long."
        form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
        request.state.form = {name: values[-1] for name, values in form.items()}
        given = request.state.form.get("csrf") or request.headers.get("x-csrf") or ""
        if site != "same-origin" or foreign or given != request.state.session.csrf:
            return 403, "That form is not one of this page. Load the page anew and try again."
        return None


def _broke_off(request: Request, why: Exception) -> None:
    """Say in one line why an answer ends before its end; of a fault of ours, where it is."""
    cause = why.__cause__ if isinstance(why, RuntimeError) and isinstance(why.__cause__, Exception) else why
    what = f"{request.method} {request.url.path} broke off, and what came of it is not whole"
    match cause:
        case SignedOut() | ReasonMissing():
            log.warning("%s: whoever asked is signed out, or took back their reason. Sign in and ask again.", what)
        case StoreProblem() | SealProblem() | AccessUnwritable():
            log.error("%s: %s Ask for it again once that is mended.", what, cause)
        case sqlite3.Error() | OSError():
            log.error(
                "%s: %s. Ask for it again once that is mended; `sekisho db check` looks the file through.", what, cause
            )
        case _:
            log.error("%s. That is a fault of ours.", what, exc_info=cause)


def way_of(request: Request) -> Way:
    """How this request came; the guard has looked."""
    way: Way = request.state.way
    return way


def session_cookie(request: Request) -> str | None:
    """The session that this browser shows, whether there is such a one or not."""
    return cookie_of(request, cookie_name(COOKIE, secure=way_of(request).secure))


def cookie_of(request: Request, name: str) -> str | None:
    """One cookie; None where there is none, or none that can be read."""
    return cookie_value(request.headers.get("cookie", ""), name)


def set_cookie(response: Response, name: str, value: str, *, secure: bool, life: int | None = None) -> None:
    """A cookie of this host alone. Without a life it ends with the browser; with 0 now."""
    response.headers.append("set-cookie", cookie_set(name, value, secure=secure, life=life))
