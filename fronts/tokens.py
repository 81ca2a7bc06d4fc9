"""Tokens that people make for themselves, and end."""

import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, get_args

from exchange.call import Operation
from exchange.scope import Scope
from identities.own_token import mint
from identities.revoked import Revocation, revoke
from settings.schema import Settings
from storage.book import Book

OPERATIONS: Final[tuple[str, ...]] = tuple(one for one in get_args(Operation) if one != "other")

_MOST_DAYS: Final = 90
_MOMENT_S: Final = 20.0
_NAME: Final = 80  # characters
_MODELS: Final = 20
_MODEL: Final = 100  # characters


class NoSuchToken(ValueError):  # noqa: N818 - said to a person
    """What was asked for is no token that could be made."""


class AlreadyMade(ValueError):  # noqa: N818 - said to a person
    """The very form was sent before, by a reload: its token was made, and shown."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new token, shown once, and its end in Unix seconds."""

    token: str
    ends: int


class Tokens:
    """Makes and ends tokens for those who are signed in."""

    def __init__(self, settings: Settings, book: Book) -> None:
        self._data_dir = settings.data_dir
        self._book = book
        own = next((issuer for issuer in settings.identity.issuers if issuer.kind == "own_token"), None)
        self.most_days = 0 if own is None else max(1, min(_MOST_DAYS, own.max_ttl_s // 86400))
        """For how long one may be made; 0 where none would be accepted."""

    def make(
        self, email: str, name: str, days: float, scope: Scope, groups: Sequence[str], number: str | None = None
    ) -> Made:
        """A token of this person, who is in these groups now. It keeps them to its end: who is in which group, only a
        sign-in says, and a token is for programs that none of them will see for weeks. `number` is its `jti`; of one
        that they made a moment ago it is the same token again, since a second click takes the first answer away.

        Raises:
            NoSuchToken: the name, the days or the scope cannot be.
            AlreadyMade: there is one of this number, from longer ago, or ended.
            OSError, sqlite3.Error: it cannot be written down.
        """
        fits = (
            0 < len(name) <= _NAME
            and name.isprintable()
            and 0 < days <= self.most_days
            and all(one in OPERATIONS for one in scope.operations or ())
            and len(scope.models or ()) <= _MODELS
            and all(len(one) <= _MODEL and one.isprintable() for one in scope.models or ())
        )
        if not fits:
            raise NoSuchToken
        number, now = number or str(uuid.uuid4()), time.time()
        ends = int(now + days * 86400)
        try:
            self._book.begin_token(number, email, name, ends, scope)  # first: what is not written down cannot be ended
        except sqlite3.IntegrityError:
            before = next((one for one in self._book.tokens_of(email) if one.number == number), None)
            if before is None or before.ended is not None or now - before.began > _MOMENT_S:
                raise AlreadyMade from None
            ends = before.ends
        days = (ends - now) / 86400
        token = mint(self._data_dir, email=email, days=days, name=name, scope=scope, groups=groups, number=number)
        return Made(token, ends)

    def end(self, email: str, number: str) -> bool:
        """Workers refuse it within two seconds. False: this person has no such token."""
        token = self._book.end_token(number, email)
        if token is None:
            return False
        revoke(self._data_dir, Revocation("token", number, int(time.time()), "ended by its owner", token.ends + 60))
        return True
