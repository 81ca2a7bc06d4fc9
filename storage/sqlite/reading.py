"""Looking into audit.db: one exchange, the latest, what has these words, everything in order."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from storage.packing import Packer
from storage.sqlite.bodies import BodyReader
from storage.sqlite.driver import StoreProblem, audit_path, open_for_reading
from storage.sqlite.search import match_expression
from storage.sqlite.shape import COLUMNS, FROM, record_json

_PAGE = 200


@dataclass(frozen=True, slots=True)
class RawBody:
    """A body as it came over the wire."""

    content: bytes
    media_type: str | None
    content_encoding: str | None
    state: str  # kept | expired | masked | off
    arrivals: list[tuple[int, int]]


class AuditReader:
    """audit.db, read-only.

    Raises:
        StoreProblem: there is no record yet, or it cannot be read; the message says what to do.
    """

    def __init__(self, data_dir: Path) -> None:
        self._db = open_for_reading(audit_path(data_dir))
        self._connection: sqlite3.Connection = self._db.conn
        self._connection.row_factory = sqlite3.Row
        self._bodies = BodyReader(self._connection)

    def close(self) -> None:
        self._db.close()

    def export(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """(seq, record as one line of JSON) of everything after this seq, oldest first. Holds no transaction open."""
        while True:
            rows = self._rows("where e.seq > ? order by e.seq limit ?", after, _PAGE)
            for row in rows:
                after = row["seq"]
                yield after, record_json(row, self._bodies)
            if len(rows) < _PAGE:
                return

    def count(self) -> int:
        found = self._connection.execute("select count(*) from exchange").fetchone()
        return int(found[0])

    def last_seq(self) -> int:
        found = self._connection.execute("select max(seq) from exchange").fetchone()
        return int(found[0] or 0)

    def latest(self, limit: int) -> list[bytes]:
        """The newest records, oldest of them first."""
        return [record_json(row, self._bodies) for row in reversed(self._rows("order by e.seq desc limit ?", limit))]

    def find(self, given: str) -> list[bytes]:
        """The record of this exchange, or those of this thread, in order. An id may be cut short where it is clear.

        Raises:
            StoreProblem: it is no id, or fits several exchanges.
        """
        wanted = given.replace("-", "").lower()
        if not re.fullmatch(r"[0-9a-f]{4,32}", wanted):
            raise StoreProblem(f"{given!r} is no id. Copy one from `sekisho tail`; the first characters will do.")
        rows = self._rows("where e.id >= ? and e.id < ? order by e.seq limit 3", wanted, wanted + "g")
        if len(rows) > 1:
            raise StoreProblem(f"{given!r} fits several exchanges. Give more of the id.")
        if not rows and len(wanted) == 32:
            rows = self._rows("where e.thread_id = ? order by e.seq", wanted)
        return [record_json(row, self._bodies) for row in rows]

    def search(self, words: str, limit: int = 50) -> list[bytes]:
        """The newest records in which all these words occur, newest first."""
        expression = match_expression(words)
        if expression is None:
            return []
        found = "where e.seq in (select rowid from search where search match ? order by rowid desc limit ?)"
        return [record_json(row, self._bodies) for row in self._rows(f"{found} order by e.seq desc", expression, limit)]

    def raw(self, id_hex: str, which: str) -> RawBody:
        """The exact bytes of the request or the response.

        Raises:
            LookupError: no such exchange.
        """
        row = self._connection.execute(
            "select b.*, r.content, r.arrivals from exchange e join body b on b.seq = e.seq "
            "left join raw_reply r on r.seq = e.seq where e.id = ?",
            (id_hex.replace("-", ""),),
        ).fetchone()
        if row is None:
            raise LookupError(id_hex)
        kept = row["request"] if which == "request" else row["content"] or row["response"]
        arrivals: list[tuple[int, int]] = []
        if which == "response" and row["arrivals"]:
            arrivals = msgspec.msgpack.decode(Packer().unpack(row["arrivals"]), type=list[tuple[int, int]])
        return RawBody(
            content=self._bodies.get(kept),
            media_type=row[f"{which}_type"],
            content_encoding=row[f"{which}_coding"],
            state=row["raw"],
            arrivals=arrivals,
        )

    def _rows(self, tail: str, *values: object) -> list[sqlite3.Row]:
        try:
            return self._connection.execute(f"select {COLUMNS} {FROM} {tail}", values).fetchall()
        except sqlite3.Error as cannot:
            raise StoreProblem(f"The record cannot be read: {cannot}.") from cannot
