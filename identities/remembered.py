"""Tokens verified before: what makes the second request of a caller cheap."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from exchange.principal import Principal
from exchange.scope import Scope

_LARGEST_VALUE = 8192 + 16


@dataclass(frozen=True, slots=True)
class Identified:
    """Who calls. `header` carried the proof (lower-case; empty for a client certificate), `expires_at` is Unix time in
    seconds, skew included. `carriers` are all headers that did, where one token came in two. `scope` is what the
    proof may be used for; None: all that its owner may. `numbers` are by what each proof is revoked: a token's `jti`, a
    certificate's SHA-256 in hex."""

    principal: Principal
    header: bytes
    expires_at: float
    carriers: tuple[bytes, ...] = ()
    scope: Scope | None = None
    numbers: tuple[str, ...] = ()


class Replaceable(Protocol):
    """What a proof rests on: an issuer's keys, or its certificate authorities."""

    @property
    def generation(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Memory:
    """One remembered token or certificate: whom it proves, and while which keys."""

    identified: Identified
    issuer: str
    token_id: str | None
    keys: Replaceable
    generation: int

    def holds(self, now: float) -> bool:
        """Does it still prove anything: not expired, and verified with keys that are still the issuer's?"""
        return now < self.identified.expires_at and self.generation == self.keys.generation


class Remembered:
    """A bounded memory in two generations: when the young one is full it becomes the old one, and what nobody
    asked for since is gone. `most` bounds each of them."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._young: dict[tuple[bytes, bytes], Memory] = {}
        self._old: dict[tuple[bytes, bytes], Memory] = {}

    def get(self, header: bytes, value: bytes) -> Memory | None:
        """What is known of this header's exact value."""
        key = (header, value)
        found = self._young.get(key)
        if found is None and self._old:
            found = self._old.pop(key, None)
            if found is not None:
                self._put(key, found)
        return found

    def put(self, header: bytes, value: bytes, memory: Memory) -> None:
        """Remember it; a value too long to be a token is never kept."""
        if len(value) <= _LARGEST_VALUE:
            self._put((header, value), memory)

    def _put(self, key: tuple[bytes, bytes], memory: Memory) -> None:
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[key] = memory

    def drop(self, header: bytes, value: bytes) -> None:
        """Forget one, expired or verified with keys that are gone."""
        self._young.pop((header, value), None)
        self._old.pop((header, value), None)

    def forget(self, which: Callable[[Memory], bool]) -> None:
        """Forget all that these words fit."""
        for memory in (self._young, self._old):
            for key in [key for key, known in memory.items() if which(known)]:
                del memory[key]

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
