"""Connections that were seen and not read: what of the company's use of AI is on no other record.

No part of the chain: it is no exchange, and nothing that was said is in it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlite_utils import Database

from exchange.record import iso
from storage.journal.rows import Unread
from storage.removal.holds import Holds
from storage.sqlite.transaction import transaction

AGREED: Final = frozenset({"passed"})
"""Reasons that nobody need look into: the settings say that these hosts pass."""

_AT_ONCE: Final = 500  # rows in one transaction


def m008_coverage(db: Database) -> None:
    """A step of the schema (storage.sqlite.migrations); what was shipped is never edited."""
    db.execute(
        """
        create table coverage (   -- connections that were seen and not read; no exchanges, outside the chain
            id text not null unique, -- UUIDv7, 32 hex digits
            started_at integer not null,
            ended_at integer,     -- null: it is open still, or its worker died. Microseconds since 1970
            node text not null,
            issuer text, subject text, email text, domain text, -- all null: nobody known
            address text,         -- the caller's
            user_agent text, mode text not null,
            host text not null, port integer not null, -- what the caller asked us for
            name text,            -- what it asked for in TLS
            service text,         -- the LLM service whose host it is, as settings/providers.yaml knows it
            rule text not null,   -- what said that it is not read
            why text not null,    -- docs/how-to/forward.md has the words
            detail text,
            sent integer not null, received integer not null -- bytes from the caller, and to it
        ) strict
        """
    )
    db.execute("create index coverage_started_at on coverage (started_at)")


def write_unread(connection: sqlite3.Connection, rows: Sequence[tuple[str, Unread]]) -> None:
    """Keep these, (id, row) each, within the caller's transaction. Of one connection the last row counts; storing a
    row again changes nothing."""
    connection.executemany(  # whoever asks for a person finds these, too
        "insert or ignore into identity values (?, ?, ?)",
        [(who.issuer, who.subject, who.email or "") for _, row in rows if (who := row.principal) is not None],
    )
    connection.executemany(
        f"insert into coverage values ({', '.join('?' * 20)}) on conflict (id) do update set "  # noqa: S608 - marks
        "ended_at = excluded.ended_at, sent = excluded.sent, received = excluded.received "
        "where coverage.ended_at is null",
        [
            (
                id_, row.started_at, row.ended_at, row.node,
                row.principal and row.principal.issuer, row.principal and row.principal.subject,
                row.principal and row.principal.email, row.principal and row.principal.domain,
                row.address, row.user_agent, row.mode, row.host, row.port, row.name, row.service, row.rule, row.why,
                row.detail, row.sent, row.received,
            )
            for id_, row in rows
        ],
    )  # fmt: skip


def forget_unread(
    connection: sqlite3.Connection, *, before: int | None = None, person: tuple[str, str] | None = None
) -> Iterator[int]:
    """Let go of connections begun before then (microseconds since 1970), or of this person's (issuer, subject), but for
    whoever a hold is on; yields after each commit, how many are gone.

    Raises:
        sqlite3.Error: a step cannot be made; nothing of it was.
    """
    holds = Holds(connection)
    which, values = ("started_at < ?", (before,)) if person is None else ("issuer = ? and subject = ?", person)
    asked = f"select rowid, issuer, subject from coverage where {which} and rowid > ? order by rowid limit {_AT_ONCE}"  # noqa: S608 - SQL of our own
    last = gone = 0
    while rows := connection.execute(asked, (*values, last)).fetchall():
        last = rows[-1][0]
        due = [(row,) for row, issuer, subject in rows if issuer is None or holds.on(issuer, subject, None) is None]
        with transaction(connection):
            connection.executemany("delete from coverage where rowid = ?", due)
        gone += len(due)
        yield gone


@dataclass(slots=True)
class Unseen:
    """What is known of one host whose connections were not read."""

    host: str
    service: str | None
    connections: int
    people: int  # whose identity is known
    addresses: int  # callers' machines
    sent: int
    received: int
    first_at: str  # RFC 3339, UTC
    last_at: str
    why: dict[str, int] = field(default_factory=dict)  # reason → connections


def coverage(connection: sqlite3.Connection, since: int, *, services: bool, agreed: bool) -> list[Unseen]:
    """Hosts by the bytes that went there, the most first, of connections begun at `since` (microseconds since 1970) or
    later. `services`: those of known LLM services alone; `agreed`: also what passes by agreement."""
    chosen = "started_at >= ?" + (" and service is not null" if services else "")
    if not agreed:
        chosen += f" and why not in ({', '.join(repr(why) for why in sorted(AGREED))})"
    found = [
        Unseen(host, service, count, people, addresses, sent, received, iso(first), iso(last))
        for host, service, count, people, addresses, sent, received, first, last in connection.execute(
            "select host, service, count(*), count(distinct issuer || char(0) || subject), count(distinct address), "  # noqa: S608
            "sum(sent), sum(received), min(started_at), max(coalesce(ended_at, started_at)) from coverage "
            f"where {chosen} group by host, service order by sum(sent) desc, count(*) desc, host",
            (since,),
        )
    ]
    by_host = {(each.host, each.service): each for each in found}
    for host, service, why, count in connection.execute(
        f"select host, service, why, count(*) from coverage where {chosen} group by host, service, why order by why",  # noqa: S608
        (since,),
    ):
        by_host[host, service].why[why] = count
    return found
