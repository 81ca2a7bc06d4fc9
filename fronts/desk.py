"""The way in and out: sign-in at the company's provider, a session of ours, and its end."""

import logging
import time
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from exchange.decision import CODES
from exchange.principal import Principal
from fronts import leftovers
from fronts.forms import own_form
from fronts.house import House, Visitor, cookie_of, front_of, language_of, visitor_of
from fronts.texts import translated
from identities.groups import TooManyGroups, carried
from identities.revoked import Revocation, revoke
from identities.session import LIFE_S, begin_session, cookie_name
from settings.fronts import Front
from signin.cookie import cookie_name as login_cookie_name
from signin.cookie import cookie_set
from signin.own_path import own_path
from signin.refusal import SignInRefused
from signin.relying_party import LOGIN_COOKIE, SignIn
from signin.state import LIFE_S as LOGIN_LIFE_S
from wire.refused_person import FIELD, RefusedPerson, written

log = logging.getLogger(__name__)

SIGNED_OUT: Final = "/_sekisho/signed-out"
"""Where the provider's sign-out leads back to. It must know the address to the letter."""

_AGENT: Final = 200  # characters


class Desk:
    """Pages under /_sekisho that begin and end sessions."""

    def __init__(self, house: House, sign_in: SignIn) -> None:
        self._house = house
        self._sign_in = sign_in
        self._named = frozenset(group for rule in house.settings.policies.rules for group in rule.groups or ())

    def login(self, request: Request) -> Response:
        """GET /_sekisho/login?to=…: what there is to know before, and the button."""
        to = own_path(request.query_params.get("to"))
        if request.state.visitor is not None:
            return RedirectResponse(to, 303)
        return self._house.page(request, "login.html", begin=f"/_sekisho/begin?{urlencode({'to': to})}")

    async def begin(self, request: Request) -> Response:
        """GET /_sekisho/begin?to=…: on to the provider of identity."""
        front = front_of(request)
        try:
            begun = await self._sign_in.begin(
                _redirect_uri(front),
                request.query_params.get("to"),
                _login_cookie(request, front),
                another_account=request.query_params.get("another") == "1",
            )
        except SignInRefused as refused:
            return self._not_signed_in(request, refused)
        answer = RedirectResponse(begun.location, 303)
        secure = _is_secure(front)
        name = login_cookie_name(LOGIN_COOKIE, secure=secure)
        answer.headers.append("set-cookie", cookie_set(name, begun.cookie, secure=secure, life=int(LOGIN_LIFE_S)))
        return answer

    async def callback(self, request: Request) -> Response:
        """GET /_sekisho/callback: who came back from the provider gets a new session, whatever they had before."""
        front = front_of(request)
        query = request.scope["query_string"].decode("latin-1")
        try:
            signed_in = await self._sign_in.finish(_redirect_uri(front), query, _login_cookie(request, front))
            principal = self._admitted(signed_in.principal)
        except SignInRefused as refused:
            return self._not_signed_in(request, refused)
        agent = request.headers.get("user-agent", "")[:_AGENT]
        cookie = await run_in_threadpool(self._begin_session, principal, front, agent, request.state.visitor)
        answer = RedirectResponse(own_path(signed_in.to), 303)
        answer.headers.append("set-cookie", cookie)
        leftovers.signed_in(request, answer, front, principal.email or "", secure=_is_secure(front))
        return answer

    async def logout(self, request: Request) -> Response:
        """POST /_sekisho/logout, with ?everywhere=1 on all devices, from every front; then at the provider, where the
        settings say so."""
        await own_form(request)  # a script of the chat UI signs nobody out
        everywhere = request.query_params.get("everywhere") == "1"
        front, visitor = front_of(request), visitor_of(request)
        await run_in_threadpool(self._end_sessions, visitor, everywhere)
        # Not by a redirect: `form-action` holds for where a form leads in the end as well (CSP Level 3, §6.3).
        onward = await self._sign_in.sign_out(f"{front.origin}{SIGNED_OUT}", visitor.principal)
        request.state.visitor = None
        t = translated(language_of(request))
        said = t("You are signed out on all devices." if everywhere else "You are signed out here.")
        if onward is not None:
            said += " " + t("Now at your company's sign-in service as well.")
        answer = self._house.message(
            request, 200, "Signed out", said, again="Sign in again", another=True, onward=onward
        )
        name, secure = cookie_name(front.origin).decode(), _is_secure(front)
        answer.headers.append("set-cookie", cookie_set(name, "", secure=secure, life=0))
        leftovers.signed_out(request, answer, front, secure=secure)
        return answer

    def signed_out(self, request: Request) -> Response:
        """GET /_sekisho/signed-out: back from the provider's sign-out, whether they said yes there or no. Nothing is
        done here, and whoever is signed in is told nothing else."""
        if request.state.visitor is not None:
            return RedirectResponse("/", 303)
        said = translated(language_of(request))("You are signed out here.")
        return self._house.message(request, 200, "Signed out", said, again="Sign in again", another=True)

    def _end_sessions(self, visitor: Visitor, everywhere: bool) -> None:
        now = int(time.time())
        ending = self._house.book.sessions_of(visitor.email) if everywhere else []
        for number, ends in {(visitor.number, now + LIFE_S), *ending}:
            self._end(number, ends, now)

    def _admitted(self, who: Principal) -> Principal:
        """Whom a session can be of, with the groups that it holds.

        Raises:
            SignInRefused: nobody.
        """
        if who.email is None:
            raise SignInRefused("subject_not_allowed", "a session is for an e-mail address, and there is none")
        try:
            return replace(who, groups=carried(who.groups, self._named))
        except TooManyGroups as many:
            raise SignInRefused("subject_not_allowed", f"{who.email}: {many}", who.email) from None

    def _begin_session(self, who: Principal, front: Front, agent: str, before: Visitor | None) -> str:
        """The Set-Cookie field of a new session. The one before ends: whoever else knew it knows nothing now."""
        session = begin_session(self._house.settings.data_dir, who, front.origin)
        assert who.email is not None
        self._house.book.begin_session(session.number, who.email, front.origin, session.expires_at, agent)
        if before is not None:
            self._end(before.number, session.expires_at, int(time.time()))
        return cookie_set(cookie_name(front.origin).decode(), session.token, secure=_is_secure(front), life=LIFE_S)

    def _end(self, number: str, ends: int, now: int) -> None:
        # A minute beyond its end, for clocks that differ.
        revoke(self._house.settings.data_dir, Revocation("token", number, now, "signed out", ends + 60))

    def _not_signed_in(self, request: Request, refused: SignInRefused) -> Response:
        log.warning("A sign-in was refused (%s): %s.", refused.code, refused.reason)
        answer = self._house.message(
            request,
            refused.status,
            "Not signed in",
            refused.said(language_of(request)),
            again="Use another account" if refused.status == 403 else "Try again",
            another=refused.status == 403,
        )
        if refused.email is not None and refused.code in CODES:
            told = RefusedPerson(refused.code, f"{refused.email} at sign-in: {refused.reason}")
            answer.headers[FIELD] = written(told)  # the worker takes it off and records it
        return answer


def _redirect_uri(front: Front) -> str:
    return f"{front.origin}/_sekisho/callback"


def _is_secure(front: Front) -> bool:
    return front.origin.startswith("https:")


def _login_cookie(request: Request, front: Front) -> str | None:
    name = login_cookie_name(LOGIN_COOKIE, secure=_is_secure(front))
    return cookie_of(request, name)
