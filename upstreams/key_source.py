"""Where one key comes from, looked at again and again: what it is now, and what it was before."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from settings.secrets import ProviderSecret
from upstreams.credential import Credential, usable

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often a file is looked at, in seconds: how long a new key waits to be used."""

COMMAND_EVERY_S = 300.0
"""How often a program is asked again, in seconds, where the settings do not say."""

GRACE_S = 24 * 3600.0
"""How long the key that was here before is kept to fall back to, in seconds."""

_LONGEST_BACK_OFF_S = 60.0
_AGAIN_AFTER_REFUSAL_S = 30.0

type _Stamp = tuple[int, int, int]


@dataclass(eq=False)
class KeySource:
    """One key of the settings. `look` blocks and belongs to one thread; `current` and `previous` may be read by any.

    A file is read when its time, size or inode changed; the environment is read once; a program is run at each look.
    What cannot be read leaves the key at hand in use.
    """

    path: str  # in the settings, for the log
    label: str
    secret: ProviderSecret
    make: Callable[[str], Credential]
    changed: Callable[[], None] = lambda: None
    look_s: float = LOOK_S
    current: Credential | None = None
    previous: Credential | None = None
    problem: str | None = None
    _stamp: _Stamp | None = None
    _failures: int = 0
    _replaced_at: float = 0.0
    _asked_again_at: float = float("-inf")

    def look(self) -> float:
        """Looks whether there is a new key. Returns the seconds until the next look is due."""
        if self.previous is not None and time.monotonic() - self._replaced_at > GRACE_S:
            self.previous = None
        try:
            stamp = self._file_stamp()
            if stamp is None or stamp != self._stamp or self.problem is not None:
                self._take(usable(self.secret.read()))
                self._stamp = stamp
        except (OSError, ValueError) as problem:
            is_gone = isinstance(problem, OSError)
            return self._failed(f"names {self.secret.source}, which is gone" if is_gone else str(problem))
        return (self.secret.every or COMMAND_EVERY_S) if self.secret.command is not None else self.look_s

    def may_ask_again(self) -> bool:
        """The provider refused the key: may it be looked for now? Not if that was done just before."""
        now = time.monotonic()
        if now - self._asked_again_at < _AGAIN_AFTER_REFUSAL_S:
            return False
        self._asked_again_at = now
        return True

    def _file_stamp(self) -> _Stamp | None:
        if self.secret.file is None:
            return None
        status = self.secret.file.stat()  # follows links: those of a mounted secret are swapped
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _take(self, found: str) -> None:
        if self.problem is not None and self.current is not None:
            log.warning("%s can be read again.", self.path)
        self._failures, self.problem = 0, None
        made, before = self.make(found), self.current
        if before is None:
            self.current = made
        elif made.fields != before.fields:
            log.warning("%s: a new key is in use: %s, before %s.", self.path, made.name, before.name)
            self._replaced_at = time.monotonic()
            self.previous, self.current = before, made  # `previous` first: a reader between the two sees no gap
            self.changed()

    def _failed(self, why: str) -> float:
        self._failures += 1
        if why != self.problem:
            stays = "the key at hand stays in use" if self.current is not None else "calls that need it get 503"
            log.error("%s %s; %s.", self.path, why, stays)
        self.problem = why
        if self.secret.command is None:
            return self.look_s
        return min(2.0 ** min(self._failures, 10), _LONGEST_BACK_OFF_S)
