"""What leads to exchanges in audit.db beside their words: keys of threads, tools that were called, who a person is."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final

from sqlite_utils import Database

from exchange.principal import Principal


def m002_threads(db: Database) -> None:
    """A step of the schema (storage.sqlite.migrations); what was shipped is never edited."""
    db.execute(
        """
        create table thread_key ( -- what a later exchange may refer to: a history, a reply's id, a conversation's
            key blob primary key,  -- hash over the person and the thing itself
            seq integer not null references exchange (seq) -- the latest exchange with it; its thread is the thread
        ) strict, without rowid
        """
    )
    db.execute("create index thread_key_seq on thread_key (seq)")
    db.execute(
        """
        create table tool_use ( -- tools that the model called in this exchange, or whose result came with it
            name text not null collate nocase, seq integer not null references exchange (seq),
            primary key (name, seq)
        ) strict, without rowid
        """
    )
    db.execute("create index tool_use_seq on tool_use (seq)")
    db.execute(
        """
        create table identity ( -- under which addresses a person was seen; few rows, so that no exchange needs an index
            issuer text not null, subject text not null, email text not null, -- '': without
            primary key (issuer, subject, email)
        ) strict, without rowid
        """
    )
    db.execute("create index exchange_denied on exchange (outcome, seq) where outcome <> 'allow'")
    db.execute("create index exchange_unwell on exchange (end_state, seq) where end_state <> 'complete'")


_PUT_KEY: Final = "insert into thread_key values (?, ?) on conflict (key) do update set seq = excluded.seq"


class ThreadIndex:
    """Written by the recorder, inside its transactions; read by it to link what comes next."""

    def __init__(self, connection: sqlite3.Connection, masked: Callable[[bytes], bytes] | None = None) -> None:
        self._connection = connection
        self._masked = masked  # keys as they are kept where content is sealed
        self._people: set[Principal] = set()

    def thread_of(self, key: bytes) -> str | None:
        """The thread of the latest exchange that left this key."""
        for kept in (
            (key,) if self._masked is None else (self._masked(key), key)
        ):  # the latter from before it was sealed
            found = self._connection.execute(
                "select e.thread_id from thread_key k join exchange e on e.seq = k.seq where k.key = ?", (kept,)
            ).fetchone()
            if found:
                return str(found[0])
        return None

    def put(self, seq: int, keys: Iterable[bytes], tools: Iterable[str], who: Principal | None) -> None:
        """What this exchange leaves behind."""
        execute = self._connection.execute
        if self._masked is not None:
            keys = [self._masked(key) for key in keys]
        for key in keys:
            execute(_PUT_KEY, (key, seq))
        for tool in tools:
            execute("insert or ignore into tool_use values (?, ?)", (tool, seq))
        if who is not None and who not in self._people:
            execute("insert or ignore into identity values (?, ?, ?)", (who.issuer, who.subject, who.email or ""))
            self._people.add(who)

    def undo(self) -> None:
        """After a transaction that was rolled back: people who were thought of as written are not there."""
        self._people.clear()

    def forget(self, seqs: Iterable[int]) -> None:
        """Remove what these exchanges left: a hash of what was said can be guessed at."""
        for seq in seqs:
            self._connection.execute("delete from thread_key where seq = ?", (seq,))
            self._connection.execute("delete from tool_use where seq = ?", (seq,))
