"""A request's body as it arrives: whole, bounded, in time, without trailers."""

from lanes.express.bodies import SizedWalk
from lanes.express.chunks import ChunkProblem, ChunkWalk
from lanes.express.head import RequestHead
from lanes.express.limits import Limits


class Held:
    """Bytes of unfinished bodies, of all callers together: one who sends many at once, slowly, must not take the memory
    of everybody's."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


class RequestBody:
    """`feed` until `whole` is not None; `rest` is then what followed it on the wire. What it holds counts in `held`
    until nobody has it any more."""

    __slots__ = ("_held", "_limits", "_pieces", "_received", "_since", "_walk", "rest", "whole")

    def __init__(self, head: RequestHead, limits: Limits, now: float, held: Held) -> None:
        self._held = held
        self._limits = limits
        self._walk = ChunkWalk() if head.chunked else SizedWalk(head.length or 0)
        self._pieces: list[bytes] = []
        self._received = 0
        self._since = now
        self.whole: bytes | None = None
        self.rest = b""

    def feed(self, data: bytes) -> str | None:
        """The code of a fault, or None. Framing counts against the limit as well: tiny chunks hide nothing."""
        walk = self._walk
        try:
            pieces = walk.feed(data)
        except ChunkProblem:
            return "bad_request"
        if len(pieces) > 1:
            pieces = [b"".join(pieces)]  # of chunks of a byte the list would be many times their size
        for piece in pieces:
            self._received += len(piece)
            self._held.size += len(piece)
        most = self._limits.body_bytes
        if self._received > most or (isinstance(walk, ChunkWalk) and walk.overhead > most):
            return "body_too_large"
        if self._held.size > self._limits.bodies_bytes:
            return "overloaded"
        self._pieces += pieces
        if walk.end >= 0:
            if walk.trailers:
                return "trailers_not_supported"
            self.whole = b"".join(self._pieces)
            self.rest = data[walk.end :]
        return None

    def __del__(self) -> None:
        self._held.size -= self._received

    def is_late(self, now: float) -> bool:
        limits = self._limits
        return now - self._since > limits.body_seconds + self._received / limits.body_rate
