"""An exchange's journal rows → its record: the bytes become request and reply, and what they mean."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from exchange.call import Call, Json, Text
from exchange.record import Derived, RawBytes, Record, Seen, UsageSource
from exchange.reply import Reply, Usage
from recording.costs import Prices
from recording.endings import end_state
from recording.estimates import estimate
from storage.journal.rows import Arrivals, Closing, Intent, ReplyHead, RequestPiece, Row, Said, Unread
from wire.api import Route
from wire.calls import read_call
from wire.grpc import with_status
from wire.json_seq import MEDIA_TYPE as JSON_SEQUENCE
from wire.json_seq import JsonSequence, element, texts_of
from wire.json_text import fit
from wire.replies import reply_reader
from wire.routes import route

log = logging.getLogger(__name__)

READER = 1
"""The version of this reading. Derived columns carry it; a better reader gets a higher one."""

SWITCHED = 101
"""The status of what was answered over a WebSocket (RFC 6455 §4.2.2)."""

_BODY_LIMIT = 256 << 20


@dataclass(slots=True)
class Journaled:
    """What the journal holds of one exchange, put together."""

    exchange: bytes
    boot: str
    intent: Intent | None = None
    closing: Closing | None = None
    head: ReplyHead | None = None
    request: bytes = b""
    said: list[bytes] = field(default_factory=list)  # over a WebSocket: what followed the request
    pieces: list[bytes] = field(default_factory=list)
    arrivals: list[tuple[int, int]] = field(default_factory=list)


def put_together(exchange: bytes, boot: str, rows: Iterable[tuple[Row, bytes]]) -> Journaled:
    """The rows of one exchange, in the order in which they were written."""
    found = Journaled(exchange, boot)
    asked: list[bytes] = []  # what followed the head of a request that went on as it came
    for row, body in rows:
        if isinstance(row, Intent):
            if found.intent is not None and found.request:
                found.said.append(found.request)
            found.intent, found.request = row, body
            continue
        if isinstance(row, Said):
            found.said.append(body)
            continue
        if isinstance(row, RequestPiece):
            asked.append(body)
            continue
        if isinstance(row, Unread):
            continue  # no part of an exchange
        found.head = row.head or found.head
        found.arrivals += zip(row.arrivals.at, row.arrivals.length, strict=True)
        if body:
            found.pieces.append(body)
        if isinstance(row, Closing):
            found.closing = row
    if asked and found.intent is not None:
        found.request = b"".join(asked)
        found.intent = msgspec.structs.replace(found.intent, body_bytes=len(found.request), body_kept=True)
    return found


def understand(journaled: Journaled, prices: Prices) -> Record:
    """The record. A fault in reading is logged and leaves the bytes to speak for themselves: nothing is lost."""
    intent = journaled.intent or _unknown()
    closing = journaled.closing or _died(journaled)
    try:
        derived = _derive(intent, closing, journaled, prices)
    except Exception:
        log.exception("Exchange %s cannot be understood; its bytes are kept.", journaled.exchange.hex())
        derived = _not_understood(intent, closing)
    return _record(journaled, intent, closing, derived)


def keep_only(journaled: Journaled) -> Record:
    """The record of an exchange that nobody tries to understand: who, when, how it ended, and its bytes."""
    intent = journaled.intent or _unknown()
    closing = journaled.closing or _died(journaled)
    return _record(journaled, intent, closing, _not_understood(intent, closing))


def _record(journaled: Journaled, intent: Intent, closing: Closing, derived: Derived) -> Record:
    head = journaled.head
    return Record(
        seen=_seen(journaled, intent, closing, head),
        derived=derived,
        raw=RawBytes(
            request=b"".join(map(element, _asked(journaled))) if journaled.said else journaled.request,
            request_type=JSON_SEQUENCE if journaled.said else intent.content_type,
            request_coding=intent.content_encoding,
            response=b"".join(journaled.pieces),
            response_type=head.content_type if head else None,
            response_coding=head.content_encoding if head else None,
            arrivals=tuple(journaled.arrivals),
            grpc_status=closing.grpc_status,
        ),
        content=intent.content_kept,
    )


def _derive(intent: Intent, closing: Closing, journaled: Journaled, prices: Prices) -> Derived:
    leads = route(intent.dialect, intent.method, intent.path)
    if leads.api.turn is not None and journaled.head is not None and journaled.head.status == SWITCHED:
        return _derive_turn(intent, closing, journaled, prices, leads)
    call = read_call(
        leads,
        content_type=intent.content_type,
        content_encoding=intent.content_encoding,
        body=journaled.request,
        strict=False,
        limit=_BODY_LIMIT,
    )
    reply = _reply(leads, call, intent, journaled)
    if reply is not None and closing.grpc_status is not None and journaled.head is not None:
        reply = with_status(reply, journaled.head.content_type, closing.grpc_status)
    model = intent.request_model if intent.request_model is not None else call.request_model
    usage, source = _usage(call, reply, closing, model)
    response_model = reply.response_model if reply else None
    return Derived(
        operation=call.operation,
        request_model=model,
        response_model=response_model,
        stream=call.stream,
        end_state=end_state(closing.observed, closing.status, reply.ended if reply else "open"),
        usage=usage,
        usage_source=source,
        cost_usd=prices.cost(intent.provider, intent.dialect, response_model or model, usage, intent.started_at),
        request=_request_json(intent, call, journaled.request),
        response=_response_json(reply, journaled),
        texts=_texts(leads, call) + (reply.texts if reply else ()),
    )


def _derive_turn(intent: Intent, closing: Closing, journaled: Journaled, prices: Prices, leads: Route) -> Derived:
    """One turn of a WebSocket: messages of both sides."""
    assert leads.api.turn is not None
    reader = JsonSequence()
    told = [event for piece in journaled.pieces for event in reader.feed(piece)] + reader.close()
    if closing.observed == "refused":
        told = []
    turn = leads.api.turn(_asked(journaled), told)
    model = intent.request_model if intent.request_model is not None else turn.model
    usage = turn.reply.usage or Usage()
    return Derived(
        operation=leads.api.operation,
        request_model=model,
        response_model=turn.reply.response_model,
        stream=True,
        end_state=end_state(closing.observed, closing.status, turn.reply.ended),
        usage=usage,
        usage_source="provider" if turn.reply.usage is not None else "none",
        cost_usd=prices.cost(
            intent.provider, intent.dialect, turn.reply.response_model or model, usage, intent.started_at
        ),
        request=_written(turn.request) if turn.request is not None else None,
        response=_written(turn.reply.response) if turn.reply.response is not None else None,
        texts=turn.texts + turn.reply.texts,
        connection=intent.connection,
    )


def _asked(journaled: Journaled) -> list[bytes]:
    """The caller's messages, in order."""
    given, intent = journaled.request, journaled.intent
    first = texts_of(given) if intent is not None and intent.content_type == JSON_SEQUENCE else [given] if given else []
    return first + journaled.said


def _reply(leads: Route, call: Call, intent: Intent, journaled: Journaled) -> Reply | None:
    head = journaled.head
    if head is None:
        return None
    reader = reply_reader(
        leads,
        status=head.status,
        content_type=head.content_type,
        content_encoding=head.content_encoding,
        stream_asked=call.stream,
    )
    for piece in journaled.pieces:
        reader.feed(piece)
    reply = reader.close()
    if not journaled.pieces and reply.ended == "open":
        # A reply without a body lacks nothing, unless a stream was to come and could.
        never = intent.method == "HEAD" or head.status in (204, 205) or 300 <= head.status < 400
        return replace(reply, ended="open" if call.stream and not never else "settled")
    return reply


def _usage(call: Call, reply: Reply | None, closing: Closing, model: str | None) -> tuple[Usage, UsageSource]:
    """The provider's counts; where it gave none of what it answered, an estimate that says it is one."""
    if reply is None:
        return Usage(), "none"
    if reply.usage is not None:
        return reply.usage, "provider"
    answered = closing.status is not None and closing.status < 400 and reply.response is not None
    guessed = estimate(call.operation, model, call.body, reply.response) if answered and call.inspected else None
    return (guessed, "estimated") if guessed is not None else (Usage(), "none")


def _texts(leads: Route, call: Call) -> tuple[Text, ...]:
    return leads.api.texts(call.body) if call.inspected else ()


def _request_json(intent: Intent, call: Call, raw: bytes) -> bytes | None:
    if not intent.body_kept or not raw:
        return None
    if call.body is None:
        return _written({"_media_type": intent.content_type, "_bytes": intent.body_bytes})
    return _json_text(call.body, None if intent.content_encoding else raw)


def _response_json(reply: Reply | None, journaled: Journaled) -> bytes | None:
    if reply is None or reply.response is None:
        return None
    plain = len(journaled.pieces) == 1 and not (journaled.head and journaled.head.content_encoding)
    return _json_text(reply.response, journaled.pieces[0] if plain else None)


def _json_text(said: Json, raw: bytes | None) -> bytes:
    """JSON text of this object: the raw bytes themselves where they are just that."""
    if raw is not None and raw[:1] in (b"{", b"["):
        try:
            if msgspec.json.decode(raw) == said:
                return raw
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass  # the bytes are no JSON: what was made of them is written out instead
    return _written(said)


def _written(value: Json) -> bytes:
    return msgspec.json.encode(fit(value))


def _seen(journaled: Journaled, intent: Intent, closing: Closing, head: ReplyHead | None) -> Seen:
    stopped = closing.observed == "refused" and intent.outcome == "allow"  # allowed, and then the road was closed
    return Seen(
        id=journaled.exchange.hex(),
        started_at=intent.started_at,
        node=intent.node,
        principal=intent.principal,
        credential=intent.credential,
        address=intent.address,
        user_agent=intent.user_agent,
        mode=intent.mode,
        outcome="deny" if stopped else intent.outcome,
        code=closing.error if stopped else intent.code,
        rule=intent.rule,
        reason=intent.reason,
        policy=intent.policy,
        provider=intent.provider,
        method=intent.method,
        host=intent.host,
        path=intent.path,
        query=intent.query,
        observed=closing.observed,
        status=closing.status,
        request_bytes=intent.body_bytes + sum(map(len, journaled.said)),
        response_bytes=closing.response_bytes,
        # A row that was lost, when the disk refused it for long, shows in the count.
        capture_truncated=closing.truncated or sum(length for _, length in journaled.arrivals) < closing.response_bytes,
        upstream_request_id=head.upstream_request_id if head else None,
        overhead=closing.overhead,
        ttft=closing.ttft,
        duration=closing.duration,
        changed=intent.changed,
        boot=journaled.boot,
        number=intent.number,
    )


def _died(journaled: Journaled) -> Closing:
    """The closing row that a worker which died could not write: what was flushed by then."""
    last = journaled.arrivals[-1][0] if journaled.arrivals else 0
    return Closing(
        observed="proxy_died",
        status=journaled.head.status if journaled.head else None,
        head=None,
        arrivals=_NO_ARRIVALS,
        response_bytes=sum(map(len, journaled.pieces)),
        truncated=False,
        error=None,
        overhead=None,
        ttft=journaled.arrivals[0][0] if journaled.arrivals else None,
        duration=last,
    )


def _not_understood(intent: Intent, closing: Closing) -> Derived:
    return Derived(
        operation="other",
        request_model=intent.request_model,
        response_model=None,
        stream=intent.stream,
        end_state=end_state(closing.observed, closing.status, "settled"),
        usage=Usage(),
        usage_source="none",
        cost_usd=None,
        request=_written({"_media_type": intent.content_type, "_bytes": intent.body_bytes})
        if intent.body_bytes
        else None,
        response=_written({"_bytes": closing.response_bytes}) if closing.response_bytes else None,
    )


_NO_ARRIVALS = Arrivals([], [])


def _unknown() -> Intent:
    """What stands for an intent that was lost: the exchange keeps a row, and says what is missing."""
    return Intent(
        number=0,
        started_at=0,
        node="",
        principal=None,
        credential=None,
        address=None,
        user_agent=None,
        mode="",
        outcome="deny",
        code="checkpoint_error",
        rule=None,
        reason="the row that says who asked what is lost",
        policy="",
        provider="",
        dialect="openai",
        method="",
        host="",
        path="",
        query=None,
        content_type=None,
        content_encoding=None,
        body_bytes=0,
        body_kept=False,
        operation="other",
        request_model=None,
        stream=False,
    )
