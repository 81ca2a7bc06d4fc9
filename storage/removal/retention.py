"""What is let go by itself: exchanges for their age or the room they take, and raw replies before them.

A run is made of steps of a few milliseconds, each with its own commit. What a hold keeps stays. What goes is named: by
the ranges it leaves (storage.removal.pruning), and by a tombstone at the run's beginning and end.
"""

import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from settings.schema import Rule
from settings.storage import Keep
from storage.removal.due import PAGE, Keeping, Limit, due_by_age, due_by_size
from storage.removal.holds import Holds
from storage.removal.pruning import EXPIRE, EXPIRED, PRUNE, PRUNED, Gone, Ranges, digest_of
from storage.removal.sweeping import CLOSED, Step, Sweeper
from storage.removal.tombstones import Order, Tombstones
from storage.sealing.content import of_exchange
from storage.sealing.vault import Locked, Vault
from storage.sqlite.bodies import BodyReader
from storage.sqlite.coverage import forget_unread
from storage.sqlite.search_index import SearchIndex
from storage.sqlite.thread_index import ThreadIndex
from storage.sqlite.transaction import transaction

_BUDGET: Final = 0.010  # seconds in one transaction, its commit not counted
_PAGES: Final = 50  # of the file, given back in one transaction
_ROOM: Final = 0.95  # of storage.keep.bytes, down to which is made room
_ROUNDS: Final = 5  # of making room: what an exchange takes is an estimate


def keeping_from(keep: Keep, rules: Iterable[Rule]) -> Keeping:
    """What the settings say."""
    return Keeping(
        Limit(_days(keep.days), keep.bytes),
        None if keep.raw is None else int(keep.raw * 1e6),
        {rule.name: Limit(_days(rule.keep.days), rule.keep.bytes) for rule in rules if rule.keep is not None},
    )


def _days(given: float | None) -> int | None:
    return None if given is None else int(given * 86_400_000_000)


@dataclass(slots=True)
class Let:
    """What a run let go."""

    exchanges: int = 0
    raw: int = 0
    held: int = 0


class Retention:
    """Lets go of what is due. Used by the recorder, the one writer.

    Args:
        forget: called when rows are gone that the writer may remember.
        vault: has the keys of what is sealed.
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
        self._bodies = BodyReader(connection, vault.reading if vault else Locked())
        self._tombstones = Tombstones(connection)
        self._sweeper = Sweeper(connection, forget, vault)
        self._forget = forget

    def run(self, keeping: Keeping, order: Order, now: int, let: Let) -> Generator[Step]:
        """One run; yields after each commit. `now` in microseconds since 1970.

        Raises:
            sqlite3.Error: a step cannot be made; nothing of it was.
            StoreProblem: something sealed cannot be opened; the same.
        """
        self._end_earlier(order)
        holds = Holds(self._connection)
        run = _Run(order, holds, let)
        for why, due in due_by_age(self._connection, keeping, now):
            yield from self._prune(due, why, run)
        for rule, limit in keeping.rules.items():
            if limit.bytes is not None:
                due = yield from due_by_size(self._connection, rule, limit.bytes)
                yield from self._prune(due, f"rules.{rule}.keep.bytes", run)
        if keeping.general.bytes is not None:
            yield from self._make_room(keeping.general.bytes, run)
        if keeping.general.age is not None:
            for gone in forget_unread(self._connection, before=now - keeping.general.age):
                yield "connections", gone, gone
        if keeping.raw is not None:
            yield from self._expire(now - keeping.raw, run)
        yield from self._sweeper.sweep()
        self._end(run)
        yield from self._give_back()

    def _make_room(self, limit: int, run: "_Run") -> Iterator[Step]:
        for _ in range(_ROUNDS):
            used = self._used()
            if used <= limit:
                return
            count = self._connection.execute("select count(*) from exchange").fetchone()[0]
            wanted = max(1, int(count * (1 - limit * _ROOM / used)))
            asked = "select seq from exchange order by seq limit ?"
            due = [row[0] for row in self._connection.execute(asked, (wanted + run.let.held,))]
            before = run.let.exchanges
            yield from self._prune(iter(due), "storage.keep.bytes", run)
            yield from self._sweeper.sweep()
            if self._used() > limit:  # the index keeps what goes until its pages are written anew
                more = self._index.settle(_PAGES, begin=True)
                while more:
                    yield "search index", 0, 0
                    more = self._index.settle(_PAGES, begin=False)
            if run.let.exchanges == before:
                return  # all that is left is held

    def _used(self) -> int:
        pages, free, size = (
            int(self._connection.execute(f"pragma {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    # -- exchanges ----------------------------------------------------------------------------------------------------

    def _prune(self, due: Iterator[int], why: str, run: "_Run") -> Iterator[Step]:
        total = 0
        while seqs := sorted(islice(due, PAGE)):  # so that what is gone makes few ranges
            if old := self._index.without_texts(seqs):
                with transaction(self._connection):
                    self._index.remove_by_vocabulary(old)
            done = 0
            while done < len(seqs):
                until = time.monotonic() + _BUDGET
                with transaction(self._connection):
                    while done < len(seqs):
                        self._prune_one(seqs[done], why, run)
                        done += 1
                        if time.monotonic() >= until:
                            break
                yield f"exchanges ({why})", total + done, 0
            total += len(seqs)

    def _prune_one(self, seq: int, why: str, run: "_Run") -> None:
        execute = self._connection.execute
        row = execute(
            "select issuer, subject, thread_id, node, boot, number, prev_hash, hash from exchange where seq = ?", (seq,)
        ).fetchone()
        if row is None:
            return
        issuer, subject, thread_id, *rest = row
        if run.is_held(seq, issuer, subject, thread_id):
            return
        self._index.remove(seq)
        self._threads.forget([seq])
        for table in ("raw_reply", "body", "erased", "sealed", "exchange"):
            execute(f"delete from {table} where seq = ?", (seq,))  # noqa: S608 - names of our own
        self._left_over(issuer, subject)
        Ranges(self._connection, run.begun(self._tombstones, PRUNE, {"why": why})).add(Gone(seq, *rest))
        run.let.exchanges += 1

    def _left_over(self, issuer: str | None, subject: str | None) -> None:
        if issuer is None:
            self._connection.execute("insert or ignore into unswept values (0)")
        else:
            scopes = "select id from person where subject = ? and (issuer = ? or issuer = id || ? || ?)"
            values = (subject, issuer, CLOSED, issuer)
            self._connection.execute(f"insert or ignore into unswept {scopes}", values)

    # -- raw replies --------------------------------------------------------------------------------------------------

    def _expire(self, before: int, run: "_Run") -> Iterator[Step]:
        """The exact bytes of what is older; the objects that were made of them stay."""
        after = 0
        while page := self._connection.execute(_RAW_KEPT, (after, PAGE)).fetchall():
            due = [row for row in page if row[1] < before]
            done = 0
            while done < len(due):
                until = time.monotonic() + _BUDGET
                with transaction(self._connection):
                    while done < len(due):
                        self._expire_one(due[done], before, run)
                        done += 1
                        if time.monotonic() >= until:
                            break
                yield "raw replies", done, len(due)
            if not due:
                return  # older ones come first, but for clocks that were set: the next run sees to those
            after = page[-1][0]

    def _expire_one(self, row: tuple[Any, ...], before: int, run: "_Run") -> None:
        seq, _, issuer, subject, thread_id = row
        execute = self._connection.execute
        if run.is_held(seq, issuer, subject, thread_id):
            return
        kept = execute(_EXACT, (seq,)).fetchone()
        if kept is None:
            return  # erased meanwhile
        run.begun(self._tombstones, EXPIRE, {"before": before})
        chunks: set[int] = set()
        for column, manifest in zip(("request", "content"), kept[1:], strict=True):
            self._bodies.add_chunks(manifest, chunks, of_exchange(kept[0], column))
        execute("delete from raw_reply where seq = ?", (seq,))
        execute("update body set request = null where seq = ? and request_json is not null", (seq,))
        execute("update body set raw = 'expired' where seq = ?", (seq,))
        if chunks:
            self._left_over(issuer, subject)
        run.let.raw += 1

    # -- the end ------------------------------------------------------------------------------------------------------

    def _end_earlier(self, order: Order) -> None:
        """A run that was interrupted: its ranges stand, and get the tombstone they lack."""
        with transaction(self._connection):  # all at once: so what lacks one is newer than all that have one
            for number, kind in self._connection.execute(_UNENDED).fetchall():
                self._tombstones.add(_ENDS[kind], order, self._detail(kind, number))

    def _end(self, run: "_Run") -> None:
        with transaction(self._connection):
            for (kind, _), number in run.numbers.items():
                self._tombstones.add(_ENDS[kind], run.order, self._detail(kind, number))

    def _detail(self, kind: str, number: int) -> dict[str, Any]:
        if kind == EXPIRE:
            return {"of": number}
        count = "select coalesce(sum(last - first + 1), 0) from pruned where tombstone = ?"
        exchanges = self._connection.execute(count, (number,)).fetchone()[0]
        return {"of": number, "exchanges": exchanges, "ranges": digest_of(self._connection, number)}

    def _give_back(self) -> Iterator[Step]:
        """Free pages, to the disk."""
        free = self._free()
        pages = free
        while free:
            self._connection.execute(f"pragma incremental_vacuum({_PAGES})").fetchall()
            left = self._free()
            if left >= free:
                return
            free = left
            yield "free pages", pages - free, pages

    def _free(self) -> int:
        return int(self._connection.execute("pragma freelist_count").fetchone()[0])


@dataclass(slots=True)
class _Run:
    order: Order
    holds: Holds
    let: Let
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)

    def begun(self, tombstones: Tombstones, kind: str, detail: dict[str, Any]) -> int:
        """The tombstone with which this part of the run begins: put down when the first thing goes."""
        key = (kind, str(detail))
        if key not in self.numbers:
            self.numbers[key] = tombstones.add(kind, self.order, detail)
        return self.numbers[key]

    def is_held(self, seq: int, issuer: str | None, subject: str | None, thread_id: str | None) -> bool:
        """Does a hold keep this exchange? Then it is counted, once."""
        if self.holds.on(issuer, subject, thread_id) is None:
            return False
        self.held.add(seq)
        self.let.held = len(self.held)
        return True


_RAW_KEPT: Final = """
    select b.seq, e.started_at, e.issuer, e.subject, e.thread_id from body b indexed by body_raw_kept
    join exchange e on e.seq = b.seq where b.raw = 'kept' and b.seq > ? order by b.seq limit ?
"""
_EXACT: Final = """
    select e.id, b.request, r.content from exchange e join body b on b.seq = e.seq
    left join raw_reply r on r.seq = e.seq where e.seq = ? and b.raw = 'kept'
"""
_ENDS: Final = {PRUNE: PRUNED, EXPIRE: EXPIRED}
_UNENDED: Final = """
    select id, kind from tombstone where kind in ('prune', 'expire')
    and id > (select coalesce(max(id), 0) from tombstone where kind in ('pruned', 'expired')) order by id
"""
