"""Looking into audit.db: one exchange, the latest, what has these words, everything in order."""

import math
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import batched, islice
from pathlib import Path
from typing import Final

import msgspec

from settings.sealing import Seal
from storage.packing import Packer
from storage.problem import NoSuchId
from storage.query.terms import Exact, Is, Phrase, Query, Term, Word
from storage.removal.holds import Hold, Holds
from storage.sealing.content import of_exchange
from storage.sealing.vault import SealedReading
from storage.sqlite.bodies import BodyReader
from storage.sqlite.coverage import Unseen, coverage
from storage.sqlite.driver import StoreProblem, audit_path, open_current
from storage.sqlite.facets import Facets, facets_of, facets_of_all
from storage.sqlite.literals import stand_in
from storage.sqlite.narrowed import narrow
from storage.sqlite.people import Identity, Who, identities_of
from storage.sqlite.selection import Selection, select
from storage.sqlite.shape import COLUMNS, FROM, body_of, record_json, unreadable
from storage.sqlite.summary import Dimension, Group, Steps, summaries
from storage.sqlite.verifying import problem_of
from storage.sqlite.whereabouts import Stretch, stretches
from storage.sqlite.wording import PLAIN, wording_of

_PAGE = 200
_LONGEST_PAGE: Final = 5_000
_WINDOW: Final = 20_000  # exchanges
_COUNTING: Final = 0.03  # seconds for what finds have in common: a page waits for it
_INSTRUCTIONS: Final = 10_000  # of SQLite's machine between two looks at the clock
_NO_BODIES: Final = {"request": None, "request_json": None, "response": None}

EVERYTHING: Final = Query()


@dataclass(frozen=True, slots=True)
class RawBody:
    """A body as it came over the wire."""

    content: bytes
    media_type: str | None
    content_encoding: str | None
    state: str  # kept | expired | masked | off
    arrivals: list[tuple[int, int]]


class TookTooLong(StoreProblem):
    """A question was broken off."""


class AuditReader:
    """audit.db, read-only. `seal` opens what is sealed; its key is asked for when something sealed is met. `patience`
    is how many seconds from now it may be used: a question that takes longer is broken off. `only`: an address whose
    exchanges alone are seen, as if there were no others.

    Raises:
        StoreProblem: there is no record yet, or it cannot be read; the message says what to do.
        SealProblem (from every method that gives content): it is sealed, and cannot be opened.
    """

    def __init__(
        self, data_dir: Path, seal: Seal | None = None, patience: float | None = None, only: str | None = None
    ) -> None:
        if only == "":
            raise ValueError("an own record needs an address")
        self._db = open_current(audit_path(data_dir))
        self._connection: sqlite3.Connection = self._db.conn
        self._end = math.inf if patience is None else time.monotonic() + patience
        self._connection.set_progress_handler(lambda: time.monotonic() > self._end, _INSTRUCTIONS)
        self._connection.row_factory = sqlite3.Row
        self._only = only
        if only is not None:
            try:
                narrow(self._connection, only)
            except sqlite3.Error as cannot:
                self._db.close()
                raise StoreProblem(f"The record cannot be read: {cannot}.") from cannot
        self._sealed = SealedReading(data_dir, seal)
        self._bodies = BodyReader(self._connection, self._sealed)

    def close(self) -> None:
        self._db.close()

    def export(self, after: int = 0, query: Query = EVERYTHING, upto: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(seq, record as one line of JSON) of what comes after this seq, oldest first, and of it what the query finds,
        up to a seq when one is given. Holds no transaction open."""
        before = None if upto is None else upto + 1
        for row in self._found(query, newest_first=False, page=_PAGE, before=before, after=after):
            if (line := self._line(row)) is not None:
                yield row["seq"], line

    def count(self) -> int:
        found = self._connection.execute("select count(*) from exchange").fetchone()
        return int(found[0])

    def last_seq(self) -> int:
        return int(self._asked("select max(seq) from exchange")[0][0] or 0)

    def latest(self, limit: int) -> list[bytes]:
        """The newest records, oldest of them first."""
        return self._lines(reversed(self._rows("order by e.seq desc limit ?", limit)))

    def find(self, given: str) -> list[bytes]:
        """The record of this exchange, or those of this thread, in order. An id may be cut short where it is clear.

        Raises:
            NoSuchId: it is no id, or fits several exchanges or threads.
        """
        wanted = given.replace("-", "").lower()
        if not re.fullmatch(r"[0-9a-f]{4,32}", wanted):
            raise NoSuchId(f"{given!r} is no id. Copy one from `sekisho tail`; the first characters will do.")
        rows = self._rows("where e.id >= ? and e.id < ? order by e.seq limit 3", wanted, wanted + "g")
        if len(rows) > 1:
            raise NoSuchId(f"{given!r} fits several exchanges. Give more of the id.")
        if not rows:
            rows = self._rows("where e.thread_id >= ? and e.thread_id < ? order by e.seq", wanted, wanted + "g")
            if len({row["thread_id"] for row in rows}) > 1:
                raise NoSuchId(f"{given!r} fits several threads. Give more of the id.")
        return self._lines(rows)

    def search(self, query: Query, limit: int = 50, before_seq: int | None = None) -> list[bytes]:
        """The newest records that the query finds, newest first. The next page: `before_seq` is the last one's seq."""
        found = self._found(query, newest_first=True, page=min(limit, _PAGE), before=before_seq)
        return self._lines(islice(found, limit))

    def listed(
        self,
        query: Query = EVERYTHING,
        limit: int = 50,
        *,
        before_seq: int | None = None,
        after_seq: int | None = None,
        bodies: int = 0,
    ) -> list[bytes]:
        """Records for a list: the newest first, or with `after_seq` what came next, oldest first. Request and response
        are null, but of exchanges whose bodies are no more than so many bytes together."""
        newest_first = after_seq is None
        found = self._found(
            query, newest_first=newest_first, page=min(limit, _PAGE), before=before_seq, after=after_seq
        )
        return [
            record_json(
                row if row["request_bytes"] + row["response_bytes"] <= bodies else {**dict(row), **_NO_BODIES},
                self._bodies,
            )
            for row in islice(found, limit)
        ]

    def head(self, id_hex: str) -> bytes | None:
        """The record of this exchange without its bodies; None where there is none. The whole id, 32 hex digits."""
        rows = self._rows("where e.id = ?", id_hex)
        return record_json({**dict(rows[0]), **_NO_BODIES}, self._bodies) if rows else None

    def facets(self, query: Query, upto: int) -> Facets:
        """What the newest so many that the query finds have in common; fewer, where they are not found at once.
        Characters of exact: are not looked at."""
        if self._zone is not None and (known := facets_of_all(self._asked, query)) is not None:
            return known
        seqs: list[int] = []
        end, self._end = self._end, min(self._end, time.monotonic() + _COUNTING)
        try:
            for seq in islice(self._seqs(query, newest_first=True, page=_PAGE), upto):
                seqs.append(seq)  # noqa: PERF402 - one by one, for those that were found by then count
            whole = len(seqs) < upto
        except TookTooLong:
            whole = False
        finally:
            self._end = end
        return facets_of(self._asked, seqs, whole=whole)

    def summaries(self, query: Query, steps: Steps, by: Sequence[Sequence[Dimension]]) -> list[list[Group]]:
        """What the finds come to, grouped in each of these ways. Characters of exact: are not looked at."""

        def within() -> Stretch | None:
            places = stretches(self._asked, query, self._zone)
            return (places[-1][0], places[0][1]) if places else None

        return summaries(self._asked, query, self._selection(query), within, steps, by, self._zone)

    def first_seen(self, issuer: str, subject: str) -> int | None:
        """When the first exchange of this identity that is on record and not erased began: microseconds since 1970."""
        found = self._asked(
            "select started_at from exchange where issuer = ? and subject = ? and unnamed = 0 order by seq limit 1",
            issuer, subject,
        )  # fmt: skip
        return int(found[0][0]) if found else None

    def begun(self) -> int:
        """When the first exchange that is on record began: microseconds since 1970; 0 where there is none."""
        found = self._asked("select started_at from exchange order by seq limit 1")
        return int(found[0][0]) if found else 0

    def places(self, limit: int) -> list[tuple[int, int]]:
        """(seq, when it began in microseconds since 1970) of the newest so many, newest first."""
        found = self._asked("select seq, started_at from exchange order by seq desc limit ?", limit)
        return [(row[0], row[1]) for row in found]

    def last_of(self, seqs: Sequence[int]) -> dict[int, tuple[str, int, str | None]]:
        """Of these exchanges: id, when they began (microseconds since 1970), and why it was decided so."""
        rows = self._asked(
            f"select seq, id, started_at, reason from exchange where seq in ({', '.join('?' * len(seqs))})",  # noqa: S608
            *seqs,
        )
        return {row["seq"]: (row["id"], row["started_at"], row["reason"]) for row in rows}

    def holds(self) -> list[Hold]:
        """The holds as they are now; who has an own record only is not told."""
        return [] if self._only is not None else Holds(self._connection).all

    def identities(self, who: Who) -> list[Identity]:
        """All identities that this may be, of which anything is on record and not erased."""
        if self._only is not None:
            return []
        try:
            return identities_of(self._connection, who)
        except sqlite3.Error as cannot:
            raise StoreProblem(f"The record cannot be read: {cannot}.") from cannot

    def has_thread(self, thread_id: str) -> bool:
        """Is anything of this conversation on record? Its whole id, 32 hex digits."""
        return bool(self._asked("select 1 from exchange where thread_id = ? limit 1", thread_id))

    def unseen(self, since: int) -> list[Unseen]:
        """AI services that were used without being read, since this time: microseconds since 1970."""
        if self._only is not None:
            return []
        return coverage(self._connection, since, services=True, agreed=False)

    def problem_of(self, seq: int) -> str | None:
        """Why this record is not what was recorded, by its hash and those beside it; None when it is."""
        return problem_of(self._connection, seq, self._bodies.opener)

    @cached_property
    def _zone(self) -> int | None:
        """Of the tally's days; None where it must not be asked, since it counts everybody."""
        return (
            None
            if self._only is not None
            else int(self._asked("select value from meta where name = 'tally_zone'")[0][0])
        )

    def _selection(self, query: Query) -> Selection:
        return select(query, wording_of(self._sealed) if any(map(_by_index, query.terms)) else PLAIN)

    def _found(
        self, query: Query, *, newest_first: bool, page: int, before: int | None = None, after: int | None = None
    ) -> Iterator[sqlite3.Row]:
        """Page by page, each from where the last one ended: the position is a seq, so nothing shifts meanwhile."""
        selection = self._selection(query)
        found = self._seqs(query, newest_first=newest_first, page=page, before=before, after=after)
        for seqs in batched(found, page):
            rows = self._rows(f"where e.seq in ({', '.join('?' * len(seqs))})", *seqs)
            for row in sorted(rows, key=lambda row: row["seq"], reverse=newest_first):
                if self._holds(selection, row):
                    yield row

    def _seqs(
        self, query: Query, *, newest_first: bool, page: int, before: int | None = None, after: int | None = None
    ) -> Iterator[int]:
        """What is found by SQL, in order: each question goes on from where the last one ended."""
        selection = self._selection(query)
        places = stretches(self._asked, query, self._zone)
        if selection.hidden is not None:  # what is not to be there is looked up for so many at a time
            places = [each for place in places for each in self._windows(place)]
        for first, last in places if newest_first else reversed(places):
            low = first if after is None else max(first, after + 1)
            high = last if before is None else min(last, before - 1)
            while low <= high:
                sql, values = selection.page(low, high, newest_first=newest_first, limit=page)
                seqs = [row[0] for row in self._asked(sql, *values)]
                yield from seqs
                if len(seqs) < page:
                    break
                low, high = (low, seqs[-1] - 1) if newest_first else (seqs[-1] + 1, high)
                page = min(page * 5, _LONGEST_PAGE)

    def _windows(self, place: Stretch) -> Iterator[Stretch]:
        last = min(place[1], self.last_seq())
        while last >= place[0]:
            first = max(place[0], last - _WINDOW + 1)
            yield first, last
            last = first - 1

    def _holds(self, selection: Selection, row: sqlite3.Row) -> bool:
        literals = {*selection.literals, *selection.without}
        if not literals:
            return True
        kept = ("request_json" if row["request_json"] else "request", "response")
        try:
            found = stand_in((body_of(row, each, self._bodies) for each in kept if row[each] is not None), literals)
        except (ValueError, LookupError):
            return True  # not left out in silence: what cannot be read is said where it is to be shown
        return found.issuperset(selection.literals) and found.isdisjoint(selection.without)

    def raw(self, id_hex: str, which: str) -> RawBody:
        """The exact bytes of the request or the response.

        Raises:
            LookupError: no such exchange.
            StoreProblem: it was altered, and cannot be read.
        """
        row = self._connection.execute(
            "select b.*, r.content, r.arrivals, e.id, s.search as sealed from exchange e join body b on b.seq = e.seq "
            "left join raw_reply r on r.seq = e.seq left join sealed s on s.seq = e.seq where e.id = ?",
            (id_hex.replace("-", ""),),
        ).fetchone()
        if row is None:
            raise LookupError(id_hex)
        try:
            return self._raw(row, which)
        except (ValueError, LookupError, msgspec.MsgspecError) as altered:
            raise unreadable(row["seq"], altered) from altered

    def _raw(self, row: sqlite3.Row, which: str) -> RawBody:
        kept = "request" if which == "request" else "content" if row["content"] else "response"
        arrivals: list[tuple[int, int]] = []
        if which == "response" and row["arrivals"]:
            packed = self._bodies.opened(row["arrivals"], of_exchange(row["id"], "arrivals"))
            arrivals = msgspec.msgpack.decode(Packer().unpack(packed), type=list[tuple[int, int]])
        return RawBody(
            content=body_of(row, kept, self._bodies),
            media_type=row[f"{which}_type"],
            content_encoding=row[f"{which}_coding"],
            state=row["raw"],
            arrivals=arrivals,
        )

    def _lines(self, rows: Iterable[sqlite3.Row]) -> list[bytes]:
        return [line for row in rows if (line := self._line(row)) is not None]

    def _line(self, row: sqlite3.Row) -> bytes | None:
        """The record of this row. What was erased since it was read is shown as it stands now; None: it was let go."""
        try:
            return record_json(row, self._bodies)
        except StoreProblem:
            now = self._rows("where e.seq = ?", row["seq"])
            if now and tuple(now[0]) == tuple(row):
                raise
            return record_json(now[0], self._bodies) if now else None

    def _rows(self, tail: str, *values: object) -> list[sqlite3.Row]:
        return self._asked(f"select {COLUMNS} {FROM} {tail}", *values)

    def _asked(self, sql: str, *values: object) -> list[sqlite3.Row]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as cannot:
            if cannot.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise TookTooLong("This took too long. Ask for less: a shorter time, or a rarer word.") from cannot
            raise StoreProblem(f"The record cannot be read: {cannot}.") from cannot
        except sqlite3.Error as cannot:
            raise StoreProblem(f"The record cannot be read: {cannot}.") from cannot


def _by_index(term: Term) -> bool:
    """Is this looked for by words, or tools?"""
    condition = term.condition
    return isinstance(condition, Word | Phrase | Exact) or (isinstance(condition, Is) and condition.field == "tool")
