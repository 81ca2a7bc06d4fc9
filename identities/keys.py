"""Keys of issuers: a dictionary look-up on the request's path, everything else behind it.

Fresh for ten minutes, then fetched again in the background; stale keys serve on for a day when the endpoint is down,
after that the issuer is unavailable (503), never open and never 401. An unknown key id causes at most one fetch in
30 seconds, shared by all who wait for it.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from exchange.call import Json
from files.whole import write_whole
from identities.claims import json_object
from identities.discovery import discovered, endpoint, well_known
from identities.fetching import DEADLINE_S, document, off_loop
from identities.issuer import JwksUrl
from identities.jwk import Key, KeyRules, NoKeys, keys_of

log = logging.getLogger(__name__)

FRESH_S = 600.0
STALE_S = 24 * 3600.0
COOLDOWN_S = 30.0
PATIENCE_S = 1.5
"""How long a request waits for a fetch that its unknown key id started."""

_UNKNOWN_S = 60.0
_MOST_UNKNOWN = 1024


class KeysUnavailable(Exception):  # noqa: N818 - a state, and its answer is 503
    """No keys of this issuer can be had at the moment."""


class Keys(Protocol):
    """The keys of one issuer. `generation` changes when a key that was there may be gone."""

    generation: int

    async def find(self, kid: str | None) -> Key | None:
        """The key of this id, None if the issuer has no such key.

        Raises:
            KeysUnavailable: nobody can say at the moment.
        """

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    @property
    def state(self) -> str:
        """One word for people: ready, stale, cold."""


@dataclass
class FetchedKeys:
    """A JWK set at an address, fetched by `start` and kept fresh until `stop`. What is kept at `kept_at` from the last
    time is taken, and replaced only with `keep`. `failure` says why the last fetch failed; None when it did not."""

    name: str
    source: JwksUrl
    rules: KeyRules
    kept_at: Path | None = None
    keep: bool = True
    fresh_s: float = FRESH_S
    stale_s: float = STALE_S
    cooldown_s: float = COOLDOWN_S
    patience_s: float = PATIENCE_S
    deadline_s: float = DEADLINE_S
    generation: int = 0
    failure: str | None = None
    _keys: dict[str, Key] = field(default_factory=dict)
    _got_at: float | None = None
    _asked_at: float = float("-inf")
    _tried_at: float = float("-inf")
    _failures: int = 0
    _unknown: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _flight: asyncio.Task[None] | None = None
    _keeper: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        if self._got_at is None:
            return "cold"
        return "stale" if self._failures else "ready"

    async def find(self, kid: str | None) -> Key | None:
        now = time.monotonic()
        self._drop_too_old(now)
        key = self._known(kid)
        if key is not None:
            return key
        if self._may_ask(kid, now):
            # `wait` and not `await`: a fetch that `stop` cancels must not cancel those who wait for it.
            await asyncio.wait({self.refresh()}, timeout=self.patience_s)
            key = self._known(kid)
            if key is None and kid is not None and self._got_at is not None and self._got_at >= now:
                self._remember_unknown(kid, now)  # the set is newer than the question, and does not have it
        if key is None and self._got_at is None:
            raise KeysUnavailable
        return key

    def _known(self, kid: str | None) -> Key | None:
        if kid is not None:
            return self._keys.get(kid)
        # A token may leave out `kid` (RFC 7515 §4.1.4) where there is no choice.
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    def _may_ask(self, kid: str | None, now: float) -> bool:
        if self._got_at is None:  # cold: whoever comes may try, a little apart
            return self._is_fetching() or now - self._tried_at >= self._back_off()
        if kid is None or now - self._unknown.get(kid, float("-inf")) < _UNKNOWN_S:
            return False
        if self._is_fetching():
            return True
        if now - self._asked_at < self.cooldown_s:
            return False
        self._asked_at = now
        return True

    def _remember_unknown(self, kid: str, now: float) -> None:
        self._unknown[kid] = now
        self._unknown.move_to_end(kid)
        while len(self._unknown) > _MOST_UNKNOWN:
            self._unknown.popitem(last=False)

    def refresh(self) -> asyncio.Task[None]:
        """The fetch that is under way, or a new one. It never raises."""
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._refresh(), name=f"keys of {self.name}")
        return self._flight

    def _is_fetching(self) -> bool:
        return self._flight is not None and not self._flight.done()

    async def _refresh(self) -> None:
        self._tried_at = time.monotonic()
        try:
            keys = await off_loop(self._fetch, within=self.deadline_s + 1)
        except (OSError, ValueError) as problem:  # NoAnswer, TimeoutError; NoKeys, a bearer_file that is not text
            self._failures += 1
            self.failure = str(problem) or "too slow"
            if self._failures == 1:
                log.warning("Cannot fetch the keys of issuer %s (%s); %s.", self.name, problem, self._consequence())
            return
        except Exception:
            # Whatever a hostile document did: the old keys stay.
            self._failures += 1
            self.failure = "the document cannot be read"
            log.exception("Cannot read the keys of issuer %s; %s.", self.name, self._consequence())
            return
        if self._failures:
            log.warning("The keys of issuer %s are back.", self.name)
        self._failures, self.failure = 0, None
        self._take(keys, time.monotonic())

    def _consequence(self) -> str:
        return "those at hand serve on" if self._got_at is not None else "its tokens get 503 until they come"

    def _take(self, keys: dict[str, Key], got_at: float) -> None:
        if any(keys.get(kid) != key for kid, key in self._keys.items()):
            self.generation += 1
        if keys.keys() - self._keys.keys():
            self._unknown.clear()
        self._keys, self._got_at = keys, got_at

    def _drop_too_old(self, now: float) -> None:
        if self._got_at is not None and now - self._got_at > self.stale_s:
            log.error("The keys of issuer %s are older than %d s and no longer used.", self.name, self.stale_s)
            self._keys, self._got_at = {}, None
            self.generation += 1

    def _back_off(self) -> float:
        """Seconds until the next try after failures: short while cold, when every caller is turned away."""
        if self._got_at is None:
            return min(0.25 * 2.0**self._failures, 5.0) if self._failures else 0.0
        return min(self.cooldown_s * 2.0 ** min(self._failures - 1, 4), 300.0)

    async def start(self) -> None:
        """Takes the set kept from the last time, begins to fetch, and stays at it. Does not wait for the network."""
        if self.kept_at is not None and self._got_at is None:
            await self._take_kept(self.kept_at)
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_fresh(), name=f"keeper of {self.name}")

    async def stop(self) -> None:
        """Ends the background work."""
        for task in (self._keeper, self._flight):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._keeper = None

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.shield(self.refresh())
            await asyncio.sleep(self._back_off() if self._failures else self.fresh_s)
            self._drop_too_old(time.monotonic())

    def _fetch(self) -> dict[str, Key]:
        deadline = time.monotonic() + self.deadline_s
        bearer = None
        if self.source.bearer_file is not None:
            bearer = self.source.bearer_file.read_text(encoding="ascii").strip()
        url = self.source.url
        if self.source.discover:
            found = discovered(document(well_known(url), deadline=deadline, ca_file=self.source.ca_file), url)
            url = endpoint(found, "jwks_uri")
        raw = document(url, deadline=deadline, ca_file=self.source.ca_file, bearer=bearer)
        keys, kept = keys_of(raw, self.rules)
        if self.kept_at is not None and self.keep:
            self._keep(self.kept_at, kept)
        return keys

    def _keep(self, path: Path, kept: list[dict[str, Json]]) -> None:
        """Public keys on disk, so that a restart while the endpoint is down finds them."""
        written = json.dumps({"url": self.source.url, "fetched_at": time.time(), "keys": kept})
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, written.encode())
        except OSError as problem:
            log.warning("Cannot keep the keys of issuer %s on disk: %s.", self.name, problem)

    async def _take_kept(self, path: Path) -> None:
        try:
            raw = await off_loop(path.read_bytes, within=self.deadline_s)
        except FileNotFoundError:
            return
        except OSError as problem:
            log.warning("Cannot read the kept keys of issuer %s: %s.", self.name, problem)
            return
        kept = json_object(raw) or {}
        fetched_at = kept.get("fetched_at")
        if kept.get("url") != self.source.url or not isinstance(fetched_at, int | float):
            return  # of other settings
        age = max(0.0, time.time() - fetched_at)
        if age < self.stale_s:
            with contextlib.suppress(NoKeys):
                self._take(keys_of(raw, self.rules)[0], time.monotonic() - age)
