"""Before any page: is it asked by our name, by somebody who is signed in, and from our own page?"""

import http.cookies
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.headers import protected
from console.sessions import Sessions

_FORM: Final = 64 << 10  # bytes of a form, at most
_OPEN: Final = ("/static/", "/enter", "/healthz")
_UNTOUCHED: Final = ("/exchanges/live", "/orders/table")  # a page that reloads itself is nobody's presence

COOKIE: Final = "sekisho-console"

type Refused = Callable[[Request, int, str], Response]
"""A page that says why not: request, status, sentence (a key of the catalogue)."""


class Guard:
    """An ASGI layer around all routes.

    `hosts`: the names and addresses by which this console may be asked, ports left aside; anything else is a name of
    somebody else that leads here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, hosts: Iterable[str], refused: Refused) -> None:
        self._app = app
        self._sessions = sessions
        self._hosts = frozenset(hosts)
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = path.startswith("/static/") and message["status"] == 200
                message["headers"] = protected(list(message["headers"]), kept=kept)
            await send(message)

        request = Request(scope, receive)
        scope.setdefault("state", {})
        refusal = await self._refusal(request, path)
        if refusal is not None:
            await self._refused(request, *refusal)(scope, receive, sent)
        else:
            await self._app(scope, receive, sent)

    async def _refusal(self, request: Request, path: str) -> tuple[int, str] | None:
        state = request.state
        state.session, state.form = None, {}
        if _host_of(request.headers) not in self._hosts:
            return 421, "This console is not known by that name."
        state.session_id = cookie_of(request, COOKIE)
        state.session = self._sessions.get(state.session_id, touch=path not in _UNTOUCHED)
        if path.startswith(_OPEN):
            return None
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


def cookie_of(request: Request, name: str) -> str | None:
    """One cookie; None where there is none, or none that can be read."""
    try:
        found = http.cookies.SimpleCookie(request.headers.get("cookie", "")).get(name)
    except http.cookies.CookieError:
        return None
    return found.value if found else None


def set_cookie(response: Response, name: str, value: str, *, life: int | None = None) -> None:
    """A cookie of this site alone. Without a life it ends with the browser."""
    response.set_cookie(name, value, max_age=life, path="/", httponly=True, samesite="lax")


def _host_of(headers: Headers) -> str:
    host = headers.get("host", "")
    return host.rpartition(":")[0].strip("[]") if host.rpartition(":")[2].isdigit() else host.strip("[]")
