"""A request's body as it arrives: whole, bounded, in time, without trailers."""

from lanes.express.bodies import SizedWalk
from lanes.express.chunks import ChunkProblem, ChunkWalk
from lanes.express.head import RequestHead
from lanes.express.limits import Limits


class RequestBody:
    """`feed` until `whole` is not None; `rest` is then what followed it on the wire."""

    __slots__ = ("_limits", "_pieces", "_received", "_since", "_walk", "rest", "whole")

    def __init__(self, head: RequestHead, limits: Limits, now: float) -> None:
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
        for piece in pieces:
            self._received += len(piece)
        most = self._limits.body_bytes
        if self._received > most or (isinstance(walk, ChunkWalk) and walk.overhead > most):
            return "body_too_large"
        self._pieces += pieces
        if walk.end >= 0:
            if walk.trailers:
                return "trailers_not_supported"
            self.whole = b"".join(self._pieces)
            self.rest = data[walk.end :]
        return None

    def is_late(self, now: float) -> bool:
        limits = self._limits
        return now - self._since > limits.body_seconds + self._received / limits.body_rate
