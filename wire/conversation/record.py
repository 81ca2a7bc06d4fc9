"""A record as people's pages read it: the object of docs/record.md, typed; what is not known here is left aside."""

from datetime import datetime
from typing import Any

import msgspec

from wire.conversation import Turn, conversation, question


class Principal(msgspec.Struct, frozen=True):
    subject: str | None = None
    email: str | None = None
    domain: str | None = None
    issuer: str | None = None
    groups: list[str] = []


class Client(msgspec.Struct, frozen=True):
    address: str | None = None
    user_agent: str | None = None
    mode: str | None = None
    credential: str | None = None


class Decision(msgspec.Struct, frozen=True):
    outcome: str
    code: str | None = None
    rule: str | None = None
    reason: str | None = None
    policy: str | None = None


class Usage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    source: str = "none"


class Timing(msgspec.Struct, frozen=True):
    ttft_ms: float | None = None
    duration_ms: float | None = None
    overhead_ms: float | None = None


class ShownRecord(msgspec.Struct, frozen=True):
    """One exchange. Bodies stay as they are; `turns` and `question` read them."""

    id: str
    seq: int
    started_at: datetime
    node: str
    client: Client
    decision: Decision
    provider: str
    operation: str
    method: str
    host: str
    path: str
    end_state: str
    usage: Usage
    timing: Timing
    raw: str
    stream: bool = False
    principal: Principal | None = None
    claimed_user: str | None = None
    query: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    status: int | None = None
    capture_truncated: bool = False
    cost_usd: float | None = None
    thread_id: str | None = None
    upstream_request_id: str | None = None
    request: Any = None
    response: Any = None
    request_bytes: int = 0
    response_bytes: int = 0
    erased_at: str | None = None
    findings: list[Any] = []
    changed: list[str] = []

    @property
    def person(self) -> str:
        """Who: the address, else the subject, else the keyed hash of the key that was used."""
        who = self.principal
        if who is not None and (who.email or who.subject):
            return who.email or who.subject or ""
        return self.client.credential[:17] if self.client.credential else "-"

    @property
    def model(self) -> str:
        return self.request_model or self.response_model or "-"

    @property
    def outcome(self) -> str:
        """How it went, in one word: the status where all is well, else why not."""
        if self.end_state == "refused":
            return self.decision.code or "refused"
        if self.end_state == "complete":
            return str(self.status or "complete")
        return f"{self.end_state} {self.status}" if self.status and self.status >= 400 else self.end_state

    def turns(self) -> list[Turn]:
        return conversation(self.operation, self.request, self.response)

    def question(self) -> str:
        return question(self.operation, self.request)


_decode = msgspec.json.Decoder(ShownRecord).decode


def read_record(line: bytes) -> ShownRecord:
    """The record in a line of JSON that the store gave."""
    return _decode(line)
