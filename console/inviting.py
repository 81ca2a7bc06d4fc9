"""The one-time addresses that let in whoever sits at the terminal."""

import time
from collections.abc import Callable
from typing import Final

from console.sessions import Sessions

_EVERY: Final = 20.0  # seconds; whoever has no session cannot fill a terminal


class Invitations:
    """Told to `tell`, one after the other. `here` is where this console is asked from on its machine, None where it
    cannot be."""

    def __init__(
        self,
        sessions: Sessions,
        here: str | None,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._here = here
        self._tell = tell
        self._clock = clock
        self._last: tuple[str, float] | None = None

    def invite(self) -> None:
        """See to it that an address stands there that still counts, and not far above what is read now."""
        if self._here is None:
            return
        if self._last is not None:
            key, told = self._last
            if self._clock() - told < _EVERY and self._sessions.expects(key):
                return
        key = self._sessions.one_time_key()
        self._last = key, self._clock()
        self._tell(f"  open:  {self._here}/enter?key={key}   (once, within 15 minutes)")
