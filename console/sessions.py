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

_KEY_LIFE: Final = 900.0  # seconds
_KEYS: Final = 8  # outstanding at once; the oldest goes


@dataclass(slots=True)
class Session:
    """One browser. `csrf` stands in each of its forms; `reason` is why this person looks, as they said."""

    who: str
    seen: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    reason: str | None = None


class Sessions:
    """All of them. Any thread may ask."""

    def __init__(self, idle: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle = idle
        self._clock = clock
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

    def enter(self, key: str, who: str) -> str | None:
        """The id of a new session; None when this is no key, or one that was used or is too old."""
        with self._lock:
            known = next((each for each in self._keys if hmac.compare_digest(each.encode(), key.encode())), None)
            if known is None or self._keys.pop(known) < self._clock():
                return None
            session = secrets.token_urlsafe(32)
            self._open[session] = Session(who, self._clock())
            return session

    def get(self, session: str | None, *, touch: bool = True) -> Session | None:
        """This session, if it is open. `touch`: somebody is at it now."""
        with self._lock:
            now = self._clock()
            for old in [each for each, one in self._open.items() if now - one.seen > self._idle]:
                del self._open[old]
            found = self._open.get(session or "")
            if found is not None and touch:
                found.seen = now
            return found

    def leave(self, session: str | None, *, everywhere: bool = False) -> None:
        """End this session; or all of its person's."""
        with self._lock:
            found = self._open.pop(session or "", None)
            if found is not None and everywhere:
                for other in [each for each, one in self._open.items() if one.who == found.who]:
                    del self._open[other]
