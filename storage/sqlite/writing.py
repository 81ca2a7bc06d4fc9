"""The recorder's end of audit.db: records in, linked and indexed, in one transaction with the journal's cursor."""

import os
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from exchange.principal import Principal
from exchange.record import Derived, Record
from storage.chain import GENESIS, NOT_KEPT, digest, in_digests, link
from storage.journal.rows import Unread
from storage.packing import Packer
from storage.removal.erased_columns import erased_columns, gone_columns
from storage.removal.erasing import Eraser
from storage.removal.pruning import last_pruned
from storage.removal.retention import Retention
from storage.removal.tombstones import ERASE, Tombstones
from storage.sealing.columns import seal_columns
from storage.sealing.content import Opener, of_exchange
from storage.sealing.vault import Locked, PersonSeal, Vault
from storage.sqlite.bodies import BodyWriter
from storage.sqlite.breaks import ChainBreak, last_break, write_break
from storage.sqlite.coverage import write_unread
from storage.sqlite.driver import StoreProblem, open_for_writing
from storage.sqlite.search_index import SearchIndex
from storage.sqlite.tally import tally_anew, tally_zone, zone_here
from storage.sqlite.thread_index import ThreadIndex
from storage.sqlite.transaction import transaction
from storage.upkeep.upgrade import bring_up_to_date, unusable

_json = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Cursor:
    """Every row of this journal file up to `low_water` belongs to an exchange that is stored."""

    boot: str
    file: str
    low_water: int


class AuditWriter:
    """The one writer of audit.db. Not thread-safe; whoever opens it holds the recorder's lock."""

    def __init__(self, path: Path, *, reader_version: int, vault: Vault | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        self._path = path
        try:
            self._db = open_for_writing(path)
        except sqlite3.DatabaseError as broken:
            raise unusable(path, broken) from broken
        try:
            bring_up_to_date(path, self._db)
        except StoreProblem:
            self._db.close()
            raise
        self._connection = self._db.conn
        self._reader = reader_version
        self._packer = Packer()
        self._bodies = BodyWriter(self._connection)
        self._vault = vault
        self._threads = ThreadIndex(self._connection, vault.keyed.thread_key if vault else None)
        self._index = SearchIndex(self._connection, self._bodies, vault)
        self._erased: dict[tuple[str, str], int] | None = None
        self._people: dict[tuple[str, str], int] = {}
        self._heads: dict[str, str] = {}
        self._tips: dict[str, tuple[int, str]] = {}

    def close(self) -> None:
        self._db.close()
        if self._vault is not None:
            self._vault.close()

    def cursors(self) -> dict[tuple[str, str], int]:
        """(boot, file) → low-water mark."""
        return {(boot, file): mark for boot, file, mark in self._connection.execute("select * from journal_cursor")}

    def has(self, ids: Iterable[str]) -> set[str]:
        """Which of these exchanges are stored already."""
        known = "select 1 from exchange where id = ?"
        return {id_ for id_ in ids if self._connection.execute(known, (id_,)).fetchone()}

    def thread_of(self, key: bytes) -> str | None:
        """The thread of the latest stored exchange that left this key."""
        return self._threads.thread_of(key)

    def store(
        self,
        records: Sequence[Record],
        cursors: Sequence[Cursor],
        gone: Sequence[tuple[str, str]] = (),
        unread: Sequence[tuple[str, Unread]] = (),
    ) -> None:
        """Keep these records and the cursors that go with them, all or nothing; `unread` are connections, (id, row).

        `gone` are journal files that were removed: their cursors are not needed any more.

        Raises:
            sqlite3.Error: nothing of this was kept.
        """
        heads = dict(self._heads)
        tips: dict[str, tuple[int, str]] = {}
        execute = self._connection.execute
        execute("begin immediate")
        try:
            for record in records:
                seq = self._insert(record)
                tips[record.seen.node] = (seq, self._heads[record.seen.node])
            still = [(id_, row) for id_, row in unread if not self._is_erased(row.principal, row.started_at)]
            write_unread(self._connection, still)
            self._connection.executemany(
                "insert into journal_cursor values (?, ?, ?) "
                "on conflict (boot, file) do update set low_water = excluded.low_water",
                [(c.boot, c.file, c.low_water) for c in cursors],
            )
            self._connection.executemany("delete from journal_cursor where boot = ? and file = ?", gone)
            if self._vault is not None:
                self._vault.persist()  # the keys first: a record without them would be lost
            execute("commit")
            self._tips.update(tips)
        except BaseException:
            self._heads = heads
            self._forget()
            if self._connection.in_transaction:
                execute("rollback")
            raise

    def go_on_after(self, broken: ChainBreak) -> None:
        """Put down that the file was damaged; every node's next record commits to it.

        Raises:
            sqlite3.Error: it was not put down.
        """
        with transaction(self._connection):
            write_break(self._connection, broken)
        self._heads.clear()

    @property
    def opener(self) -> Opener:
        """Opens what is sealed here."""
        return self._vault.reading if self._vault else Locked()

    @property
    def connection(self) -> sqlite3.Connection:
        """For what changes the record by hand, in transactions of its own (storage.sqlite.transaction)."""
        return self._connection

    def empty_log(self) -> bool:
        """Fold the write-ahead log into the file and cut it to nothing. False when a reader is in the way."""
        self._connection.execute("pragma busy_timeout=200")
        try:
            busy, _, _ = self._connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        finally:
            self._connection.execute("pragma busy_timeout=10000")
        return not busy

    def tally_here(self) -> None:
        """Have the tally's days be those of this machine's zone, if it was moved, or its clock went over to summer."""
        zone = zone_here()
        if tally_zone(self._connection) != zone:
            with transaction(self._connection):
                tally_anew(self._connection, zone)

    def tombstone_head(self) -> tuple[int, str] | None:
        """(id, hash) of the last tombstone."""
        return Tombstones(self._connection).head()

    def eraser(self) -> Eraser:
        """Takes content out again."""
        return Eraser(self._connection, self._index, self._threads, self._forget, self._vault)

    def retention(self) -> Retention:
        """Lets go of what is due."""
        return Retention(self._connection, self._index, self._threads, self._forget, self._vault)

    def heads(self) -> dict[str, tuple[int, str]]:
        """The last record of each node that was stored since the start: (seq, hash)."""
        return dict(self._tips)

    def persist(self) -> None:
        """Wait until the disk has all that was stored. Only then may the journal let go of it."""
        # SQLite takes its locks on the database and on -shm, so that opening -wal once more disturbs none of them.
        try:
            descriptor = os.open(f"{self._path}-wal", os.O_RDONLY)
        except FileNotFoundError:
            return  # all of it was folded into the database, which waits for the disk
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _forget(self) -> None:
        """Rows that were thought of as written are perhaps not there, or not any more."""
        self._people.clear()
        self._bodies.forget()
        self._threads.undo()
        self._erased = None

    def keeps(self, record: Record) -> bool:
        """Is what was said in this exchange kept? Not where its rule says so, nor of whom is erased while it ran."""
        return record.content and not self._is_erased(record.seen.principal, record.seen.started_at)

    def _is_erased(self, who: Principal | None, started_at: int) -> bool:
        """Was this person's erasure asked for while the exchange ran? Then it has no content any more."""
        if self._erased is None:
            details = self._connection.execute("select detail from tombstone where kind = ?", (ERASE,)).fetchall()
            self._erased = {
                (one["issuer"], one["subject"]): erased["before"]
                for erased in (msgspec.json.decode(detail) for (detail,) in details)
                for one in erased["identities"]
            }
        return who is not None and started_at <= self._erased.get((who.issuer, who.subject), 0)

    def _head(self, node: str) -> str:
        if (known := self._heads.get(node)) is None:
            last = self._connection.execute(
                "select seq, hash from exchange where node = ? order by seq desc limit 1", (node,)
            ).fetchone()
            gone = last_pruned(self._connection, node)
            if gone is not None and (last is None or last[0] < gone[0]):
                last = gone
            broken = last_break(self._connection)
            if broken is not None and (last is None or last[0] <= broken[0]):
                last = broken
            known = self._heads[node] = last[1] if last else GENESIS
        return known

    def _insert(self, record: Record) -> int:
        seen, derived, raw = record.seen, record.derived, record.raw
        seal = self._vault.of(seen.principal, seen.started_at) if self._vault else None
        if seal is not None:
            seen = seal_columns(seen, seal)
        erased = self._is_erased(seen.principal, seen.started_at)
        keeps = record.content and not erased
        salt = secrets.token_bytes(16) if keeps else None
        if erased and seal is None:
            seen = gone_columns(seen)
        request_digest = digest(salt, raw.request) if salt else NOT_KEPT
        response_digest = digest(salt, raw.response) if salt else NOT_KEPT
        previous = self._head(seen.node)
        if salt and seal is None:
            this = link(previous, in_digests(seen, salt), request_digest, response_digest, "s2")
        elif erased and seal is None:
            this = link(previous, erased_columns(seen), request_digest, response_digest, "s2")
        else:
            this = link(previous, seen, request_digest, response_digest)
        self._heads[seen.node] = this
        who = seen.principal
        values = (
            seen.id, seen.started_at, seen.node,
            who and who.issuer, who and who.subject, who and who.email, who and who.domain,
            _json(who.groups).decode() if who else None,
            seen.credential, seen.address, seen.user_agent, seen.mode,
            seen.outcome, seen.code, seen.rule, seen.reason, seen.policy,
            seen.provider, seen.method, seen.host, seen.path, seen.query,
            seen.observed, seen.status, seen.request_bytes, seen.response_bytes, int(seen.capture_truncated),
            seen.upstream_request_id, seen.overhead, seen.ttft, seen.duration, _json(seen.changed).decode(),
            seen.boot, seen.number,
            self._reader, *derived_values(derived),
            seal.seal(salt, of_exchange(seen.id, "salt")) if seal and salt else salt, request_digest, response_digest,
            previous, this, int(erased),
        )  # fmt: skip
        seq = self._connection.execute(_INSERT, values).lastrowid
        assert seq is not None
        if self._vault is not None:
            self._connection.execute("insert into sealed values (?, ?)", (seq, self._vault.index))
        if keeps:
            scope = self._scope(record)
            self._insert_body(seq, scope, record, seal)
            self._lead_to(seq, scope, record, seal)
        else:
            self._insert_no_body(seq, record)
            self._threads.put(seq, (), (), None if erased else seen.principal)
        return seq

    def _lead_to(self, seq: int, scope: int, record: Record, seal: PersonSeal | None) -> None:
        """What leads to the exchange: its thread, its tools, its words."""
        tools = self._index.tools(record.derived.tools, seal)
        self._threads.put(seq, record.derived.thread_keys, tools, record.seen.principal)
        self._index.put(seq, scope, record.derived.texts, record.seen.id, seal)

    def _insert_no_body(self, seq: int, record: Record) -> None:
        raw = record.raw
        types = (raw.request_type, raw.request_coding, raw.response_type, raw.response_coding)
        insert = "insert into body values (?, null, null, null, ?, ?, ?, ?, 'off', ?)"
        self._connection.execute(insert, (seq, *types, raw.grpc_status))

    def _insert_body(self, seq: int, scope: int, record: Record, seal: PersonSeal | None) -> None:
        raw, derived = record.raw, record.derived
        answer = derived.response if derived.response is not None else b"null" if raw.response else None
        same = derived.request == raw.request
        id_ = record.seen.id

        def put(column: str, body: bytes) -> bytes:
            return self._bodies.put(scope, body, seal, of_exchange(id_, column) if seal else b"")

        self._connection.execute(
            "insert into body values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                seq,
                put("request", raw.request) if raw.request else None,
                None if same or not raw.request else put("request_json", derived.request or b"null"),
                None if answer is None else put("response", answer),
                raw.request_type, raw.request_coding, raw.response_type, raw.response_coding,
                "kept",
                raw.grpc_status,
            ),
        )  # fmt: skip
        if raw.response:
            content = None if raw.response == derived.response else put("content", raw.response)
            arrivals = self._packer.pack(_pack(raw.arrivals)) if raw.arrivals else None
            if arrivals is not None and seal is not None:
                arrivals = seal.seal(arrivals, of_exchange(id_, "arrivals"))
            self._connection.execute("insert into raw_reply values (?, ?, ?)", (seq, content, arrivals))

    def _scope(self, record: Record) -> int:
        who = record.seen.principal
        if who is None:
            return 0
        key = (who.issuer, who.subject)
        if (known := self._people.get(key)) is None:
            self._connection.execute("insert or ignore into person (issuer, subject) values (?, ?)", key)
            found = self._connection.execute("select id from person where issuer = ? and subject = ?", key).fetchone()
            known = self._people[key] = int(found[0])
        return known


DERIVED = """
    operation request_model response_model stream end_state
    input_tokens output_tokens cached_input_tokens reasoning_tokens usage_source cost_usd thread_id
""".split()  # noqa: SIM905 - words read better than strings


def derived_values(derived: Derived) -> tuple[object, ...]:
    """The values of these columns."""
    usage = derived.usage
    return (
        derived.operation, derived.request_model, derived.response_model, int(derived.stream), derived.end_state,
        usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens,
        derived.usage_source, derived.cost_usd, derived.thread_id,
    )  # fmt: skip


_COLUMNS = """
    id started_at node issuer subject email domain groups credential address user_agent mode outcome code rule
    reason policy provider method host path query observed status request_bytes response_bytes capture_truncated
    upstream_request_id overhead ttft duration changed boot number
    reader
""".split()  # noqa: SIM905 - fifty words read better than fifty strings
_COLUMNS += [*DERIVED, "salt", "request_digest", "response_digest", "prev_hash", "hash", "unnamed"]
_INSERT = f"insert into exchange ({', '.join(_COLUMNS)}) values ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - names of our own
