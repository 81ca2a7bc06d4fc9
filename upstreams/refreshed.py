"""A credential with an end, renewed before it: tokens, and key pairs that somebody else rotates."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from upstreams.background import Background
from upstreams.credential import Credential, CredentialUnavailable

log = logging.getLogger(__name__)

RENEW_AT = 0.8
"""Of a credential's life: when it is renewed. The rest is for failures."""

_SHORTEST_S = 1.0
_LONGEST_BACK_OFF_S = 60.0
_AGAIN_AFTER_REFUSAL_S = 30.0


class NotObtained(Exception):  # noqa: N818 - a state, retried
    """It could not be had; the message says why, in words for the log, and holds no part of a secret."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """A credential, and how many seconds it is good for from now on."""

    credential: Credential
    life_s: float


class Refreshed:
    """Obtains a credential in a thread of its own and renews it at 80 % of its life.

    Args:
        path: in the settings, for the log.
        label: the kind of credential.
        obtain: blocks; raises NotObtained.
    """

    def __init__(self, path: str, label: str, obtain: Callable[[], Obtained]) -> None:
        self.label = label
        self._path = path
        self._obtain = obtain
        self._held: tuple[Credential, float] | None = None  # and until when, on the monotonic clock
        self._failures = 0
        self._refused_at = float("-inf")
        self.problem: str | None = None
        """What went wrong the last time; None when nothing did."""
        self.work = Background(path, self._renew)

    @property
    def remaining_s(self) -> float:
        """Seconds that what is at hand is still good for; 0 without it."""
        held = self._held
        return 0.0 if held is None else max(0.0, held[1] - time.monotonic())

    def now_valid(self) -> Credential:
        """What is at hand. Never waits.

        Raises:
            CredentialUnavailable: there is nothing, or it has run out.
        """
        held = self._held
        if held is None or time.monotonic() >= held[1]:
            state = "is not here yet" if held is None else "has run out"
            raise CredentialUnavailable(f"{self._path} {self.problem or state}")
        return held[0]

    def renew_soon(self) -> None:
        """It was refused before its end: renew it now, unless that was done just before."""
        now = time.monotonic()
        if now - self._refused_at >= _AGAIN_AFTER_REFUSAL_S:
            self._refused_at = now
            self.work.wake()

    def _renew(self) -> float:
        """Returns the seconds until it is to be renewed again."""
        try:
            got = self._obtain()
        except NotObtained as problem:
            return self._failed(str(problem))
        except Exception:
            # A vendor's library raises what it likes.
            log.exception("%s cannot be renewed.", self._path)
            return self._failed("cannot be renewed")
        if got.life_s <= 0:
            return self._failed("has run out on arrival. Set this machine's clock")
        if self.problem is not None:
            log.warning("%s is here again.", self._path)
        self._held = got.credential, time.monotonic() + got.life_s
        self._failures, self.problem = 0, None
        return max(_SHORTEST_S, RENEW_AT * got.life_s)

    def _failed(self, why: str) -> float:
        if why != self.problem:
            left = self.remaining_s
            stays = f"the one at hand is good for {left:.0f} s" if left else "calls that need it get 503"
            log.error("%s %s; %s.", self._path, why, stays)
        self._failures += 1
        self.problem = why
        # Jitter: the workers of one machine should not come back all at once.
        return min(2.0 ** min(self._failures - 1, 10), _LONGEST_BACK_OFF_S) * random.uniform(0.75, 1.25)
