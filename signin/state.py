"""What a sign-in has to remember until its answer comes: sealed, in `state` itself, and bound to one browser.

Nothing is kept here for it, so that whoever begins thousands of sign-ins fills nothing, and any process of ours can
finish what another began. Two tabs may sign in at the same time: they share the cookie, and each has its own state.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken

LIFE_S: Final = 600
"""Seconds until a sign-in must be finished."""

_MOST_USED: Final = 65_536
_COOKIE: Final = 43  # characters of 32 random bytes in base64url


class Pending(msgspec.Struct, frozen=True):
    """One sign-in under way. `code_verifier` is PKCE's (RFC 7636 §4.1), `browser` the digest of the cookie."""

    code_verifier: str
    nonce: str
    browser: str
    redirect_uri: str
    to: str


class StateProblem(Exception):  # noqa: N818 - becomes a refusal
    """This state is none of ours, too old, another browser's, or used; the message says which."""


class States:
    """Makes states, and takes each back once. `clock` is Unix time in seconds."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._clock = clock
        self._used: dict[bytes, float] = {}

    def cookie(self, given: str | None) -> str:
        """What binds sign-ins to this browser: what it has already, else something new."""
        return given if given is not None and len(given) == _COOKIE and given.isascii() else secrets.token_urlsafe(32)

    def begin(self, cookie: str, redirect_uri: str, to: str) -> tuple[str, Pending]:
        """The state to send along, and what it holds."""
        pending = Pending(secrets.token_urlsafe(32), secrets.token_urlsafe(16), _digest(cookie), redirect_uri, to)
        sealed = self._fernet.encrypt_at_time(msgspec.json.encode(pending), int(self._clock()))
        return sealed.decode(), pending

    def take(self, state: str, cookie: str | None, redirect_uri: str) -> Pending:
        """What was begun with it.

        Raises:
            StateProblem: it does not count.
        """
        try:
            opened = self._fernet.decrypt_at_time(state.encode(), LIFE_S, int(self._clock()))
            pending = msgspec.json.decode(opened, type=Pending)
        except (InvalidToken, msgspec.MsgspecError, UnicodeEncodeError):
            raise StateProblem("state is none of ours, or older than ten minutes") from None
        if cookie is None or not hmac.compare_digest(_digest(cookie), pending.browser):
            raise StateProblem("state is another browser's")
        if pending.redirect_uri != redirect_uri:
            raise StateProblem("state was begun for another address")
        self._use(pending.nonce)
        return pending

    def _use(self, nonce: str) -> None:
        now, digest = self._clock(), hashlib.sha256(nonce.encode()).digest()
        for old in [one for one, until in self._used.items() if until < now]:
            del self._used[old]
        if digest in self._used:
            raise StateProblem("state was used already")
        while len(self._used) >= _MOST_USED:  # the provider refuses a code that comes twice, as RFC 6749 §4.1.2 says
            del self._used[next(iter(self._used))]
        self._used[digest] = now + LIFE_S + 1


def _digest(cookie: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(cookie.encode()).digest()[:16]).decode()
