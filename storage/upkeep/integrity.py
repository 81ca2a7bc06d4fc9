"""Is the file as SQLite and this code left it? What stands in it, the chain proves (storage.sqlite.verifying)."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from storage.sqlite.driver import StoreProblem, audit_path, open_for_reading, open_for_writing
from storage.sqlite.lock import in_place_of_the_recorder
from storage.sqlite.migrations import SCHEMA_VERSION
from storage.sqlite.self_test import Finding

_SHOWN: Final = 10  # problems of one kind
_RECOVER: Final = "Stop Sekisho, keep a copy of data_dir, and run `sekisho db recover`."

type Look = Callable[[sqlite3.Connection], str | None]


def looked_through(data_dir: Path, *, full: bool = False) -> Iterator[tuple[str, Finding | None]]:
    """Each thing that is looked at, twice: before, with None, and after, with what was found.

    `full` holds every index against its table as well (SQLite's integrity_check), which takes far longer. The search
    index can only be asked by whoever may write: while the recorder runs it is left out, and the finding says so.

    Raises:
        StoreProblem: there is no record, or it cannot be opened.
    """
    path = audit_path(data_dir)
    database = open_for_reading(path)
    try:
        for what, look in (
            ("pages and rows" + (", every index" if full else ""), _full if full else _quick),
            ("schema", _schema),
            ("rows that belong together", _relations),
            ("the tally of days", _tally),
            ("people whom erasing must reach", _people),
            ("what search must find", _indexed),
        ):
            yield what, None
            yield what, _found(what, look, database.conn)
    finally:
        database.close()
    yield "search index", None
    yield "search index", _search(data_dir)


def _found(what: str, look: Look, connection: sqlite3.Connection) -> Finding:
    try:
        return Finding(what, look(connection))
    except sqlite3.Error as cannot:
        return Finding(what, f"It cannot be read: {cannot}. {_RECOVER}")


def quick_check(connection: sqlite3.Connection) -> str | None:
    """What is wrong with the file, None when nothing is. Milliseconds for each 10 MB; indexes are not compared.

    Raises:
        sqlite3.Error: it is so damaged that it cannot be asked.
    """
    return _checked(connection, "quick_check")


def _checked(connection: sqlite3.Connection, pragma: str) -> str | None:
    said = of_the_file(row[0] for row in connection.execute(f"pragma {pragma}({_SHOWN})"))
    return "; ".join(said) or None


def of_the_file(said: Iterable[str]) -> list[str]:
    """What of SQLite's findings is damage of the file. From 3.44 on it looks into the search index too: that can be
    made again (`rebuild`), and is no reason to put a record aside."""
    return [line for line in said if line != "ok" and "FTS5 table" not in line]


def _quick(connection: sqlite3.Connection) -> str | None:
    wrong = quick_check(connection)
    return wrong and f"{wrong}. {_RECOVER}"


def _full(connection: sqlite3.Connection) -> str | None:
    wrong = _checked(connection, "integrity_check")
    return wrong and f"{wrong}. {_RECOVER}"


def _schema(connection: sqlite3.Connection) -> str | None:
    version = connection.execute("pragma user_version").fetchone()[0]
    if version < SCHEMA_VERSION:
        return (
            f"It has schema {version}; this Sekisho knows {SCHEMA_VERSION} and brings it up to date when it starts. "
            "Start it once."
        )
    if connection.execute("select 1 from meta where name = 'rebuild'").fetchone() is not None:
        return "A rebuild was begun and not ended: search finds a part only. Stop Sekisho and run `sekisho db rebuild`."
    return None


def _relations(connection: sqlite3.Connection) -> str | None:
    dangling = connection.execute("pragma foreign_key_check").fetchmany(_SHOWN)
    said = [f"{table} row {row} names a row of {parent} that is not there" for table, row, parent, _ in dangling]
    bare = connection.execute(
        "select e.seq from exchange e left join body b on b.seq = e.seq where b.seq is null limit ?", (_SHOWN,)
    ).fetchall()
    said += [f"exchange {seq} has no body row" for (seq,) in bare]
    return f"{'; '.join(said)}. {_RECOVER}" if said else None


def _tally(connection: sqlite3.Connection) -> str | None:
    exchanges, tokens, tallied, their_tokens = connection.execute(  # at once: somebody may be recording
        "select e.*, t.* from (select count(*), coalesce(sum(input_tokens), 0) from exchange) e, "
        "(select coalesce(sum(count), 0), coalesce(sum(input_tokens), 0) from tally) t"
    ).fetchone()
    if (exchanges, tokens) == (tallied, their_tokens):
        return None
    return (
        f"It has {tallied} exchanges and {their_tokens} input tokens, the record {exchanges} and {tokens}: what the "
        "console's overview says is wrong, the record is not. Stop Sekisho and run `sekisho db rebuild`."
    )


def _people(connection: sqlite3.Connection) -> str | None:
    """Erasing finds a person's exchanges by their identities, and the pieces of bodies by their owner."""
    unknown = connection.execute(
        "select issuer, subject from exchange e join body b on b.seq = e.seq "
        "where e.issuer is not null and e.subject is not null and b.raw <> 'off' "
        "and not exists (select 1 from erased x where x.seq = e.seq) and not exists (select 1 from identity i "
        "where i.issuer = e.issuer and i.subject = e.subject and i.email = coalesce(e.email, '')) "
        "group by issuer, subject limit ?",
        (_SHOWN,),
    ).fetchall()
    if unknown:
        names = ", ".join(f"{subject} of {issuer}" for issuer, subject in unknown)
        return f"An identity is missing of {names}. Stop Sekisho and run `sekisho db rebuild`."
    strays = connection.execute(
        "select scope, count(*) from chunk where scope <> 0 and scope not in (select id from person) "
        "group by scope limit ?",
        (_SHOWN,),
    ).fetchall()
    if strays:
        pieces = sum(count for _, count in strays)
        return f"{pieces} pieces of bodies belong to nobody who is known. Somebody altered the file: use a backup."
    return None


def _indexed(connection: sqlite3.Connection) -> str | None:
    missing = connection.execute(
        "select count(*) from said where seq not in (select id from search_docsize)"
    ).fetchone()[0]
    if missing:
        return f"{missing} exchanges are not in the index. Stop Sekisho and run `sekisho db rebuild`."
    return None


def _search(data_dir: Path) -> Finding:
    what = "search index"
    try:
        with in_place_of_the_recorder(data_dir):
            database = open_for_writing(audit_path(data_dir))
            try:
                database.conn.execute("insert into search (search, rank) values ('integrity-check', 0)")
            finally:
                database.close()
    except StoreProblem:
        return Finding(f"{what}: not looked at, since that takes the recorder's place and it runs")
    except sqlite3.DatabaseError as wrong:
        return Finding(what, f"It does not fit together: {wrong}. Stop Sekisho and run `sekisho db rebuild`.")
    return Finding(what)
