"""One person's own record: a connection that sees nothing of anybody else, whatever is asked through it.

A view of this connection alone stands before the table of exchanges, so that every question, also one that is written
next year, is about this person. SQLite's authorizer holds it shut from the other side: the table itself is read by the
view alone, and tables that sum up everybody's exchanges not at all.
"""

import sqlite3
from typing import Final

_OPEN: Final = frozenset(
    {"body", "chunk", "raw_reply", "sealed", "erased", "tombstone", "tool_use", "chain_break", "meta", "identity"}
)
"""Read beside the exchange they belong to, by its seq; or of nobody."""

_HARMLESS: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})


def narrow(connection: sqlite3.Connection, email: str) -> None:
    """From now on this read-only connection shows the exchanges of this address and no others. Lower case, as it is
    kept; exactly this one."""
    mine = connection.execute("select quote(?)", (email,)).fetchone()[0]  # a view takes no parameters
    connection.execute("pragma query_only=off")  # the file itself was opened read-only
    connection.execute(
        "create temp view exchange as select * from main.exchange where email = "  # noqa: S608 - quoted by SQLite
        f"{mine} and (issuer, subject) in (select issuer, subject from main.identity where email = {mine})"
    )
    connection.execute("pragma query_only=on")
    connection.execute("select rowid from search limit 0")  # full-text search sets itself up by what is denied below
    connection.set_authorizer(_allowed)


def _allowed(action: int, table: str | None, _: str | None, database: str | None, view: str | None) -> int:
    if action in _HARMLESS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_OK if table == "data_version" else sqlite3.SQLITE_DENY  # full-text search asks for it
    if action != sqlite3.SQLITE_READ or table is None:
        return sqlite3.SQLITE_DENY
    if table == "exchange":
        mine = database == "temp" or view == "exchange"
        return sqlite3.SQLITE_OK if mine else sqlite3.SQLITE_DENY
    known = table in _OPEN or table == "search" or table.startswith("search_")
    return sqlite3.SQLITE_OK if known else sqlite3.SQLITE_DENY
