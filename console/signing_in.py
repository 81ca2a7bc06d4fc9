"""Into the console with the company account: there, back, and in with the role that the settings give."""

import logging
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.guard import COOKIE, session_cookie, set_cookie, way_of
from console.house import House, language_of
from console.roles import Page, role_of
from exchange.principal import Principal
from signin.cookie import cookie_name, cookie_value
from signin.own_path import own_path
from signin.refusal import SignInRefused
from signin.relying_party import LOGIN_COOKIE, SignIn
from signin.state import LIFE_S

log = logging.getLogger(__name__)

HOME: Final = "/exchanges"
BACK: Final = "/sign-in/back"
OUT: Final = "/sign-in/out"
"""Where the provider's sign-out leads back to. It must know the address to the letter."""


class SigningIn:
    """The pages of it. `origin` is the scheme, host and port that people know."""

    def __init__(self, house: House, sign_in: SignIn, origin: str) -> None:
        self._house = house
        self._sign_in = sign_in
        self._origin = origin

    def routes(self) -> list[Page]:
        """Where they are."""
        return [
            Page("/sign-in", self.begin, "nobody"),
            Page(BACK, self.back, "nobody"),
            Page(OUT, self.out, "nobody"),
        ]

    async def sign_out(self, principal: Principal) -> str | None:
        """Where a browser goes on to sign out at the provider; None: nowhere."""
        return await self._sign_in.sign_out(self._origin + OUT, principal)

    def out(self, request: Request) -> Response:
        """GET /sign-in/out: back from the provider's sign-out. Nothing is done here, and whoever is signed in is told
        nothing else."""
        if request.state.session is not None:
            return RedirectResponse(HOME, 303)
        return self._house.page(request, "message.html", title="Signed out", said="You are signed out.", remedy=None)

    async def begin(self, request: Request) -> Response:
        """GET /sign-in?to=…&another=1: off to the provider."""
        to = own_path(request.query_params.get("to"), HOME)
        another = request.query_params.get("another") == "1"
        if way_of(request).local and self._origin.startswith("https://"):  # its cookies would not come back here
            query = urlencode({"to": to} | ({"another": "1"} if another else {}))
            return RedirectResponse(f"{self._origin}/sign-in?{query}", 303)
        try:
            begun = await self._sign_in.begin(self._back, to, self._login_cookie(request), another_account=another)
        except SignInRefused as refused:
            return self._refused(request, refused)
        answer = RedirectResponse(begun.location, 303)
        secure = way_of(request).secure
        set_cookie(answer, cookie_name(LOGIN_COOKIE, secure=secure), begun.cookie, secure=secure, life=LIFE_S)
        return answer

    async def back(self, request: Request) -> Response:
        """GET /sign-in/back?code=…&state=…: who it was."""
        try:
            found = await self._sign_in.finish(self._back, request.url.query, self._login_cookie(request))
        except SignInRefused as refused:
            return self._refused(request, refused)
        principal = found.principal
        role = role_of(principal, self._house.settings.console)
        who = principal.email or principal.subject
        if role is None:
            log.warning("%s signed in, and has no role in the console. Groups: %r.", who, principal.groups)
            return self._house.page(request, "no_role.html", 403, who=who, groups=principal.groups)
        log.info("%s signed in to the console as %s.", who, role)
        self._house.sessions.leave(session_cookie(request))
        session = self._house.sessions.begin(who, role, principal)
        answer = RedirectResponse(found.to, 303)
        secure = way_of(request).secure
        set_cookie(answer, cookie_name(COOKIE, secure=secure), session, secure=secure)
        return answer

    @property
    def _back(self) -> str:
        return self._origin + BACK

    def _login_cookie(self, request: Request) -> str | None:
        name = cookie_name(LOGIN_COOKIE, secure=way_of(request).secure)
        return cookie_value(request.headers.get("cookie", ""), name)

    def _refused(self, request: Request, refused: SignInRefused) -> HTMLResponse:
        log.warning("Nobody was signed in to the console: %s (%s).", refused.code, refused.reason)
        return self._house.page(
            request, "not_signed_in.html", refused.status, said=refused.said(language_of(request)), code=refused.code
        )
