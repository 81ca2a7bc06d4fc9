"""What all exchanges come to by day and kind, kept beside them: an overview of a month need not read a million rows.

A *kind* is everything a query's fields can ask for: person, domain, host, model, operation, decision, ending. Triggers
keep both tables in the transaction that changes `exchange`, whoever changes it: recording, retention, a rebuild. Days
are those of one zone, a fixed number of microseconds east of Greenwich, which stands in `meta`; whoever asks for days
of another zone is answered from the exchanges themselves (storage.sqlite.summary).

What was erased is counted on, and under nobody's name: its kind is `unnamed`.
"""

import sqlite3
import time
from collections.abc import Mapping
from typing import Final

from sqlite_utils import Database

DAY: Final = 86_400_000_000
"""Microseconds."""

KIND: Final = (
    "issuer", "subject", "email", "domain", "host", "operation", "request_model", "response_model",
    "outcome", "code", "rule", "end_state",
)  # fmt: skip
"""The columns of `exchange` that make a kind, with `unnamed` since step 11."""

NAMES: Final = ("issuer", "subject", "email")
"""Those of them that say who it was."""

FIRST_BYTE: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds until the first byte: the upper edges by which `slow0` … `slow8` count; the last count is of all beyond."""

SUMS: Final = {
    "failed": "coalesce({e}.status, 0) >= 400",
    "input_tokens": "coalesce({e}.input_tokens, 0)",
    "output_tokens": "coalesce({e}.output_tokens, 0)",
    "cost_usd": "coalesce({e}.cost_usd, 0.0)",
    "unpriced": "{e}.cost_usd is null and {e}.usage_source <> 'none'",
    **{
        f"slow{n}": f"coalesce({{e}}.ttft >= {int(low * 1e6)}"
        + (f" and {{e}}.ttft < {int(high * 1e6)}" if high else "")
        + ", 0)"
        for n, (low, high) in enumerate(zip((0.0, *FIRST_BYTE), (*FIRST_BYTE, None), strict=True))
    },
}
"""What is added up, and how much one exchange (`{e}`) adds."""

_TABLES: Final = """
    create table tally_kind ( -- one row for each kind of exchange there is
        id integer primary key,
        issuer text, subject text, email text, domain text, host text not null,
        operation text not null, request_model text, response_model text,
        outcome text not null, code text, rule text, end_state text not null,
        count integer not null,
        first_seq integer not null, last_seq integer not null -- bounds: all of them lie between
    ) strict;
    create table tally ( -- what the exchanges of one day and kind come to
        day integer not null,    -- (started_at + meta.tally_zone) / a day: days since 1970 in that zone
        kind integer not null,   -- tally_kind.id
        count integer not null,
        failed integer not null, -- answered with a status of 400 or more
        input_tokens integer not null, output_tokens integer not null,
        cost_usd real not null, unpriced integer not null, -- unpriced: used, at a price that is not known
        slow0 integer not null, slow1 integer not null, slow2 integer not null, slow3 integer not null,
        slow4 integer not null, slow5 integer not null, slow6 integer not null, slow7 integer not null,
        slow8 integer not null,  -- by time until the first byte: under 0.25, 0.5, 1, 2, 4, 8, 16, 32 s, and beyond
        first_seq integer not null, last_seq integer not null,
        primary key (day, kind)
    ) strict, without rowid;
    create index tally_of_kind on tally (kind, day)
"""


def m010_tally(db: Database) -> None:
    """A step of the schema (storage.sqlite.migrations); what was shipped is never edited."""
    for sql in _TABLES.split(";"):
        db.execute(sql)
    kind = {row: {column: f"{row}.{column}" for column in KIND} for row in ("new", "old", "e")}
    db.execute(f"create unique index tally_kind_is on tally_kind ({_same(KIND)})")
    db.execute("insert into meta values ('tally_zone', ?)", (str(zone_here()),))
    _watch(db, kind, KIND)
    _count_all(db.conn, kind["e"])


def m011_unnamed(db: Database) -> None:
    """A step of the schema: sums name nobody who was erased. Whoever is erased already loses their name there now."""
    for table in ("exchange", "tally_kind"):
        db.execute(f"alter table {table} add column unnamed integer not null default 0")  # 1: in sums, nobody's
    for trigger in ("exchange_tallied", "exchange_untallied", "exchange_tallied_anew"):
        db.execute(f"drop trigger {trigger}")
    db.execute("drop index tally_kind_is")
    db.execute(f"create unique index tally_kind_is on tally_kind ({_same((*KIND, 'unnamed'))})")
    _watch(db, {row: unnamed_kind(row) for row in ("new", "old")}, (*KIND, "unnamed"))
    db.execute("update exchange set unnamed = 1 where seq in (select seq from erased)")
    db.execute(
        """
        update exchange set unnamed = 1 where unnamed = 0 and seq in (
            select e.seq from tombstone t, json_each(t.detail, '$.identities') who
            join exchange e on e.issuer = json_extract(who.value, '$.issuer')
            and e.subject = json_extract(who.value, '$.subject') and e.started_at <= json_extract(t.detail, '$.before')
            join body b on b.seq = e.seq and b.raw = 'off'
            where t.kind = 'erase'
        )
        """
    )


def unnamed_kind(row: str) -> dict[str, str]:
    """By column of `tally_kind` the SQL that says what it is for this row of `exchange`."""
    hidden = {name: f"iif({row}.unnamed, null, {row}.{name})" for name in NAMES}
    return {**{column: f"{row}.{column}" for column in KIND}, **hidden, "unnamed": f"{row}.unnamed"}


def _watch(db: Database, kind: Mapping[str, Mapping[str, str]], of_kind: tuple[str, ...]) -> None:
    watched = ", ".join(
        (*of_kind, "started_at", "status", "input_tokens", "output_tokens", "cost_usd", "usage_source", "ttft")
    )
    add, take = _add(kind["new"]), _take(kind["old"])
    db.execute(f"create trigger exchange_tallied after insert on exchange begin {add} end")
    db.execute(f"create trigger exchange_untallied after delete on exchange begin {take} end")
    db.execute(f"create trigger exchange_tallied_anew after update of {watched} on exchange begin {take} {add} end")


def _same(columns: tuple[str, ...]) -> str:
    return ", ".join(f"coalesce({column}, x'')" for column in columns)  # null is a value here, and not ''


def _kind_of(kind: Mapping[str, str]) -> str:
    same = " and ".join(f"coalesce({column}, x'') = coalesce({value}, x'')" for column, value in kind.items())
    return f"(select id from tally_kind where {same})"  # noqa: S608 - names of our own


def _day_of(row: str) -> str:
    zone = "(select cast(value as integer) from meta where name = 'tally_zone')"
    return f"({row}.started_at + {zone}) / {DAY}"


def _add(kind: Mapping[str, str]) -> str:
    sums = ", ".join(how.format(e="new") for how in SUMS.values())
    grown = ", ".join(f"{name} = {name} + excluded.{name}" for name in ("count", *SUMS))
    bounds = "first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq)"
    return f"""
        insert into tally_kind ({", ".join(kind)}, count, first_seq, last_seq)
            values ({", ".join(kind.values())}, 1, new.seq, new.seq)
            on conflict ({_same(tuple(kind))}) do update set count = count + 1, {bounds};
        insert into tally (day, kind, count, {", ".join(SUMS)}, first_seq, last_seq)
            values ({_day_of("new")}, {_kind_of(kind)}, 1, {sums}, new.seq, new.seq)
            on conflict (day, kind) do update set {grown}, {bounds};
    """  # noqa: S608 - names of our own


def _take(kind: Mapping[str, str]) -> str:
    less = ", ".join(f"{name} = {name} - ({how.format(e='old')})" for name, how in SUMS.items())
    where = f"day = {_day_of('old')} and kind = {_kind_of(kind)}"
    return f"""
        update tally set count = count - 1, {less} where {where};
        delete from tally where {where} and count <= 0;
        update tally_kind set count = count - 1 where id = {_kind_of(kind)};
        delete from tally_kind where id = {_kind_of(kind)} and count <= 0;
    """  # noqa: S608 - names of our own


def _count_all(connection: sqlite3.Connection, kind: Mapping[str, str]) -> None:
    columns, values = ", ".join(kind), ", ".join(kind.values())
    sums = ", ".join(f"sum({how.format(e='e')})" for how in SUMS.values())
    same = " and ".join(f"coalesce(k.{column}, x'') = coalesce({value}, x'')" for column, value in kind.items())
    connection.execute("delete from tally")
    connection.execute("delete from tally_kind")
    connection.execute(
        f"insert into tally_kind ({columns}, count, first_seq, last_seq) "  # noqa: S608 - names of our own
        f"select {values}, count(*), min(seq), max(seq) from exchange e group by {values}"
    )
    connection.execute(
        f"insert into tally (day, kind, count, {', '.join(SUMS)}, first_seq, last_seq) "  # noqa: S608 - the same
        f"select {_day_of('e')} as day, k.id, count(*), {sums}, min(e.seq), max(e.seq) "
        f"from exchange e cross join tally_kind k on {same} group by day, k.id"
    )


def zone_here() -> int:
    """Microseconds that this machine's zone is east of Greenwich now."""
    return time.localtime().tm_gmtoff * 1_000_000


def tally_zone(connection: sqlite3.Connection) -> int:
    """In which zone the days are."""
    return int(connection.execute("select value from meta where name = 'tally_zone'").fetchone()[0])


def tally_anew(connection: sqlite3.Connection, zone: int) -> None:
    """Count all exchanges again, in days of this zone, within the caller's transaction. About 8 s for a million."""
    connection.execute("insert or replace into meta values ('tally_zone', ?)", (str(zone),))
    _count_all(connection, unnamed_kind("e"))
