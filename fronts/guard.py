"""Before any page of ours: at which front, by whom, and from which site is it asked?"""

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fronts.house import Visitor, cookie_of
from identities.claims import text
from identities.refusal import IdentityRefused
from identities.session import CARRIER, cookie_name, name_of
from identities.token import take_apart
from identities.verifier import Verifier
from settings.fronts import Front
from wire.refusals import refusal_body
from wire.same_site import site_problem

OPEN: Final = frozenset(
    {
        "/_sekisho/login",
        "/_sekisho/begin",
        "/_sekisho/callback",
        "/_sekisho/signed-out",
        "/_sekisho/device/code",
        "/_sekisho/device/token",
        "/_sekisho/healthz",
    }
)
"""What nobody need be signed in for."""

_STATIC: Final = "/_sekisho/static/"
_OF_PROGRAMS: Final = frozenset({"/_sekisho/device/code", "/_sekisho/device/token"})
"""Asked by terminals, which have no origin; no cookie counts there."""

_PAGES_ALONE: Final = ("/me", "/_sekisho/device", "/_sekisho/logout")
"""Whatever is below is for people who open it, and for no script: that of the chat UI has the same origin, and might
make itself a token. It can neither change Sec-Fetch-Mode nor look into a page with COOP and frame-ancestors."""

_ALWAYS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}

type Refused = Callable[[Request, int, str], Response]
"""A page that says why not: request, status, sentence (a key of the texts)."""

type Over = Callable[[Request], Response]
"""A page for whoever sent a form when their session was over."""


class Guard:
    """An ASGI layer around all routes."""

    def __init__(self, app: ASGIApp, fronts: Sequence[Front], sessions: Verifier, refused: Refused, over: Over) -> None:
        self._app = app
        self._fronts = {front.host: front for front in fronts}
        self._sessions = sessions
        self._refused = refused
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = path.startswith(_STATIC) and message["status"] == 200
                ours = {**_ALWAYS, "cache-control": "max-age=3600" if kept else "no-store"}
                fields = [field for field in message["headers"] if field[0].decode("latin-1").lower() not in ours]
                message["headers"] = fields + [(name.encode(), value.encode()) for name, value in ours.items()]
            await send(message)

        scope.setdefault("state", {})
        request = Request(scope, receive)
        answer = await self._refusal(request, path)
        await (answer or self._app)(scope, receive, sent)

    async def _refusal(self, request: Request, path: str) -> Response | None:
        request.state.visitor = None
        front = self._fronts.get(request.headers.get("host", "").lower())
        if front is None:
            return self._refused(request, 421, "This host is not one of the fronts.")
        request.state.front = front
        request.scope["scheme"] = front.origin.partition(":")[0]  # as browsers came: redirects name it
        if path.startswith(_STATIC):
            return None
        if path not in _OF_PROGRAMS:
            request.state.visitor = await self._visitor(request, front)
            if request.method not in ("GET", "HEAD") and site_problem(front.origin.encode(), request.headers.raw):
                said = "That form is not one of this page. Load the page anew and try again."
                return self._refused(request, 403, said)
        if path.startswith(_PAGES_ALONE) and path not in OPEN and _is_of_a_script(request):
            return self._refused(request, 403, "That form is not one of this page. Load the page anew and try again.")
        if path in OPEN or request.state.visitor is not None:
            return None
        return self._sign_in_first(request)

    async def _visitor(self, request: Request, front: Front) -> Visitor | None:
        cookie = cookie_of(request, cookie_name(front.origin).decode())
        if cookie is None:
            return None
        raw = cookie.encode("latin-1", "replace")
        try:
            found = await self._sessions.identify(
                [(CARRIER, raw)], issuers=frozenset({name_of(front.origin)}), now=time.time()
            )
        except IdentityRefused:
            return None
        number = text(take_apart(raw).claims, "jti") or ""
        return Visitor(found.principal, number, sha256(b"form " + raw).hexdigest())

    def _sign_in_first(self, request: Request) -> Response:
        mode = request.headers.get("sec-fetch-mode")
        if mode == "navigate" if mode is not None else "text/html" in request.headers.get("accept", ""):
            if request.method != "GET":
                return self._over(request)
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/_sekisho/login?to={quote(request.url.path + query, safe='')}", 303)
        status, fields, body = refusal_body("openai", "missing_identity", "")
        return Response(body, status, fields)


def _is_of_a_script(request: Request) -> bool:
    mode, dest = request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")
    return mode not in (None, "navigate") or dest not in (None, "document")
