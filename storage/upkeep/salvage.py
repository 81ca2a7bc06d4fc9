"""What a damaged file still holds, row by row, in a new one. The damaged file is only read.

SQLite reads up to a bad page and then says so; a row beyond it can still be asked for by its number. So tables are read
in windows of row numbers, and where a window fails, each of its rows by itself.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from storage.sealing.content import Opener, of_exchange
from storage.sealing.vault import Altered, Locked
from storage.sqlite.bodies import BodyReader
from storage.sqlite.breaks import ChainBreak, Range, ranges, without, write_break
from storage.sqlite.driver import open_for_writing
from storage.sqlite.tally import tally_anew, tally_zone
from storage.sqlite.transaction import transaction
from storage.upkeep.damage import Known
from storage.upkeep.upgrade import bring_up_to_date

_WINDOW: Final = 200  # rows asked for at once
_NOTHING: Final = 50  # windows without a row, after which a table whose end is unknown is over
_BODIES: Final = ("request", "request_json", "response", "content")
_LOCKED: Final = Locked()
_LEFT_OUT: Final = ("sqlite_", "_sqlite_", "search", "said", "tally")  # made again: the index by `rebuild`


@dataclass(slots=True)
class Salvaged:
    """How much was read, and what was not."""

    rows: dict[str, int] = field(default_factory=dict)  # table → rows
    lost: tuple[Range, ...] = ()  # seqs of exchanges
    without: list[int] = field(default_factory=list)  # seqs of exchanges whose content is lost


def salvage(
    damaged: Path,
    fresh: Path,
    known: Known,
    *,
    reason: str,
    kept_as: str,
    at: float,
    seen: Callable[[int], None],
    opener: Opener = _LOCKED,
) -> Salvaged:
    """Write what can be read of `damaged` into the new file `fresh`, and the break that says what cannot.

    `seen` is told how many rows were asked for so far; `opener` opens what is sealed.

    Raises:
        sqlite3.Error, OSError: the new file cannot be written.
        SealProblem: it is sealed, and the key is missing or another.
    """
    found = Salvaged()
    target = open_for_writing(fresh)
    try:
        bring_up_to_date(fresh, target)
        connection: sqlite3.Connection = target.conn
        connection.execute("pragma foreign_keys=off")
        source = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)
        try:
            asked = 0
            for table, sql in _tables(connection):
                connection.execute("begin immediate")
                asked = _copy(source, connection, table, sql, known, found, asked, seen)
                connection.execute("commit")
        finally:
            source.close()
        connection.execute("begin immediate")
        _fit_together(connection, found, opener)
        tally_anew(connection, tally_zone(connection))
        found.lost = _missing(connection, known.last_seq)
        heads = dict(
            connection.execute(
                "select node, hash from exchange where seq in (select max(seq) from exchange group by node)"
            ).fetchall()
        )
        write_break(
            connection,
            ChainBreak(known.last_seq, int(at * 1e6), reason, kept_as, found.lost, ranges(found.without), heads),
        )
        connection.execute("commit")
        connection.execute("pragma wal_checkpoint(truncate)")
    finally:
        target.close()
    return found


def _tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(name, SQL) of the tables of this schema, in the order in which they came."""
    rows = connection.execute("select name, sql from sqlite_schema where type = 'table' order by rowid").fetchall()
    return [(name, sql) for name, sql in rows if not name.startswith(_LEFT_OUT)]


def _copy(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    table: str,
    sql: str,
    known: Known,
    found: Salvaged,
    asked: int,
    seen: Callable[[int], None],
) -> int:
    columns = _columns(source, target, table)
    found.rows[table] = 0
    if not columns:
        return asked
    names = ", ".join(columns)
    put = f"insert or replace into {table} ({names}) values ({', '.join('?' * len(columns))})"  # noqa: S608 - names of our own schema
    if "without rowid" in sql.lower():
        rows: Iterable[tuple[object, ...]] = _from_both_ends(source, table, names)
    else:
        end = _end(source, table)
        if end is None and table == "exchange":
            end = known.last_seq
        rows = _by_number(source, table, names, end)
    for row in rows:
        target.execute(put, row)
        found.rows[table] += 1
        asked += 1
        if asked % _WINDOW == 0:
            seen(asked)
    seen(asked)
    return asked


def _columns(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> list[str]:
    """What both have: the damaged file may be of an older schema."""
    theirs = {row[1] for row in source.execute(f"pragma table_info({table})")}
    return [row[1] for row in target.execute(f"pragma table_info({table})") if row[1] in theirs]


def _end(source: sqlite3.Connection, table: str) -> int | None:
    try:
        return int(source.execute(f"select max(rowid) from {table}").fetchone()[0] or 0)  # noqa: S608 - a name of our own
    except sqlite3.Error:
        return None


def _by_number(source: sqlite3.Connection, table: str, names: str, end: int | None) -> Iterator[tuple[object, ...]]:
    some = f"select {names} from {table} where rowid >= ? and rowid < ? order by rowid"  # noqa: S608 - names of our own
    one = f"select {names} from {table} where rowid = ?"  # noqa: S608 - the same
    first, empty = 1, 0
    while first <= end if end is not None else empty < _NOTHING:
        try:
            rows = source.execute(some, (first, first + _WINDOW)).fetchall()
        except sqlite3.Error:
            rows = []
            for number in range(first, min(first + _WINDOW, (end or first + _WINDOW) + 1)):
                try:
                    rows += source.execute(one, (number,)).fetchall()
                except sqlite3.Error:
                    continue  # on the bad page; what is missing is counted at the end
        yield from rows
        empty = 0 if rows else empty + 1
        first += _WINDOW


def _from_both_ends(source: sqlite3.Connection, table: str, names: str) -> Iterator[tuple[object, ...]]:
    """A table without row numbers, from its beginning and from its end, each up to the bad page."""
    for order in ("asc", "desc"):
        key = ", ".join(
            f"{name} {order}"
            for name, _ in sorted(
                ((row[1], row[5]) for row in source.execute(f"pragma table_info({table})") if row[5]),
                key=lambda each: each[1],
            )
        )
        try:
            yield from source.execute(f"select {names} from {table} order by {key}")  # noqa: S608 - names of our own
        except sqlite3.Error:
            continue  # what lies beyond is read from the other end
        return


def _fit_together(connection: sqlite3.Connection, found: Salvaged, opener: Opener) -> None:
    """Rows whose other half is lost: what belongs to no exchange goes, an exchange without content says so."""
    count, last = connection.execute("select count(*), coalesce(max(id), 0) from tombstone").fetchone()
    if count != last:  # a chain with a hole proves nothing: what it names is named by the break
        connection.execute("delete from tombstone")
    for table, _ in _tables(connection):
        for row in connection.execute(f"pragma foreign_key_list({table})").fetchall():
            parent, column, key = row[2], row[3], row[4]
            connection.execute(f"delete from {table} where {column} not in (select {key} from {parent})")  # noqa: S608 - names of our own
    bare = "select e.seq from exchange e left join body b on b.seq = e.seq where b.seq is null"
    for (seq,) in connection.execute(bare).fetchall():
        connection.execute("insert into body (seq, raw) values (?, 'expired')", (seq,))
        _let_go(connection, seq, found)
    bodies = BodyReader(connection, opener)
    manifests = (
        "select b.seq, e.id, b.request, b.request_json, b.response, r.content from body b "
        "join exchange e on e.seq = b.seq left join raw_reply r on r.seq = b.seq order by b.seq"
    )
    for seq, id_, *given in connection.execute(manifests).fetchall():
        try:
            for column, manifest in zip(_BODIES, given, strict=True):
                bodies.get(manifest, of_exchange(id_, column))
        except (LookupError, ValueError, Altered):
            _let_go(connection, seq, found)
    for (seq,) in connection.execute(_UNEXPLAINED).fetchall():
        if seq not in found.without:
            found.without.append(seq)
    found.without.sort()


_UNEXPLAINED: Final = """
    select e.seq from exchange e join body b on b.seq = e.seq
    where e.request_digest <> 'off' and (e.salt is null or b.raw <> 'kept')
    and not exists (select 1 from erased x where x.seq = e.seq)
    and not (e.salt is not null and b.raw = 'expired' and e.started_at < coalesce((select
        max(json_extract(detail, '$.before')) from tombstone where kind = 'expire'), 0))
"""
"""Exchanges without content of which no tombstone tells any more."""


def _missing(connection: sqlite3.Connection, last: int) -> tuple[Range, ...]:
    """Seqs that are neither here nor let go by retention, from the first that is here."""
    gaps = connection.execute(
        "select previous + 1, seq - 1 from (select seq, lag(seq) over (order by seq) as previous from exchange) "
        "where previous is not null and seq > previous + 1"
    ).fetchall()
    (end,) = connection.execute("select max(seq) from exchange").fetchone()
    if (end or 0) < last:
        gaps.append(((end or 0) + 1, last))
    gone = connection.execute("select first, last from pruned order by first").fetchall()
    return tuple(left for first, until in gaps for left in without((first, until), gone))


def carry_over(damaged: Path, connection: sqlite3.Connection, tables: Iterable[str]) -> dict[str, int]:
    """Copy what can be read of these tables into a record that was begun anew. Returns table → rows."""
    wanted = {name: sql for name, sql in _tables(connection) if name in set(tables)}
    found = Salvaged()
    source = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)
    try:
        for name, sql in wanted.items():
            try:
                with transaction(connection):
                    _copy(source, connection, name, sql, Known(0, {}), found, 0, lambda _asked: None)
            except sqlite3.Error:
                found.rows[name] = 0  # not even its shape can be read
    finally:
        source.close()
    return found.rows


def _let_go(connection: sqlite3.Connection, seq: int, found: Salvaged) -> None:
    """Of this exchange the content is lost, in whole or in part: what is left of it cannot be proven any more."""
    connection.execute(
        "update body set request = null, request_json = null, response = null, raw = 'expired' where seq = ?", (seq,)
    )
    connection.execute("delete from raw_reply where seq = ?", (seq,))
    if seq not in found.without:
        found.without.append(seq)
