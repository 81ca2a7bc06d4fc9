"""Exchanges as they were recorded, for whoever derives from them again."""

import sqlite3
from dataclasses import dataclass, replace

import msgspec

from exchange.record import RawBytes, Seen
from storage.packing import Packer
from storage.sealing.columns import open_columns
from storage.sealing.content import Opener, of_exchange
from storage.sealing.master import SealProblem
from storage.sqlite.bodies import BodyReader
from storage.sqlite.shape import body_of
from storage.sqlite.shape import unreadable as unreadable_record
from storage.sqlite.verifying import seen_of

_ROWS = (
    "select e.*, b.request, b.request_json, b.response, b.request_type, b.request_coding, b.response_type, "
    "b.response_coding, b.raw, b.grpc_status, r.content, r.arrivals, r.seq as replied, s.search as sealed "
    "from exchange e join body b on b.seq = e.seq "
    "left join raw_reply r on r.seq = e.seq left join sealed s on s.seq = e.seq "
    "where e.seq > ? and e.seq <= ? order by e.seq limit ?"
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
    sealed: bool = False


def kept_exchanges(
    connection: sqlite3.Connection, after: int, upto: int, limit: int, opener: Opener
) -> list[KeptExchange]:
    """The exchanges after one seq and up to another, at most so many, oldest first.

    Raises:
        StoreProblem: one was altered, and is no record any more.
    """
    bodies, packer = BodyReader(connection, opener), Packer()
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return [_kept(row, bodies, packer) for row in cursor.execute(_ROWS, (after, upto, limit)).fetchall()]


def _kept(row: sqlite3.Row, bodies: BodyReader, packer: Packer) -> KeptExchange:
    raw, request, response, unreadable = None, None, None, None
    sealed = row["sealed"] is not None
    try:
        seen = seen_of(row)
    except (ValueError, TypeError) as altered:
        raise unreadable_record(row["seq"], altered) from altered
    try:
        if sealed:
            path, query, user_agent = open_columns(dict(row), bodies.opener).values()
            seen = replace(seen, path=path or "", query=query, user_agent=user_agent)
        request = body_of(row, "request_json" if row["request_json"] else "request", bodies) or None
        response = body_of(row, "response", bodies) or None
        replied = row["replied"] is not None
        if row["raw"] == "kept" and row["salt"] is not None:
            arrivals: list[tuple[int, int]] = []
            if row["arrivals"]:
                packed = bodies.opened(row["arrivals"], of_exchange(row["id"], "arrivals"))
                arrivals = msgspec.msgpack.decode(packer.unpack(packed), type=list[tuple[int, int]])
            raw = RawBytes(
                request=body_of(row, "request", bodies),
                request_type=row["request_type"],
                request_coding=row["request_coding"],
                response=body_of(row, "content" if row["content"] else "response", bodies) if replied else b"",
                response_type=row["response_type"],
                response_coding=row["response_coding"],
                arrivals=tuple(arrivals),
                grpc_status=row["grpc_status"],
            )
    except (LookupError, ValueError, SealProblem, msgspec.DecodeError) as gone:
        raw, unreadable = None, str(gone)
    return KeptExchange(
        seq=row["seq"],
        seen=seen,
        operation=row["operation"],
        request_model=row["request_model"],
        thread_id=row["thread_id"],
        raw=raw,
        request=request,
        response=response,
        unreadable=unreadable,
        sealed=sealed,
    )
