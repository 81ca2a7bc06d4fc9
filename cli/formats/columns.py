"""The record as a table: a row an exchange. Names and units are those of `exchange_readable` (docs/schema.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from wire.conversation import conversation
from wire.conversation.record import ShownRecord

type Value = str | int | float | bool | datetime | None
Kind = Literal["text", "integer", "number", "flag", "time"]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind
    of: Callable[[ShownRecord], Value]


def _person(name: str) -> Column:
    return Column(name, "text", lambda record: getattr(record.principal, name, None))


def answer(record: ShownRecord) -> str | None:
    """What the model said in words; None when it said nothing."""
    turns = conversation(record.operation, None, record.response)
    return "\n".join(turn.text for turn in turns if turn.kind in ("text", "refusal")) or None


COLUMNS: Final = (
    Column("seq", "integer", lambda record: record.seq),
    Column("id", "text", lambda record: record.id),
    Column("started_at", "time", lambda record: record.started_at),
    Column("node", "text", lambda record: record.node),
    _person("issuer"),
    _person("subject"),
    _person("email"),
    _person("domain"),
    Column("credential", "text", lambda record: record.client.credential),
    Column("client_address", "text", lambda record: record.client.address),
    Column("user_agent", "text", lambda record: record.client.user_agent),
    Column("mode", "text", lambda record: record.client.mode),
    Column("decision", "text", lambda record: record.decision.outcome),
    Column("code", "text", lambda record: record.decision.code),
    Column("rule", "text", lambda record: record.decision.rule),
    Column("reason", "text", lambda record: record.decision.reason),
    Column("provider", "text", lambda record: record.provider),
    Column("operation", "text", lambda record: record.operation),
    Column("method", "text", lambda record: record.method),
    Column("host", "text", lambda record: record.host),
    Column("path", "text", lambda record: record.path),
    Column("request_model", "text", lambda record: record.request_model),
    Column("response_model", "text", lambda record: record.response_model),
    Column("stream", "flag", lambda record: record.stream),
    Column("status", "integer", lambda record: record.status),
    Column("end_state", "text", lambda record: record.end_state),
    Column("capture_truncated", "flag", lambda record: record.capture_truncated),
    Column("input_tokens", "integer", lambda record: record.usage.input_tokens),
    Column("output_tokens", "integer", lambda record: record.usage.output_tokens),
    Column("cached_input_tokens", "integer", lambda record: record.usage.cached_input_tokens),
    Column("reasoning_tokens", "integer", lambda record: record.usage.reasoning_tokens),
    Column("usage_source", "text", lambda record: record.usage.source),
    Column("cost_usd", "number", lambda record: record.cost_usd),
    Column("ttft_ms", "number", lambda record: record.timing.ttft_ms),
    Column("duration_ms", "number", lambda record: record.timing.duration_ms),
    Column("overhead_ms", "number", lambda record: record.timing.overhead_ms),
    Column("request_bytes", "integer", lambda record: record.request_bytes),
    Column("response_bytes", "integer", lambda record: record.response_bytes),
    Column("thread_id", "text", lambda record: record.thread_id),
    Column("upstream_request_id", "text", lambda record: record.upstream_request_id),
    Column("raw", "text", lambda record: record.raw),
    Column("question", "text", lambda record: record.question() or None),  # the last thing that the caller said
    Column("answer", "text", answer),
)
