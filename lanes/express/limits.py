"""What a caller, and an upstream, may cost us. Seconds and bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults for a gateway. Deadlines are kept to within `sweep_seconds`.

    A request's body must arrive within `body_seconds` plus one second for each `body_rate` bytes received, as Apache's
    RequestReadTimeout has it: slow lines live, one byte a second does not.
    """

    connections: int = 20_000
    connections_per_address: int | None = None
    head_bytes: int = 64 * 1024
    head_fields: int = 200
    head_seconds: float = 15
    keep_alive_seconds: float = 75
    body_bytes: int = 64 << 20
    bodies_bytes: int = 1 << 30
    """Of all bodies that are not all here yet."""
    body_seconds: float = 20
    body_rate: int = 1024
    pipelined_bytes: int = 64 * 1024
    """Bytes read ahead of a request that is being answered; more waits in the kernel."""
    send_seconds: float = 300
    """A caller that takes nothing for so long is gone."""
    linger_seconds: float = 10
    linger_bytes: int = 64 << 20
    """After a refusal, what the caller still sends is read and dropped, so that it can read the answer."""

    connect_seconds: float = 10
    """Name, TCP and TLS together."""
    happy_eyeballs_seconds: float = 0.25
    """Head start of each address over the next (RFC 8305 §5)."""
    reply_seconds: float = 3600
    """Longest silence of an upstream, before the reply's head and within its body. Reasoning models think long."""
    reply_head_bytes: int = 256 * 1024
    reply_bytes: int = 256 << 20
    """Largest reply that is buffered because no addon asked for streaming."""
    idle_connections: int = 256
    """Kept warm for each destination."""
    idle_seconds: float = 55
    """Below the 60 s after which common load balancers drop an idle connection."""
    age_seconds: float = 900
    """So that a change in DNS is noticed."""
    sweep_seconds: float = 1
