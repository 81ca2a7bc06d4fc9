"""/me: one's own tokens, use, and what is recorded about one."""

import json
import logging
import secrets
import sqlite3
import time
import uuid
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from exchange.scope import Scope
from fronts.forms import Form, one, own_form
from fronts.house import House, Visitor, front_of, language_of, visitor_of
from fronts.mine import Mine
from fronts.snippets import snippets
from fronts.texts import translated
from fronts.tokens import OPERATIONS, AlreadyMade, Made, NoSuchToken, Tokens
from storage.access import AccessUnwritable
from storage.problem import StoreProblem
from storage.sealing.master import SealProblem

log = logging.getLogger(__name__)

UNREADABLE: Final = (StoreProblem, SealProblem, AccessUnwritable, sqlite3.Error)
"""Why the record cannot be shown at the moment."""

_DAYS: Final = 30
_NEWEST: Final = 20


class Me:
    """The pages under /me."""

    def __init__(self, house: House, tokens: Tokens, mine: Mine) -> None:
        self._house = house
        self._tokens = tokens
        self._mine = mine

    def page(self, request: Request) -> Response:
        """GET /me"""
        return self._page(request)

    async def make(self, request: Request) -> Response:
        """POST /me/tokens"""
        form = await own_form(request)
        return await run_in_threadpool(self._make, request, form)

    async def end(self, request: Request) -> Response:
        """POST /me/tokens/end"""
        number = one(await own_form(request), "number")
        if not await run_in_threadpool(self._tokens.end, visitor_of(request).email, number):
            raise HTTPException(404)
        return RedirectResponse("/me", 303)

    def exchange(self, request: Request) -> Response:
        """GET /me/exchanges/{id}: one's own, and nobody else's."""
        try:
            found = self._mine.one(visitor_of(request).email, request.path_params["id"])
        except UNREADABLE as cannot:
            return self._unreadable(request, cannot)
        if not found:
            raise HTTPException(404)
        return self._house.page(
            request, "exchange.html", shown=[json.dumps(each, ensure_ascii=False, indent=2) for each in found]
        )

    def _make(self, request: Request, form: Form) -> Response:
        name, days = one(form, "name"), one(form, "days")
        models = tuple(dict.fromkeys(one(form, "models").replace(",", " ").split())) or None
        scope = Scope(models, tuple(form.get("operations", ())) or None)
        try:
            who = visitor_of(request)
            number = _number_of_form(who, form)
            made = self._tokens.make(who.email, name, _number(days), scope, who.principal.groups, number)
        except AlreadyMade:
            said = translated(language_of(request))(
                "This token was made already, and is shown once. Revoke it if it was not kept, and make another."
            )
            return self._page(request, 409, problem=said)
        except NoSuchToken:
            said = translated(language_of(request))(
                "Give the token a name, a number of days up to {days}, and models and operations that exist."
            )
            return self._page(request, 400, problem=said.format(days=self._tokens.most_days))
        return self._page(request, made=made)

    def _page(
        self, request: Request, status: int = 200, *, made: Made | None = None, problem: str | None = None
    ) -> Response:
        email = visitor_of(request).email
        use, latest, unread = {}, [], False
        try:
            use, latest = self._mine.use(email, _DAYS), self._mine.latest(email, _NEWEST)
        except UNREADABLE as cannot:
            log.warning("The record cannot be read for /me: %s", cannot)
            unread = True
        host = front_of(request).hostname
        once = secrets.token_urlsafe(16)
        return self._house.page(
            request,
            "me.html",
            status,
            made=made,
            once=once,
            problem=problem,
            most_days=self._tokens.most_days,
            operations=OPERATIONS,
            tokens=self._house.book.tokens_of(email),
            now=int(time.time()),
            date=_date,
            snippets=snippets(self._house.settings, host),
            use=use,
            latest=latest,
            unread=unread,
        )

    def _unreadable(self, request: Request, cannot: Exception) -> Response:
        log.warning("The record cannot be read: %s", cannot)
        said = translated(language_of(request))("The record cannot be read at the moment.")
        return self._house.message(request, 503, "Not here", said)


def _number_of_form(who: Visitor, form: Form) -> str | None:
    """The number of the token that this very form makes, filled in as it is, however often it is sent: no other
    session's, and nothing that anybody could choose. None: the form does not say which it is."""
    if not one(form, "once"):
        return None
    said = json.dumps([who.csrf, sorted((name, values) for name, values in form.items() if name != "csrf")])
    return str(uuid.UUID(bytes=sha256(said.encode()).digest()[:16], version=4))


def _number(given: str) -> float:
    return float(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0.0


def _date(at: int) -> str:
    return f"{datetime.fromtimestamp(at, tz=UTC):%Y-%m-%d}"
