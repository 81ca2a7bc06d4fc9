"""A row of audit.db → the object of RECORD.md, as JSON text. Bodies are spliced in as they are kept, not re-parsed."""

import sqlite3
from typing import Any

import msgspec

from exchange.record import identifier, iso
from storage.problem import StoreProblem
from storage.removal.erased_columns import shown_columns
from storage.sealing.columns import open_columns
from storage.sealing.content import Opener, is_sealed, of_exchange
from storage.sealing.vault import KeyGone, unsealed_among_sealed
from storage.sqlite.bodies import BodyReader
from storage.sqlite.claimed import claimed_user

_encode = msgspec.json.Encoder().encode
_value = msgspec.json.Decoder(msgspec.Raw).decode
_texts = msgspec.json.Decoder(list[str]).decode

COLUMNS = "e.*, b.request, b.request_json, b.response, b.raw, t.at as erased_at, s.search as sealed"
FROM = (
    "from exchange e join body b on b.seq = e.seq left join sealed s on s.seq = e.seq "
    "left join erased x on x.seq = e.seq left join tombstone t on t.id = x.tombstone"
)

type Row = sqlite3.Row | dict[str, Any]


def body_of(row: Row, column: str, bodies: BodyReader) -> bytes:
    """The body whose manifest is in this column of the row; empty where there is none.

    Raises:
        ValueError, LookupError, SealProblem: as BodyReader.get.
    """
    if row["sealed"] is not None and row[column] is not None and not is_sealed(row[column]):
        raise unsealed_among_sealed(column)
    return bodies.get(row[column], of_exchange(row["id"], column))


def _json(row: Row, column: str, bodies: BodyReader) -> msgspec.Raw | None:
    """Kept JSON, on one line. It is one value and nothing else: what is derived is in no hash, and whoever altered it
    must not write into the rest of the record."""
    if row[column] is None:
        return None
    body = body_of(row, column, bodies)
    return _value(msgspec.json.format(body, indent=-1) if b"\n" in body else body)


def _columns(row: dict[str, Any], opener: Opener) -> dict[str, str | None]:
    """What is sealed beside the bodies; of a person who was erased it is gone."""
    try:
        return open_columns(row, opener)
    except KeyGone:
        return {"path": "", "query": None, "user_agent": None}


def record_json(row: Row, bodies: BodyReader) -> bytes:
    """The record of this row (columns as COLUMNS names them), one line of JSON without its line end.

    Raises:
        StoreProblem: it was altered, and is no record any more; SealProblem: it is sealed, and cannot be opened.
    """
    try:
        return _record_json(row, bodies)
    except (ValueError, LookupError, OverflowError, RecursionError, msgspec.MsgspecError) as altered:
        raise unreadable(row["seq"], altered) from altered


def unreadable(seq: int, why: Exception) -> StoreProblem:
    """What to say of a record that is none any more."""
    return StoreProblem(
        f"Record {seq} cannot be read: {why}. Somebody altered it, or the disk is failing: `sekisho verify` and "
        f"`sekisho db check` say more. What comes after it: `sekisho export --after {seq}`."
    )


def _record_json(row: Row, bodies: BodyReader) -> bytes:
    if row["sealed"] is not None:
        row = {**dict(row), **_columns(dict(row), bodies.opener)}
    elif gone := shown_columns(dict(row)):
        row = {**dict(row), **gone}
    known = row["issuer"] is not None
    principal = {
        "subject": row["subject"],
        "email": row["email"],
        "domain": row["domain"],
        "issuer": row["issuer"],
        "groups": _texts(row["groups"] or "[]"),
    }
    # An answer that had begun when its person was revoked was cut: what came of it until then is what they got.
    answered = row["end_state"] != "refused" or 200 <= (row["status"] or 0) < 400
    request = _json(row, "request_json" if row["request_json"] else "request", bodies)
    return _encode(
        {
            "id": identifier(row["id"]),
            "seq": row["seq"],
            "started_at": iso(row["started_at"]),
            "node": row["node"],
            "principal": principal if known else None,
            "claimed_user": claimed_user(request),
            "client": {
                "address": row["address"],
                "user_agent": row["user_agent"],
                "mode": row["mode"],
                "credential": row["credential"],
            },
            "decision": {
                "outcome": row["outcome"],
                "code": row["code"],
                "rule": row["rule"],
                "reason": row["reason"],
                "policy": row["policy"],
            },
            "provider": row["provider"],
            "operation": row["operation"],
            "method": row["method"],
            "host": row["host"],
            "path": row["path"],
            "query": row["query"],
            "request_model": row["request_model"],
            "response_model": row["response_model"],
            "stream": bool(row["stream"]),
            "status": row["status"],
            "end_state": row["end_state"],
            "capture_truncated": bool(row["capture_truncated"]),
            "usage": {
                "input_tokens": row["input_tokens"],
                "output_tokens": row["output_tokens"],
                "cached_input_tokens": row["cached_input_tokens"],
                "reasoning_tokens": row["reasoning_tokens"],
                "source": row["usage_source"],
            },
            "cost_usd": row["cost_usd"],
            "timing": {
                "ttft_ms": _ms(row["ttft"]),
                "duration_ms": _ms(row["duration"]),
                "overhead_ms": _ms(row["overhead"]),
            },
            "thread_id": identifier(row["thread_id"]) if row["thread_id"] else None,
            "upstream_request_id": row["upstream_request_id"],
            "request": request,
            "response": _json(row, "response", bodies) if answered else None,
            "request_bytes": row["request_bytes"],
            "response_bytes": row["response_bytes"],
            "findings": [],
            "changed": _texts(row["changed"]),
            "raw": row["raw"],
            "erased_at": iso(row["erased_at"]) if row["erased_at"] is not None else None,
            "hash": row["hash"],
            "prev_hash": row["prev_hash"],
        }
    )


def _ms(microseconds: int | None) -> float | None:
    return None if microseconds is None else round(microseconds / 1000, 3)
