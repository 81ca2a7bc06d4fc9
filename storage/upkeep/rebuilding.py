"""The derived half of audit.db put in again: columns, JSON of bodies, search, what links threads."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from exchange.record import Record
from storage.sealing.vault import PersonSeal
from storage.sqlite.tally import tally_anew, tally_zone
from storage.sqlite.transaction import transaction
from storage.sqlite.writing import DERIVED, AuditWriter, derived_values

_json = msgspec.json.Encoder().encode

_UPDATE = f"update exchange set reader = ?, {', '.join(f'{name} = ?' for name in DERIVED)} where seq = ?"  # noqa: S608 - names of our own

_IDENTITIES = """
    insert or ignore into identity
    select distinct e.issuer, e.subject, coalesce(e.email, '') from exchange e join body b on b.seq = e.seq
    where e.issuer is not null and e.subject is not null and b.raw <> 'off'
    and not exists (select 1 from erased x where x.seq = e.seq)
"""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """How far a rebuild is: of the exchanges up to `upto`, those up to `done`."""

    done: int
    upto: int


@dataclass(frozen=True, slots=True)
class DerivedAgain:
    """An exchange whose derived half was made anew. Without `whole` only what leads to it is put in again: its exact
    bytes are not kept any more."""

    seq: int
    record: Record
    whole: bool
    sealed: bool = False


class Rebuilding(AuditWriter):
    """The one writer, while it derives again. Goes on where an interrupted one stopped."""

    def begin_rebuild(self) -> Rebuild:
        """Take out what leads to exchanges, so that it can be put in again; or go on where that was interrupted."""
        found = self._connection.execute("select value from meta where name = 'rebuild'").fetchone()
        if found is not None:
            return msgspec.json.decode(found[0], type=Rebuild)
        (last,) = self._connection.execute("select max(seq) from exchange").fetchone()
        begun = Rebuild(0, last or 0)
        with self._whole():
            self._connection.execute("insert into search (search) values ('delete-all')")
            self._connection.execute("delete from said")
            self._connection.execute("delete from thread_key")
            self._connection.execute("delete from tool_use")
            self._connection.execute(_IDENTITIES)
            self._note(begun)
        return begun

    def derive_again(self, again: Sequence[DerivedAgain], so_far: Rebuild) -> None:
        """Put what was derived anew in place of the old, and what leads to these exchanges in again, all or nothing.
        What was observed, the exact bytes and the chain stay as they are.

        Raises:
            sqlite3.Error: nothing of this was kept.
        """
        with self._whole():
            for each in again:
                seen = each.record.seen
                scope = self._scope(each.record)
                seal = self._vault.of(seen.principal, seen.started_at) if self._vault and each.sealed else None
                if each.whole:
                    self._replace(each.seq, scope, each.record, seal)
                self._lead_to(each.seq, scope, each.record, seal)
                if seal is not None and self._vault is not None:
                    put = "update sealed set search = ? where seq = ?"
                    self._connection.execute(put, (self._vault.index, each.seq))
            self._note(so_far)
            if self._vault is not None:
                self._vault.persist()  # the keys first, as always

    def end_rebuild(self) -> None:
        """All is in again."""
        with self._whole():
            tally_anew(self._connection, tally_zone(self._connection))
            self._connection.execute("delete from meta where name = 'rebuild'")

    def _note(self, so_far: Rebuild) -> None:
        self._connection.execute("insert or replace into meta values ('rebuild', ?)", (_json(so_far).decode(),))

    def _replace(self, seq: int, scope: int, record: Record, seal: PersonSeal | None) -> None:
        derived = record.derived
        values = (self._reader, *derived_values(derived), seq)
        self._connection.execute(_UPDATE, values)
        self._connection.execute("delete from raw_reply where seq = ?", (seq,))
        self._connection.execute("delete from body where seq = ?", (seq,))
        self._insert_body(seq, scope, record, seal)

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """One transaction; what is remembered of it is forgotten when it fails."""
        try:
            with transaction(self._connection):
                yield
        except BaseException:
            self._forget()
            raise
