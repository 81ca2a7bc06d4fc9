"""A person's content taken out of audit.db, for good: bodies, their chunks, the search index, what links threads.

The exchange's row stays, with who, when, what was decided and how it ended, and so does its place in the chain: the
chain is over keyed digests of the bodies, and the key goes with them. Nobody can test a guess against what is left.

Everything is done in steps of a few milliseconds, each with its own commit, so that recording goes on meanwhile; and
each may be done again, for a command that was interrupted is begun anew.
"""

import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from storage.removal.erased_columns import erase_columns
from storage.removal.holds import Holds
from storage.removal.sweeping import CLOSED, Step
from storage.removal.tombstones import ERASE, ERASED, Order, Tombstones
from storage.sealing.content import of_exchange
from storage.sealing.vault import Locked, Vault
from storage.sqlite.bodies import BodyReader
from storage.sqlite.coverage import forget_unread
from storage.sqlite.search_index import SearchIndex
from storage.sqlite.thread_index import ThreadIndex
from storage.sqlite.transaction import transaction

BUDGET: Final = 0.010  # seconds in one transaction, its commit not counted
_CHUNKS: Final = 200  # looked at in one transaction
_PAGES: Final = 50  # of the index or the file, in one transaction
_ASKED: Final = 5  # of them between two steps
_LOOKED_FOR: Final = 200  # phrases with which it is tried whether anything is still found

type Pair = tuple[str, str]
"""(issuer, subject)."""


@dataclass(slots=True)
class Counts:
    """What an erasure took out."""

    exchanges: int = 0
    chunks: int = 0
    chunk_bytes: int = 0
    index_entries: int = 0
    held: int = 0  # exchanges that a hold keeps
    still_found: int = 0  # must be 0


@dataclass(slots=True)
class Erasure:
    """One erasure while it is carried out."""

    order: Order
    pairs: Sequence[Pair]
    counts: Counts = field(default_factory=Counts)
    samples: list[tuple[int, str]] = field(default_factory=list)


class Eraser:
    """Takes content out. Used by the recorder, the one writer.

    Args:
        forget: called when rows are gone that the writer may remember.
        vault: has the keys of what is sealed; a person's go with the content.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        index: SearchIndex,
        threads: ThreadIndex,
        forget: Callable[[], None],
        vault: Vault | None = None,
    ) -> None:
        self._connection = connection
        self._index = index
        self._threads = threads
        self._forget = forget
        self._vault = vault
        self._tombstones = Tombstones(connection)

    def erase(self, erasure: Erasure) -> Generator[Step]:
        """Carry it out; yields after each commit. What a hold on a thread keeps is counted and stays.

        Raises:
            sqlite3.Error: a step cannot be made; nothing of it was.
        """
        self._connection.execute("pragma secure_delete=on")
        try:
            number = self._begin(erasure)
            keys = {pair: self._vault.renew(*pair) for pair in erasure.pairs} if self._vault else {}
            yield "begin", 0, 0
            seqs = self._seqs(erasure)
            yield from self._old_index(erasure, seqs)
            yield from self._contents(erasure, seqs, number)
            yield from self._sums(erasure)
            yield from self._chunks(erasure)
            for pair in erasure.pairs:
                for gone in forget_unread(self._connection, person=pair):
                    yield "connections", gone, gone
            self._people(erasure.pairs)
            self._keys(erasure, keys)
            yield from self.settle()
            for at in range(0, len(erasure.samples), _ASKED):
                some = erasure.samples[at : at + _ASKED]
                erasure.counts.still_found += sum(self._index.is_found(seq, sample) for seq, sample in some)
                yield "searched for", at, len(erasure.samples)
            self._end(erasure, number)
            yield "done", len(seqs), len(seqs)
        finally:
            self._connection.execute("pragma secure_delete=fast")

    def settle(self) -> Generator[Step]:
        """Leave no page behind on which something stands that was taken out."""
        more = self._index.settle(_PAGES, begin=True)
        done = 0
        while more:
            done += _PAGES
            yield "search index", done, 0
            more = self._index.settle(_PAGES, begin=False)
        pages = free = self._free_pages()
        while free:
            self._connection.execute(f"pragma incremental_vacuum({_PAGES})").fetchall()
            left = self._free_pages()
            if left >= free:
                return  # a file without auto_vacuum: its free pages are zeros, since secure_delete was on
            free = left
            yield "free pages", pages - free, pages

    def _begin(self, erasure: Erasure) -> int:
        """The tombstone, what other stores must do, and the person's scope closed: whatever of theirs is recorded from
        now on shares no chunk with what goes."""
        order, execute = erasure.order, self._connection.execute
        with transaction(self._connection):
            if (number := self._tombstones.of(order, ERASE)) is None:
                identities = [{"issuer": issuer, "subject": subject} for issuer, subject in erasure.pairs]
                number = self._tombstones.add(ERASE, order, {"identities": identities, "before": order.asked_at})
                sent = {"command": order.uid, "identities": identities, "before": order.asked_at}
                self._tombstones.send(ERASE, {**sent, "reason": order.reason})
            for pair in erasure.pairs:
                execute(
                    "update person set issuer = id || ? || issuer where issuer = ? and subject = ?", (CLOSED, *pair)
                )
        self._forget()
        return number

    def _seqs(self, erasure: Erasure) -> list[int]:
        """What is to be erased, oldest first."""
        holds = Holds(self._connection)
        found: list[int] = []
        for pair in erasure.pairs:
            for seq, thread_id in self._connection.execute(_HELD_CONTENT, pair):
                if holds.on(*pair, thread_id) is not None:
                    erasure.counts.held += 1
                else:
                    found.append(seq)
        return sorted(found)

    def _old_index(self, erasure: Erasure, seqs: Sequence[int]) -> Iterator[Step]:
        """Entries of an earlier version, whose texts were not kept."""
        if old := self._index.without_texts(seqs):
            with transaction(self._connection):
                self._index.remove_by_vocabulary(old)
            erasure.counts.index_entries += len(old)
            yield "old index entries", len(old), len(old)

    def _contents(self, erasure: Erasure, seqs: Sequence[int], number: int) -> Iterator[Step]:
        done = 0
        while done < len(seqs):
            until = time.monotonic() + BUDGET
            with transaction(self._connection):
                while done < len(seqs):
                    self._one(erasure, seqs[done], number)
                    done += 1
                    if time.monotonic() >= until:
                        break
            yield "exchanges", done, len(seqs)

    def _sums(self, erasure: Erasure) -> Iterator[Step]:
        """What had no content to take out, since its rule keeps none, is nobody's in sums either."""
        holds, seqs = Holds(self._connection), []
        for pair in erasure.pairs:
            rows = self._connection.execute(_NAMED, pair)
            seqs += [seq for seq, thread_id in rows if holds.on(*pair, thread_id) is None]
        done = 0
        while done < len(seqs):
            until = time.monotonic() + BUDGET
            with transaction(self._connection):
                while done < len(seqs):
                    self._connection.execute("update exchange set unnamed = 1 where seq = ?", (seqs[done],))
                    done += 1
                    if time.monotonic() >= until:
                        break
            yield "names in sums", done, len(seqs)

    def _one(self, erasure: Erasure, seq: int, number: int) -> None:
        execute = self._connection.execute
        samples = self._index.remove(seq)
        erasure.counts.index_entries += bool(samples)
        if len(erasure.samples) < _LOOKED_FOR:
            erasure.samples += [(seq, sample) for sample in samples]
        execute("update body set request=null, request_json=null, response=null, raw='expired' where seq = ?", (seq,))
        execute("delete from raw_reply where seq = ?", (seq,))
        erase_columns(self._connection, seq)
        execute("update exchange set salt = null, unnamed = 1 where seq = ?", (seq,))
        execute("insert into erased values (?, ?)", (seq, number))
        self._threads.forget([seq])
        erasure.counts.exchanges += 1

    def _chunks(self, erasure: Erasure) -> Iterator[Step]:
        """The chunks of the closed scopes, but for what held exchanges still need."""
        execute = self._connection.execute
        for issuer, subject in erasure.pairs:
            scopes = "select id from person where subject = ? and issuer = id || ? || ?"
            closed = [row[0] for row in execute(scopes, (subject, CLOSED, issuer))]
            needed = self._needed(issuer, subject) if closed else set()
            for scope in closed:
                rows = [row[0] for row in execute("select id from chunk where scope = ?", (scope,))]
                rows = [row for row in rows if row not in needed]
                for at in range(0, len(rows), _CHUNKS):
                    self._drop(erasure, rows[at : at + _CHUNKS])
                    yield "pieces of bodies", at, len(rows)
                with transaction(self._connection):
                    unused = "delete from person where id = ? and not exists (select 1 from chunk where scope = id)"
                    execute(unused, (scope,))
        self._forget()

    def _drop(self, erasure: Erasure, rows: Sequence[int]) -> None:
        with transaction(self._connection):
            for row in rows:
                size = self._connection.execute("select length(content) from chunk where id = ?", (row,)).fetchone()
                self._connection.execute("delete from chunk where id = ?", (row,))
                erasure.counts.chunks += 1
                erasure.counts.chunk_bytes += size[0]

    def _needed(self, issuer: str, subject: str) -> set[int]:
        """Chunks of this person's exchanges that are still here."""
        reader = BodyReader(self._connection, self._vault.reading if self._vault else Locked())
        needed: set[int] = set()
        for id_, *manifests in self._connection.execute(_MANIFESTS, (issuer, subject)).fetchall():
            for column, manifest in zip(_PLACES, manifests, strict=True):
                reader.add_chunks(manifest, needed, of_exchange(id_, column))
        return needed

    def _people(self, pairs: Iterable[Pair]) -> None:
        """Under which addresses they were known, unless something of theirs is still here."""
        with transaction(self._connection):
            for pair in pairs:
                if self._connection.execute(f"{_HELD_CONTENT} limit 1", pair).fetchone() is None:
                    self._connection.execute("delete from identity where issuer = ? and subject = ?", pair)
        self._forget()

    def _keys(self, erasure: Erasure, keys: Mapping[Pair, int]) -> None:
        """What the person's keys sealed is gone with them, from copies of audit.db too. Where a hold keeps something,
        they are kept as well."""
        if self._vault is not None and not erasure.counts.held:
            for pair, last in keys.items():
                self._vault.destroy(*pair, last)

    def _end(self, erasure: Erasure, number: int) -> None:
        counts = erasure.counts
        if self._tombstones.of(erasure.order, ERASED) is not None:
            return
        with transaction(self._connection):
            all_of_it = self._connection.execute(
                "select count(*) from erased where tombstone = ?", (number,)
            ).fetchone()
            detail = {"of": number, "exchanges": all_of_it[0], "chunks": counts.chunks, "held": counts.held}
            self._tombstones.add(ERASED, erasure.order, {**detail, "still_found": counts.still_found})

    def _free_pages(self) -> int:
        return int(self._connection.execute("pragma freelist_count").fetchone()[0])


_HELD_CONTENT: Final = """
    select e.seq, e.thread_id from exchange e join body b on b.seq = e.seq
    where e.issuer = ? and e.subject = ? and b.raw <> 'off' and not exists (select 1 from erased x where x.seq = e.seq)
"""
_NAMED: Final = """
    select e.seq, e.thread_id from exchange e join body b on b.seq = e.seq
    where e.issuer = ? and e.subject = ? and b.raw = 'off' and e.unnamed = 0 order by e.seq
"""
_PLACES: Final = ("request", "request_json", "response", "content", "said")
_MANIFESTS: Final = """
    select e.id, b.request, b.request_json, b.response, r.content, s.content
    from exchange e join body b on b.seq = e.seq
    left join raw_reply r on r.seq = e.seq left join said s on s.seq = e.seq where e.issuer = ? and e.subject = ?
"""
