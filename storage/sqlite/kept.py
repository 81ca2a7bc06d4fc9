"""Exchanges as they were recorded, for whoever derives from them again."""

import sqlite3
from dataclasses import dataclass

import msgspec

from exchange.record import RawBytes, Seen
from storage.packing import Packer
from storage.sqlite.bodies import BodyReader
from storage.sqlite.verifying import seen_of

_ROWS = (
    "select e.*, b.request, b.request_json, b.response, b.request_type, b.request_coding, b.response_type, "
    "b.response_coding, b.raw, r.content, r.arrivals, r.seq as replied from exchange e join body b on b.seq = e.seq "
    "left join raw_reply r on r.seq = e.seq where e.seq > ? and e.seq <= ? order by e.seq limit ?"
)


@dataclass(frozen=True, slots=True)
class KeptExchange:
    """What was observed, and what is kept of what was said."""

    seq: int
    seen: Seen
    operation: str
    request_model: str | None
    thread_id: str | None
    raw: RawBytes | None  # None: the exact bytes are not kept any more, or cannot be read
    request: bytes | None  # as JSON; None: there is none, or none any more
    response: bytes | None
    unreadable: str | None = None  # why not


def kept_exchanges(connection: sqlite3.Connection, after: int, upto: int, limit: int) -> list[KeptExchange]:
    """The exchanges after one seq and up to another, at most so many, oldest first."""
    bodies, packer = BodyReader(connection), Packer()
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return [_kept(row, bodies, packer) for row in cursor.execute(_ROWS, (after, upto, limit)).fetchall()]


def _kept(row: sqlite3.Row, bodies: BodyReader, packer: Packer) -> KeptExchange:
    raw, request, response, unreadable = None, None, None, None
    try:
        request = bodies.get(row["request_json"] or row["request"]) or None
        response = bodies.get(row["response"]) or None
        if row["raw"] == "kept" and row["salt"] is not None:
            arrivals: list[tuple[int, int]] = []
            if row["arrivals"]:
                arrivals = msgspec.msgpack.decode(packer.unpack(row["arrivals"]), type=list[tuple[int, int]])
            raw = RawBytes(
                request=bodies.get(row["request"]),
                request_type=row["request_type"],
                request_coding=row["request_coding"],
                response=bodies.get(row["content"] or row["response"]) if row["replied"] is not None else b"",
                response_type=row["response_type"],
                response_coding=row["response_coding"],
                arrivals=tuple(arrivals),
            )
    except (LookupError, ValueError, msgspec.DecodeError) as gone:
        raw, unreadable = None, str(gone)
    return KeptExchange(
        seq=row["seq"],
        seen=seen_of(row),
        operation=row["operation"],
        request_model=row["request_model"],
        thread_id=row["thread_id"],
        raw=raw,
        request=request,
        response=response,
        unreadable=unreadable,
    )
