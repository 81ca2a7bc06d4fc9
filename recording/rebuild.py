"""Everything derived, derived again from the exact bytes: a better reader's view of an old record.

What was observed and the chain are not touched. What links threads is found anew, in the order of the record; a thread
keeps its id where nothing else is found.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from exchange.record import Record
from recording.costs import Prices
from recording.threads import Threads
from recording.understanding import Journaled, understand
from storage.journal.rows import Arrivals, Closing, Intent, ReplyHead
from storage.upkeep.kept import KeptExchange, kept_exchanges
from storage.upkeep.rebuilding import DerivedAgain, Rebuild, Rebuilding

log = logging.getLogger(__name__)

_BATCH: Final = 100  # exchanges in one transaction
_JSON: Final = "application/json"


@dataclass(slots=True)
class Rebuilt:
    """How many exchanges were derived again, of how many only the index, and how many cannot be read."""

    whole: int = 0
    indexed: int = 0
    unreadable: int = 0


def rebuild(writer: Rebuilding, dialects: Mapping[str, str], seen: Callable[[int, int], None]) -> Rebuilt:
    """Derive everything again. `dialects`: which dialect each provider of the settings speaks. `seen` is told the seq
    it is at, and the last.

    Interrupted at any point, the next call goes on from there.
    """
    prices = Prices()
    threads = Threads(writer.thread_of)
    found = Rebuilt()
    at = writer.begin_rebuild()
    while batch := kept_exchanges(writer.connection, at.done, at.upto, _BATCH, writer.opener):
        again = [each for kept in batch if (each := _again(kept, dialects, prices, threads, found)) is not None]
        at = Rebuild(batch[-1].seq, at.upto)
        writer.derive_again(again, at)
        seen(at.done, at.upto)
    writer.end_rebuild()
    return found


def _again(
    kept: KeptExchange, dialects: Mapping[str, str], prices: Prices, threads: Threads, found: Rebuilt
) -> DerivedAgain | None:
    if kept.unreadable is not None:
        found.unreadable += 1
        log.error("Exchange %s stays as it is: %s.", kept.seen.id, kept.unreadable)
        return None
    if kept.raw is not None:
        found.whole += 1
        record = whole_again(kept, dialects, prices)
    elif kept.request is None and kept.response is None:
        return None  # nothing that was said is kept: nothing may lead to it either
    else:
        found.indexed += 1
        record = _of_objects(kept, dialects.get(kept.seen.provider, "openai"), prices)
    return DerivedAgain(
        kept.seq, threads.linked(record, known=kept.thread_id), whole=kept.raw is not None, sealed=kept.sealed
    )


def whole_again(kept: KeptExchange, dialects: Mapping[str, str], prices: Prices) -> Record:
    """What the exact bytes say; they must be kept. Threads and tools are not looked at."""
    assert kept.raw is not None
    journaled = _journaled(kept, dialects.get(kept.seen.provider, "openai"))
    record = understand(journaled, prices)
    if record.derived.request_model is None and kept.request_model is not None and journaled.intent is not None:
        # What the gate understood counts where the body says nothing.
        journaled.intent = msgspec.structs.replace(journaled.intent, request_model=kept.request_model)
        record = understand(journaled, prices)
    return replace(record, seen=kept.seen, raw=kept.raw)


def _journaled(kept: KeptExchange, dialect: str) -> Journaled:
    """The exchange as the journal had it, as far as reading it needs."""
    assert kept.raw is not None
    raw, seen = kept.raw, kept.seen
    head = None
    if seen.status is not None and (raw.response or raw.response_type is not None or seen.observed == "response_ended"):
        head = ReplyHead(seen.status, raw.response_type, raw.response_coding, seen.upstream_request_id)
    return Journaled(
        exchange=bytes.fromhex(seen.id),
        boot=seen.boot,
        intent=_intent(kept, dialect, raw.request_type, raw.request_coding, bool(raw.request)),
        closing=_closing(kept),
        head=head,
        request=raw.request,
        pieces=[raw.response] if raw.response else [],
        arrivals=list(raw.arrivals),
    )


def _of_objects(kept: KeptExchange, dialect: str, prices: Prices) -> Record:
    """What was said, from the objects that are kept where the bytes are not: for what leads to the exchange."""
    head = ReplyHead(kept.seen.status or 200, _JSON, None, None) if kept.response is not None else None
    journaled = Journaled(
        exchange=bytes.fromhex(kept.seen.id),
        boot=kept.seen.boot,
        intent=_intent(kept, dialect, _JSON, None, kept.request is not None),
        closing=_closing(kept),
        head=head,
        request=kept.request or b"",
        pieces=[kept.response] if kept.response is not None else [],
    )
    return replace(understand(journaled, prices), seen=kept.seen)


def _closing(kept: KeptExchange) -> Closing:
    seen = kept.seen
    return Closing(
        observed=seen.observed,  # type: ignore[arg-type] # one of these words, as the journal had it
        status=seen.status,
        head=None,
        arrivals=Arrivals([], []),
        response_bytes=seen.response_bytes,
        truncated=seen.capture_truncated,
        error=seen.code,
        overhead=seen.overhead,
        ttft=seen.ttft,
        duration=seen.duration or 0,
        grpc_status=kept.raw.grpc_status if kept.raw is not None else None,
    )


def _intent(kept: KeptExchange, dialect: str, media_type: str | None, coding: str | None, body: bool) -> Intent:
    seen = kept.seen
    return Intent(
        number=seen.number,
        started_at=seen.started_at,
        node=seen.node,
        principal=seen.principal,
        credential=seen.credential,
        address=seen.address,
        user_agent=seen.user_agent,
        mode=seen.mode,
        outcome=seen.outcome,
        code=seen.code,
        rule=seen.rule,
        reason=seen.reason,
        policy=seen.policy,
        provider=seen.provider,
        dialect=dialect,
        method=seen.method,
        host=seen.host,
        path=seen.path,
        query=seen.query,
        content_type=media_type,
        content_encoding=coding,
        body_bytes=seen.request_bytes,
        body_kept=body,
        operation=kept.operation,
        request_model=None if body else kept.request_model,  # a better reader may find another in the body
        stream=False,
        changed=seen.changed,
    )
