"""Pieces of bodies that no exchange needs any more, removed: one person at a time, in short steps."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Final

from storage.sealing.content import of_exchange
from storage.sealing.vault import Locked, Vault
from storage.sqlite.bodies import BodyReader
from storage.sqlite.transaction import transaction

_AT_ONCE: Final = 100  # chunks in one transaction
_WALKED: Final = 200  # exchanges gone through between two steps

CLOSED: Final = "\x1f"
"""No issuer's name has it: `id`, this, `issuer` is the name of a scope that was closed by an erasure."""

type Step = tuple[str, int, int]
"""What is being done, how much of it is, and of how much."""


class Sweeper:
    """Used by the recorder. What is stored between two steps may need a chunk that was thought of as left over: so the
    exchanges that came meanwhile are gone through last, in the transaction that removes.

    Args:
        forget: called when rows are gone that the writer may remember.
        vault: has the keys of what is sealed; of whom nothing is left, they are destroyed.
    """

    def __init__(self, connection: sqlite3.Connection, forget: Callable[[], None], vault: Vault | None = None) -> None:
        self._connection = connection
        self._vault = vault
        self._reader = BodyReader(connection, vault.reading if vault else Locked())
        self._forget = forget

    def sweep(self) -> Iterator[Step]:
        """All people of whom something was let go."""
        scopes = [row[0] for row in self._connection.execute("select scope from unswept order by scope")]
        for number, scope in enumerate(scopes):
            for _ in self._one(scope):
                yield "pieces of bodies", number, len(scopes)

    def _one(self, scope: int) -> Iterator[None]:
        who = self._who(scope)
        needed: set[int] = set()
        upto = 0
        while (last := self._walk(who, upto, needed)) is not None:
            upto = last
            yield
        left = [row[0] for row in self._connection.execute("select id from chunk where scope = ?", (scope,))]
        left = [row for row in left if row not in needed]
        for at in range(0, len(left), _AT_ONCE):
            with transaction(self._connection):
                while (last := self._walk(who, upto, needed)) is not None:
                    upto = last
                for row in left[at : at + _AT_ONCE]:
                    if row not in needed:
                        # Of this scope: the number of a row that is gone may be another's by now.
                        self._connection.execute("delete from chunk where id = ? and scope = ?", (row, scope))
            self._forget()
            yield
        with transaction(self._connection):
            self._connection.execute("delete from unswept where scope = ?", (scope,))
            gone = who is not None and self._person(scope, who)
        self._forget()
        if gone and who is not None and self._vault is not None:
            self._vault.destroy(*who, self._vault.renew(*who))

    def _who(self, scope: int) -> tuple[str, str] | None:
        """Whose scope this is, closed ones included; None: everybody of whom nothing is known."""
        row = self._connection.execute("select issuer, subject from person where id = ?", (scope,)).fetchone()
        return (row[0].rpartition(CLOSED)[2], row[1]) if row is not None else None

    def _walk(self, who: tuple[str, str] | None, after: int, needed: set[int]) -> int | None:
        """Add what the next exchanges need. Returns the seq of the last; None when there are no more."""
        which = "e.issuer is null" if who is None else "e.issuer = ? and e.subject = ?"
        rows = self._connection.execute(f"{_MANIFESTS} where {which} {_NEXT}", (*(who or ()), after)).fetchall()
        for _, id_, *manifests in rows:
            for column, manifest in zip(_PLACES, manifests, strict=True):
                self._reader.add_chunks(manifest, needed, of_exchange(id_, column))
        return rows[-1][0] if rows else None

    def _person(self, scope: int, who: tuple[str, str]) -> bool:
        """Of whom nothing is on record any more, nothing is known any more. Says whether this is so."""
        execute = self._connection.execute
        execute("delete from person where id = ? and not exists (select 1 from chunk where scope = ?)", (scope, scope))
        if execute("select 1 from exchange where issuer = ? and subject = ? limit 1", who).fetchone() is not None:
            return False
        execute("delete from identity where issuer = ? and subject = ?", who)
        return True


_PLACES: Final = ("request", "request_json", "response", "content", "said")
_MANIFESTS: Final = """
    select e.seq, e.id, b.request, b.request_json, b.response, r.content, s.content from exchange e
    join body b on b.seq = e.seq left join raw_reply r on r.seq = e.seq left join said s on s.seq = e.seq
"""
_NEXT: Final = f"and e.seq > ? order by e.seq limit {_WALKED}"
