"""What is known so far of every exchange that is open."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exchange.call import Call
from exchange.decision import Decision, Deny
from exchange.principal import Principal
from identities.verifier import Identified
from storage.journal.rows import ReplyHead
from upstreams.credential import Credential
from wire.api import Dialect

if TYPE_CHECKING:
    from addons.heads import Head

UNDECIDED = Deny("undecided")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call goes: the provider, and the path there."""

    provider: str
    dialect: Dialect
    scheme: str
    host: str
    port: int
    base: str  # path of the upstream's address, without a slash at the end
    path: str  # path at the provider, without query
    query: str | None  # as it came
    known: bool = True  # one of the settings' providers; else a host that a forward proxy was asked for

    @property
    def target(self) -> str:
        """What stands in the request line upstream."""
        asked = f"?{self.query}" if self.query is not None else ""
        return f"{self.base}{self.path}{asked}"


@dataclass(slots=True)
class OpenExchange:
    """One exchange on its way. Each step fills in its own lines and reads only earlier ones."""

    id: bytes  # UUIDv7
    started_at: int  # wall clock, microseconds
    began: float  # monotonic seconds
    decision: Decision = UNDECIDED
    settled: bool = False  # refused for good: no need to read the body
    head_in: "Head | None" = None
    principal: Principal | None = None
    identified: Identified | None = None
    credential: str | None = None  # the name of a caller's own key
    shown: Credential | None = None  # what we show the provider
    refused: Credential | None = None  # what we showed before, and the provider answered 401 to
    call: Call | None = None
    onward_body: bytes | None = None  # what the provider gets in place of what the caller sent; None: just that
    spent: float = 0.0  # seconds in us, waiting for the caller's bytes excluded
    asked: float | None = None  # monotonic: the request's last byte was in
    number: int = 0  # of its intent among this boot's, from 1
    journaled: bool = False  # the intent is in the journal, or on its way
    committed: bool = False  # the door was opened
    head: ReplyHead | None = None
    head_written: bool = False
    first_byte: float | None = None
    last_flush: float = 0.0
    chunks: list[bytes] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    kept: int = 0  # bytes in chunks
    response_bytes: int = 0
    said: int = 0  # bytes of a caller's messages, over a WebSocket
    connection: str | None = None  # of a WebSocket: the id of its first exchange
    fields: tuple[tuple[bytes, bytes], ...] = ()  # which prove who calls again: of a WebSocket, or of a call of gRPC
    truncated: bool = False


type OpenExchanges = dict[str, OpenExchange]
"""By flow.id. We owe a record for each: put in by the gate, taken out by the closer."""
