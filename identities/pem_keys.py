"""Keys that are fetched one by one, as PEM under their id: AWS load balancers publish no key set.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
"""

import asyncio
import contextlib
import logging
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from identities.fetching import DEADLINE_S, document, off_loop
from identities.issuer import PemUrl
from identities.jwk import Key, algorithms_of
from identities.keys import PATIENCE_S, KeysUnavailable

log = logging.getLogger(__name__)

_KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LIFE_S = 24 * 3600.0
_UNKNOWN_S = 60.0
_MOST = 256


@dataclass
class PemKeys:
    """Fetched on first use, kept for a day. Whoever sends made-up key ids causes at most `burst` fetches at once
    and one each `apart_s` seconds after that, however many they send."""

    name: str
    source: PemUrl
    algorithms: tuple[str, ...]
    burst: int = 5
    apart_s: float = 5.0
    patience_s: float = PATIENCE_S
    generation: int = 0
    state: str = "ready"
    _keys: OrderedDict[str, tuple[Key, float]] = field(default_factory=OrderedDict)
    _unknown: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _flights: dict[str, asyncio.Task[Key | None]] = field(default_factory=dict)
    _credit: float = -1.0
    _counted_at: float = 0.0

    async def find(self, kid: str | None) -> Key | None:
        # Looked at before it becomes a part of an address: `x/../../other` is no key id.
        if kid is None or _KEY_ID.fullmatch(kid) is None:
            return None
        now = time.monotonic()
        known = self._keys.get(kid)
        if known is not None and now - known[1] < _LIFE_S:
            return known[0]
        if now - self._unknown.get(kid, float("-inf")) < _UNKNOWN_S:
            return None
        flight = self._flights.get(kid)
        if flight is None:
            if not self._may_fetch(now):
                raise KeysUnavailable
            flight = self._flights[kid] = asyncio.create_task(self._fetch(kid), name=f"key of {self.name}")
            flight.add_done_callback(lambda _: self._flights.pop(kid, None))
        try:
            return await asyncio.wait_for(asyncio.shield(flight), self.patience_s)
        except (OSError, ValueError):  # TimeoutError is an OSError
            raise KeysUnavailable from None

    def _may_fetch(self, now: float) -> bool:
        credit = self.burst if self._credit < 0 else self._credit + (now - self._counted_at) / self.apart_s
        self._counted_at = now
        self._credit = min(float(self.burst), credit)
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    async def _fetch(self, kid: str) -> Key | None:
        url = f"{self.source.base.rstrip('/')}/{kid}"
        deadline = time.monotonic() + DEADLINE_S
        try:
            raw = await off_loop(
                lambda: document(url, deadline=deadline, ca_file=self.source.ca_file), within=DEADLINE_S + 1
            )
            material = load_pem_public_key(raw)
        except (OSError, ValueError) as problem:
            log.warning("Cannot fetch a key of issuer %s: %s.", self.name, problem)
            if "status 4" in str(problem):
                _remember(self._unknown, kid, time.monotonic())
                return None
            raise
        if not isinstance(material, ec.EllipticCurvePublicKey):
            raise ValueError("not an elliptic curve key")  # noqa: TRY004 - a wrong document, not a wrong call
        key = Key(material, algorithms_of(material) & frozenset(self.algorithms))
        _remember(self._keys, kid, (key, time.monotonic()))
        return key

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        for flight in list(self._flights.values()):
            flight.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, ValueError):
                await flight


def _remember[V](seen: OrderedDict[str, V], kid: str, what: V) -> None:
    seen[kid] = what
    seen.move_to_end(kid)
    while len(seen) > _MOST:
        seen.popitem(last=False)
