"""Whose exchanges? One person may be known by several identities; a command on a person lists them all first."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from exchange.record import iso


@dataclass(frozen=True, slots=True)
class Who:
    """As an administrator names somebody: by address or subject, whoever vouches for it; or by one identity."""

    person: str | None = None
    issuer: str | None = None
    subject: str | None = None

    def __str__(self) -> str:
        return self.person or f"{self.subject} of {self.issuer}"


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity (RFC 7519: issuer and subject), and what is on record of it."""

    issuer: str
    subject: str
    emails: tuple[str, ...] = ()
    exchanges: int = 0
    first_at: str | None = None  # RFC 3339, UTC
    last_at: str | None = None


def pairs_of(connection: sqlite3.Connection, who: Who) -> list[tuple[str, str]]:
    """(issuer, subject) of all that this may be."""
    if who.person is None:
        return [(who.issuer or "", who.subject or "")]
    asked = "select distinct issuer, subject from identity where email = ? or subject = ? order by issuer, subject"
    return [(row[0], row[1]) for row in connection.execute(asked, (who.person.lower(), who.person))]


def identities_of(connection: sqlite3.Connection, who: Who) -> list[Identity]:
    """All of them of which anything is on record, with how much."""
    return [found for pair in pairs_of(connection, who) if (found := identity(connection, *pair)) is not None]


def addresses_of(who: Who, identities: Iterable[Identity]) -> frozenset[str]:
    """Under which addresses this person is known: as they were named, and as these identities say."""
    named = [who.person] if who.person is not None else []
    for one in identities:
        named += [*one.emails, one.subject]
    return frozenset(each.lower() for each in named if "@" in each)


def identity(connection: sqlite3.Connection, issuer: str, subject: str) -> Identity | None:
    """What is on record of this identity and not erased yet; None where there is nothing."""
    count, first, last = connection.execute(
        "select count(*), min(started_at), max(started_at) from exchange where issuer = ? and subject = ? "
        "and unnamed = 0",
        (issuer, subject),
    ).fetchone()
    emails = connection.execute(
        "select email from identity where issuer = ? and subject = ? and email <> '' order by email", (issuer, subject)
    ).fetchall()
    if not count and not emails:
        return None
    return Identity(issuer, subject, tuple(row[0] for row in emails), count, _at(first), _at(last))


def _at(microseconds: int | None) -> str | None:
    return None if microseconds is None else iso(microseconds)
