"""Sign-in from a terminal: OAuth 2.0 Device Authorization Grant (RFC 8628), for tokens of our own.

`sekisho login` asks for a code, its person approves it on a page after sign-in, and the token is made when the terminal
asks the next time: it is written down nowhere here.
"""

import time
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from exchange.scope import Scope
from fronts.forms import form_of, one, own_form
from fronts.house import House, front_of, language_of, visitor_of
from fronts.snippets import api_address
from fronts.texts import translated
from fronts.tokens import Tokens
from storage.book import DEVICE_LIFE_S

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT: Final = "sekisho"

_INTERVAL: Final = 2  # seconds between questions
_NAME: Final = 80  # characters
_DAYS: Final = 30


class Devices:
    """The endpoints of terminals, and the page of their people."""

    def __init__(self, house: House, tokens: Tokens) -> None:
        self._house = house
        self._tokens = tokens
        self._days = min(_DAYS, tokens.most_days)

    async def code(self, request: Request) -> Response:
        """POST /_sekisho/device/code (§3.1): client_id, and name, for people."""
        form = await form_of(request)
        if one(form, "client_id") != CLIENT:
            return JSONResponse({"error": "invalid_client"}, 400)
        if not self._tokens.most_days:
            return JSONResponse({"error": "unauthorized_client"}, 400)
        name = "".join(letter for letter in one(form, "name") if letter.isprintable())[:_NAME] or "terminal"
        device, user = await run_in_threadpool(self._house.book.begin_device, name)
        page = f"{front_of(request).origin}/_sekisho/device"
        return JSONResponse(
            {
                "device_code": device,
                "user_code": user,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={user}",
                "expires_in": DEVICE_LIFE_S,
                "interval": _INTERVAL,
            }
        )

    async def token(self, request: Request) -> Response:
        """POST /_sekisho/device/token (§3.4)."""
        form = await form_of(request)
        if one(form, "grant_type") != GRANT:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        return await run_in_threadpool(self._token, request, one(form, "device_code"))

    def _token(self, request: Request, device: str) -> Response:
        told, approved = self._house.book.ask_device(device, _INTERVAL)
        if approved is None:
            return JSONResponse({"error": told}, 400)
        email = approved.email
        made = self._tokens.make(email, approved.name, self._days, Scope(), approved.groups)
        return JSONResponse(
            {
                "access_token": made.token,
                "token_type": "Bearer",
                "expires_in": made.ends - int(time.time()),
                "email": email,
                "api_url": api_address(self._house.settings, front_of(request).hostname),
            }
        )

    def page(self, request: Request) -> Response:
        """GET /_sekisho/device?user_code=…: is this yours?"""
        code = request.query_params.get("user_code", "")
        device = self._house.book.device(code) if code else None
        waits = device is not None and device.state == "waiting"
        return self._house.page(
            request,
            "device.html",
            code=code.upper()[:9],
            device=device if waits else None,
            days=self._days,
            answer=None,
        )

    async def answer(self, request: Request) -> Response:
        """POST /_sekisho/device: user_code, and approve=yes or another."""
        form = await own_form(request)
        approved = one(form, "approve") == "yes"
        who = visitor_of(request)
        done = await run_in_threadpool(
            self._house.book.answer_device,
            one(form, "user_code"),
            who.email,
            who.principal.groups,
            approved=approved,
        )
        said = "Nobody waits with this code. It counts for ten minutes."
        if done:
            said = "Done. You can go back to your terminal." if approved else "The terminal gets nothing."
        t = translated(language_of(request))
        return self._house.page(request, "device.html", code="", device=None, days=self._days, answer=t(said))
