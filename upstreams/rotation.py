"""Which of several keys is shown: by caller, by the rule that let the call through, then by time.

Keys for the same callers form a line, the newest first. A key that the provider answers 401 to is replaced by the next
of its line; when that one does better, it is shown in new calls as well, for ten minutes, after which the first is
tried again. A line never borrows from another: its keys may be another department's bill.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from settings.credentials import ApiKey
from upstreams.credential import Credential, CredentialUnavailable
from upstreams.key_source import KeySource

log = logging.getLogger(__name__)

SET_ASIDE_S = 600.0
"""How long a refused key is not shown where another does better, in seconds."""


@dataclass(frozen=True, slots=True)
class LineKey:
    """A key's place in its line: from when on it counts, in seconds since 1970."""

    source: KeySource
    starts: float = float("-inf")


@dataclass(eq=False)
class KeyLine:
    """Keys for the same callers, the newest first. Used on one thread, but for `changed`."""

    members: tuple[LineKey, ...]
    domains: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    fallbacks: int = 0
    _aside: dict[Credential, float] = field(default_factory=dict)  # until when, on the monotonic clock
    _said: set[Credential] = field(default_factory=set)

    def __post_init__(self) -> None:
        # Worked out once: every request looks here.
        self.starts = self.members[-1].starts
        """When the first of its keys counts, in seconds since 1970."""
        self.is_for_all = not self.domains and not self.rules

    def concerns(self, domain: str | None, rule: str | None) -> bool:
        return (not self.domains or domain in self.domains) and (not self.rules or rule in self.rules)

    @property
    def narrowness(self) -> tuple[bool, bool]:
        """A line that names rules comes before one that names domains, and that before one that names nothing."""
        return bool(self.rules), bool(self.domains)

    def choose(self, now: float) -> Credential:
        """The key to show at this time.

        Raises:
            CredentialUnavailable: none can be read.
        """
        newest = self.members[0]
        if newest.starts <= now and newest.source.current is not None and not self._aside:
            return newest.source.current  # nearly always
        if not any(self.is_aside(key) for key in self._aside):
            self._aside = {}  # their time is over
        if (best := self._best(now)) is None:
            due = [key.source for key in self.members if key.starts <= now]
            raise CredentialUnavailable("; ".join(f"{s.path} {s.problem or 'is not read yet'}" for s in due))
        return best

    def _best(self, now: float) -> Credential | None:
        at_hand = list(self._at_hand(now))
        return next((key for key in at_hand if not self.is_aside(key)), at_hand[0] if at_hand else None)

    def instead_of(self, refused: Credential, now: float) -> Credential | None:
        """The one to try when the provider refused this one; None when there is no other."""
        others = (key for key in self._at_hand(now) if key is not refused and key.fields != refused.fields)
        return next((key for key in others if not self.is_aside(key)), None)

    def set_aside(self, refused: Credential, now: float) -> None:
        """The provider refused this one, and another is to be shown in its place."""
        if self.is_aside(refused):
            return  # said before: calls that were under way
        was_shown = refused is self._best(now)
        if (instead := self.instead_of(refused, now)) is None:
            self.refused_for_good(refused)
            return
        self._aside[refused] = time.monotonic() + SET_ASIDE_S
        if not was_shown:
            return  # the last calls of a key that was replaced, and revoked at once
        self.fallbacks += 1
        log.error(
            "ALERT: the provider answers 401 to key %s (%s). Calls are made with %s (%s) now. Put a valid key into %s, "
            "or take it out.",
            refused.label, refused.name, instead.label, instead.name, self._place_of(refused),
        )  # fmt: skip

    def refused_for_good(self, refused: Credential) -> None:
        """The provider refused this one, and no other does better. Said once for each."""
        if refused not in self._said:
            self._said.add(refused)
            log.error(
                "ALERT: the provider answers 401 to key %s (%s), and no other key helps. Put a valid key into %s.",
                refused.label, refused.name, self._place_of(refused),
            )  # fmt: skip

    def is_aside(self, key: Credential) -> bool:
        until = self._aside.get(key)
        return until is not None and time.monotonic() < until

    def holds(self, credential: Credential) -> bool:
        return any(credential in (key.source.current, key.source.previous) for key in self.members)

    def changed(self) -> None:
        """A key of the line is new: what was refused is forgotten. Called from the thread that saw it."""
        self._aside, self._said = {}, set()

    def _at_hand(self, now: float) -> Iterator[Credential]:
        """What may be shown at this time, the newest first; what was in a file before comes behind what is in it."""
        for key in self.members:
            if key.starts <= now:
                for made in (key.source.current, key.source.previous):
                    if made is not None:
                        yield made

    def _place_of(self, credential: Credential) -> str:
        return next(
            (k.source.secret.source for k in self.members if k.source.label == credential.label), "the settings"
        )


def lines_from(keys: Sequence[tuple[ApiKey, KeySource]]) -> tuple[KeyLine, ...]:
    """The keys in their lines, the narrowest line first; lines that are equally narrow stay as written."""
    by_scope: dict[tuple[frozenset[str], frozenset[str]], list[LineKey]] = {}
    for key, source in keys:
        starts = key.starts.timestamp() if key.starts is not None else float("-inf")
        by_scope.setdefault((frozenset(key.domains), frozenset(key.rules)), []).append(LineKey(source, starts))
    lines = [
        KeyLine(tuple(sorted(found, key=lambda key: key.starts, reverse=True)), domains, rules)
        for (domains, rules), found in by_scope.items()
    ]
    for line in lines:
        for member in line.members:
            member.source.changed = line.changed
    return tuple(sorted(lines, key=lambda line: line.narrowness, reverse=True))
