"""Keys that are at hand: in a file of the machine, or a secret shared with the issuer."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from pathlib import Path

from identities.fetching import off_loop
from identities.jwk import Key, KeyRules, NoKeys, keys_of
from identities.keys import KeysUnavailable

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often a file is looked at, in seconds: how long a key that was taken out may still be used."""

_READ_S = 5.0
_SHORTEST_SECRET = 32

type Stamp = tuple[int, int, int]


@dataclass
class FileKeys:
    """A JWK set in a file: our own keys, or an issuer's that cannot be reached. An unknown key id looks at once
    whether the file has changed, so a token minted with a brand-new key passes."""

    name: str
    path: Path
    rules: KeyRules
    look_s: float = LOOK_S
    may_be_missing: bool = False
    generation: int = 0
    _keys: dict[str, Key] = field(default_factory=dict)
    _stamp: Stamp | None = None
    _read: bool = False
    _flight: asyncio.Task[None] | None = None
    _keeper: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        return "ready" if self._read else "cold"

    async def find(self, kid: str | None) -> Key | None:
        key = self._known(kid)
        if key is None:
            # `wait` and not `await`: a look that `stop` cancels must not cancel those who wait for it.
            await asyncio.wait({self.refresh()})
            key = self._known(kid)
        if key is None and not self._read:
            raise KeysUnavailable
        return key

    def _known(self, kid: str | None) -> Key | None:
        if kid is not None:
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    def refresh(self) -> asyncio.Task[None]:
        """A look at the file, shared by all who ask at the same time. It never raises."""
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._refresh(), name=f"keys of {self.name}")
        return self._flight

    async def _refresh(self) -> None:
        try:
            found = await off_loop(self._changed, within=_READ_S)
        except (OSError, NoKeys) as problem:  # TimeoutError is an OSError
            if isinstance(problem, FileNotFoundError) and self.may_be_missing:
                self._take({}, None)
            elif self._stamp is not None or not self._read:
                log.warning("Cannot read the keys of issuer %s from %s: %s.", self.name, self.path, problem)
                self._stamp = None
            return
        if found is not None:
            self._take(*found)

    def _changed(self) -> tuple[dict[str, Key], Stamp] | None:
        status = self.path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return None
        return keys_of(self.path.read_bytes(), self.rules)[0], stamp

    def _take(self, keys: dict[str, Key], stamp: Stamp | None) -> None:
        if any(keys.get(kid) != key for kid, key in self._keys.items()):
            self.generation += 1
        self._keys, self._stamp, self._read = keys, stamp, True

    async def start(self) -> None:
        await self.refresh()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_looking(), name=f"keeper of {self.name}")

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self.look_s)
            await asyncio.shield(self.refresh())

    async def stop(self) -> None:
        for task in (self._keeper, self._flight):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._keeper = None


class SecretKey:
    """One shared secret (HS256); no key ids."""

    generation = 0
    state = "ready"

    def __init__(self, secret: str) -> None:
        """Raises ValueError for a secret that could be guessed."""
        if len(secret.encode()) < _SHORTEST_SECRET:
            raise ValueError(f"has under {_SHORTEST_SECRET} bytes, so it could be guessed. Take a longer one")
        self._key = Key(secret.encode(), frozenset({"HS256"}))

    async def find(self, kid: str | None) -> Key | None:
        del kid  # the issuer has one key
        return self._key

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None
