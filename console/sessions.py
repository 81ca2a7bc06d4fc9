"""Who is here: sessions in the memory of this process, and the one-time keys that begin one on this machine.

Nothing is written down: a console that starts anew knows nobody.
"""

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from console.roles import Role
from exchange.principal import Principal

LIFE_S: Final = 8 * 3600.0
"""Seconds after which everybody signs in again, at work or not."""

_KEY_LIFE: Final = 900.0  # seconds
_KEYS: Final = 8  # outstanding at once; the oldest goes


class SignedOut(Exception):  # noqa: N818 - what was being sent breaks off, and never looks whole
    """Whoever asked is not signed in any more."""


@dataclass(slots=True)
class Session:
    """One browser. `principal` is None for who came in from this machine's terminal. `csrf` stands in each of its
    forms; `reason` is why this person looks, as they said."""

    who: str
    seen: float
    role: Role
    begun: float
    principal: Principal | None = None
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    reason: str | None = None


class Sessions:
    """All of them. Any thread may ask. `admits` says whether somebody who signed in may still be here."""

    def __init__(
        self,
        idle: float,
        clock: Callable[[], float] = time.monotonic,
        admits: Callable[[Principal], bool] = lambda _: True,
    ) -> None:
        self._idle = idle
        self._clock = clock
        self._admits = admits
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}
        self._keys: dict[str, float] = {}

    def one_time_key(self) -> str:
        """A key that begins one session, once, within a quarter of an hour."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._keys[key] = self._clock() + _KEY_LIFE
            for old in list(self._keys)[:-_KEYS]:
                del self._keys[old]
        return key

    def expects(self, key: str) -> bool:
        """Does this key still begin a session?"""
        with self._lock:
            return self._keys.get(key, -1.0) >= self._clock()

    def enter(self, key: str, who: str) -> str | None:
        """The id of a new session, of whoever may do everything on this machine; None when this is no key, or one that
        was used or is too old."""
        with self._lock:
            known = next((each for each in self._keys if hmac.compare_digest(each.encode(), key.encode())), None)
            if known is None or self._keys.pop(known) < self._clock():
                return None
        return self.begin(who, "admin")

    def begin(self, who: str, role: Role, principal: Principal | None = None) -> str:
        """The id of a new session. Always a new one: what a browser had before it signed in is worth nothing."""
        session, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            self._open[session] = Session(who, now, role, now, principal)
        return session

    def get(self, session: str | None, *, touch: bool = True) -> Session | None:
        """This session, if it is open. `touch`: somebody is at it now."""
        with self._lock:
            now = self._clock()
            for old in [each for each, one in self._open.items() if self._is_over(one, now)]:
                del self._open[old]
            found = self._open.get(session or "")
            if found is not None and touch:
                found.seen = now
            return found

    def _is_over(self, one: Session, now: float) -> bool:
        if now - one.seen > self._idle or now - one.begun > LIFE_S:
            return True
        return one.principal is not None and not self._admits(one.principal)

    def leave(self, session: str | None, *, everywhere: bool = False) -> None:
        """End this session; or all of its person's."""
        with self._lock:
            found = self._open.pop(session or "", None)
            if found is not None and everywhere:
                for other in [each for each, one in self._open.items() if one.who == found.who]:
                    del self._open[other]
