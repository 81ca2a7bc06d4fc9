"""Bodies whose end is a length or the connection's end, walked by the same two words as chunks: `feed` and `end`."""

from typing import Protocol

from lanes.express.chunks import ChunkWalk
from lanes.express.head import ReplyHead


class Walk(Protocol):
    """See ChunkWalk for what the names promise."""

    end: int
    lead: int
    lead_left: int
    midway: bool
    trailers: bytes

    def feed(self, data: bytes) -> list[bytes]: ...


class SizedWalk:
    """A body of `left` bytes (RFC 9112 §6.2). Of an empty body `end` is 0 from the start."""

    __slots__ = ("end", "lead", "lead_left", "left", "midway", "trailers")

    def __init__(self, left: int) -> None:
        self.left = left
        self.end = -1 if left else 0
        self.lead = 0
        self.lead_left = left
        self.midway = True
        self.trailers = b""

    def feed(self, data: bytes) -> list[bytes]:
        left = self.lead_left = self.left
        size = len(data)
        if size < left:
            self.left = left - size
            return [data]
        self.left = 0
        self.end = left
        return [data if size == left else data[:left]]


class UntilClose:
    """A reply that ends with its connection (RFC 9112 §6.3, last case)."""

    __slots__ = ("end", "lead", "lead_left", "midway", "trailers")

    def __init__(self) -> None:
        self.end = -1
        self.lead = 0
        self.lead_left = 0
        self.midway = True
        self.trailers = b""

    def feed(self, data: bytes) -> list[bytes]:
        return [data]


def walk_for(head: ReplyHead, *, bodiless: bool) -> Walk:
    """How a reply's body is found (RFC 9112 §6.3). `bodiless`: a reply to HEAD, a 204 or a 304."""
    if bodiless:
        return SizedWalk(0)
    if head.chunked:
        return ChunkWalk()
    return SizedWalk(head.length) if head.length is not None else UntilClose()
