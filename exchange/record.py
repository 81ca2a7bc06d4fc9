"""The whole exchange, ready to keep and to show: the shape of RECORD.md."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from exchange.call import Operation, Text
from exchange.principal import Principal
from exchange.reply import Usage

EndState = Literal["complete", "client_gone", "upstream_cut", "upstream_error", "timed_out", "refused", "proxy_died"]
UsageSource = Literal["provider", "estimated", "none"]
Raw = Literal["kept", "expired", "masked", "off"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed: fixed when it happened, covered by the hash chain. Times in microseconds."""

    id: str  # UUIDv7, 32 hex digits
    started_at: int  # since 1970, wall clock
    node: str
    principal: Principal | None
    credential: str | None
    address: str | None
    user_agent: str | None
    mode: str
    outcome: Literal["allow", "deny"]
    code: str | None
    rule: str | None
    reason: str | None
    policy: str
    provider: str
    method: str
    host: str
    path: str
    query: str | None
    observed: str  # how it ended, as the worker saw it
    status: int | None
    request_bytes: int
    response_bytes: int
    capture_truncated: bool
    upstream_request_id: str | None
    overhead: int | None
    ttft: int | None
    duration: int | None
    changed: tuple[str, ...]
    boot: str = ""  # the life of the worker that saw it
    number: int = 0  # counts what that worker saw, from 1: a gap is an exchange that is not here


@dataclass(frozen=True, slots=True)
class Derived:
    """What a reader made of it: may be made again by a better reader; outside the chain."""

    operation: Operation
    request_model: str | None
    response_model: str | None
    stream: bool
    end_state: EndState
    usage: Usage
    usage_source: UsageSource
    cost_usd: float | None
    request: bytes | None  # JSON text; None when there was no body, or it was not kept
    response: bytes | None
    texts: tuple[Text, ...] = ()
    thread_id: str | None = None
    thread_keys: tuple[bytes, ...] = ()  # what later exchanges of this thread may refer to, hashed
    tools: tuple[str, ...] = ()  # which the model called
    connection: str | None = None  # of a WebSocket: its exchanges are one thread


@dataclass(frozen=True, slots=True)
class RawBytes:
    """The bytes as they came, and when: offsets in microseconds from the request's last byte, with lengths."""

    request: bytes
    request_type: str | None
    request_coding: str | None
    response: bytes
    response_type: str | None
    response_coding: str | None
    arrivals: tuple[tuple[int, int], ...]
    grpc_status: int | None = None  # what the trailers behind the response said of the call


@dataclass(frozen=True, slots=True)
class Record:
    """One exchange as the recorder hands it to a store."""

    seen: Seen
    derived: Derived
    raw: RawBytes
    content: bool = True  # False: sizes, usage and decision are kept, and nothing that was said


def iso(microseconds: int) -> str:
    """RFC 3339 in UTC with microseconds, as in RECORD.md."""
    at = datetime.fromtimestamp(microseconds // 1_000_000, tz=UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{microseconds % 1_000_000:06d}Z"


def identifier(hex_digits: str) -> str:
    """A UUID as people read it: 8-4-4-4-12."""
    h = hex_digits
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
