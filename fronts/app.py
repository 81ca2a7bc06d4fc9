"""The fronts as one ASGI application: which page is where, and how every page says that something cannot be done."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fronts.chat import Chat
from fronts.desk import SIGNED_OUT, Desk
from fronts.device import Devices
from fronts.erasing import Erasing
from fronts.guard import Guard
from fronts.house import House, language_of, templates
from fronts.me import Me
from fronts.mine import Mine
from fronts.texts import translated
from fronts.tokens import Tokens
from identities.revoked import RevokedFile
from identities.session import session_keys, sessions_verifier
from settings.schema import Settings
from signin.relying_party import SignIn
from storage.book import Book

log = logging.getLogger(__name__)

_STATIC: Final = Path(__file__).parent / "static"


def fronts_app(settings: Settings, sign_in: SignIn, ready: Callable[[], None]) -> Starlette:
    """The application; `ready` is called once it can answer.

    Raises:
        OSError, sqlite3.Error, ValueError, UnusableKey: what it needs in data_dir cannot be used.
    """
    session_keys(settings.data_dir).signing()  # before the first session, so that workers know the key when it comes
    sessions = sessions_verifier(
        settings.identity,
        [front.origin for front in settings.fronts],
        data_dir=settings.data_dir,
        profile=settings.profile,
        include_subdomains=settings.identity.include_subdomains,
    )
    revoked = RevokedFile(settings.data_dir, sessions.revoke_listed)
    house = House(settings, Book(settings.data_dir), templates())
    desk, said = Desk(house, sign_in), _Said(house)
    tokens = Tokens(settings, house.book)
    mine = Mine(settings)
    erasing = Erasing(settings.data_dir, house.book)
    me, devices, chat = Me(house, tokens, mine), Devices(house, tokens), Chat(house, mine)

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        await sign_in.start()
        await sessions.start()
        await revoked.start()
        await erasing.start()
        ready()
        yield
        await erasing.stop()
        await revoked.stop()
        await sessions.stop()
        await sign_in.stop()

    return Starlette(
        routes=[
            Route("/", lambda _: RedirectResponse("/chat", 303)),
            Route("/_sekisho/login", desk.login),
            Route("/_sekisho/begin", desk.begin),
            Route("/_sekisho/callback", desk.callback),
            Route("/_sekisho/logout", desk.logout, methods=["POST"]),
            Route(SIGNED_OUT, desk.signed_out),
            Route("/_sekisho/healthz", lambda _: PlainTextResponse("ok\n")),
            Route("/_sekisho/device/code", devices.code, methods=["POST"]),
            Route("/_sekisho/device/token", devices.token, methods=["POST"]),
            Route("/_sekisho/device", devices.page),
            Route("/_sekisho/device", devices.answer, methods=["POST"]),
            Route("/me", me.page),
            Route("/me/tokens", me.make, methods=["POST"]),
            Route("/me/tokens/end", me.end, methods=["POST"]),
            Route("/me/exchanges/{id}", me.exchange),
            Route("/chat", chat.page),
            Route("/chat/history", chat.history),
            Route("/chat/history/{id}", chat.earlier),
            Mount("/_sekisho/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(Guard, fronts=settings.fronts, sessions=sessions, refused=said.refused, over=said.over)],
        exception_handlers=said.handlers(),
        lifespan=running,
    )


class _Said:
    """Every page that says why not."""

    def __init__(self, house: House) -> None:
        self._house = house

    def refused(self, request: Request, status: int, said: str) -> Response:
        """What the guard answers in place of a page."""
        return self._house.message(request, status, "Not here", translated(language_of(request))(said))

    def over(self, request: Request) -> Response:
        """What a form is answered whose person's session has ended since they opened the page."""
        said = translated(language_of(request))("Your session is over, and nothing was done.")
        return self._house.message(request, 401, "Sign in to go on", said, again="Sign in again")

    def handlers(self) -> Any:
        """For each problem, the page that says it."""
        return {HTTPException: self._http, Exception: self._fault}

    def _http(self, request: Request, why: Exception) -> Response:
        status = why.status_code if isinstance(why, HTTPException) else 500
        if status == 403:
            return self.refused(request, 403, "That form is not one of this page. Load the page anew and try again.")
        return self.refused(request, status, "There is no such page.")

    def _fault(self, request: Request, _: Exception) -> Response:
        log.error("A page failed: %s %s", request.method, request.url.path)
        said = translated(language_of(request))("This page failed. That is a fault of ours; its log says more.")
        return self._house.message(request, 500, "A fault", said)
