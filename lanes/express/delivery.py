"""How a reply's body gets to the caller: as it comes, or kept until it is whole."""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from mitmproxy import http

from lanes.express.bodies import SizedWalk, Walk
from lanes.express.chunks import ChunkWalk
from lanes.express.framing import BrokenFraming, Framing, Kind
from lanes.express.head import ReplyHead
from lanes.express.writing import announced_length, is_untouched

log = logging.getLogger(__name__)

type Tap = Callable[[bytes], Iterable[bytes] | bytes]


class ReplyTooLarge(ValueError):  # noqa: N818 - says what is wrong
    """A reply that must be kept is larger than what we keep."""


class Delivery(Protocol):
    def take(self, data: bytes, pieces: list[bytes]) -> None:
        """`data` as it came off the wire, `pieces` the payload in it."""

    def last(self, data: bytes, pieces: list[bytes], trailers: bytes) -> bytes:
        """The same for the data that ends the reply; gives what is still to be written, framing and all."""


class Stream:
    """Hands on what came. `tap` sees each slice of payload, and b"" once at the end.

    While it gives back the very object it got, raw bytes go on, framing included. From the first slice that it
    changes, payload gets framing of our own (framing.py). A tap that raises is not asked again: the copy may fail, not
    the answer.
    """

    __slots__ = ("_ahead", "_framing", "_kind", "_tap", "_walk", "_write")

    def __init__(
        self,
        write: Callable[[bytes], None],
        head: bytes,
        tap: Tap | None,
        walk: Walk,
        kind: Kind,
        framing: Framing | None,
    ) -> None:
        self._ahead = head
        self._write = write
        self._tap = tap
        self._walk = walk
        self._kind = kind
        self._framing = framing

    def take(self, data: bytes, pieces: list[bytes]) -> None:
        """Raises BrokenFraming."""
        out = self._passed(data, pieces)
        if self._ahead:
            out = self._ahead + out
            self._ahead = b""
        if out:
            self._write(out)

    def flush(self) -> None:
        """The head alone came: it does not wait for the body. Together they are one write, one system call."""
        head, self._ahead = self._ahead, b""
        self._write(head)

    def last(self, data: bytes, pieces: list[bytes], trailers: bytes) -> bytes:
        """Raises BrokenFraming."""
        out = self._passed(data, pieces)
        if self._ahead:
            out = self._ahead + out
            self._ahead = b""
        tail = self._tapped(b"") if self._tap is not None else b""
        framing = self._framing
        if framing is None:
            if not tail or self._kind == "until_close":
                return out + tail
            if self._kind != "chunked" or (self._walk.midway and not pieces):
                raise BrokenFraming("an addon added to a reply whose framing had gone before")
            out = out[: len(out) - len(data)] + self._reframed(data, pieces, len(pieces), b"")
            framing = self._framing
            assert framing is not None
        return out + framing.wrap(tail) + framing.close(trailers)

    def _passed(self, data: bytes, pieces: list[bytes]) -> bytes:
        tap = self._tap
        framing = self._framing
        if framing is not None:
            return b"".join([framing.wrap(self._tapped(piece)) for piece in pieces])
        if tap is None:
            return data
        for i, piece in enumerate(pieces):
            try:
                given = tap(piece)
            except Exception:  # noqa: BLE001 - an addon may raise anything; it is logged there
                self._give_up()
                break
            if given is not piece:
                return self._reframed(data, pieces, i, _joined(given))
        return data

    def _reframed(self, data: bytes, pieces: list[bytes], changed: int, given: bytes) -> bytes:
        # Whatever of a chunk the caller has already seen announced in raw bytes stays owed.
        walk = self._walk
        head = b""
        debt = walk.lead_left
        if self._kind == "chunked":
            if walk.midway:
                head = data[: max(walk.lead, 0)]
            else:
                debt = 0
        framing = self._framing = Framing(self._kind, debt)
        out = [head, *(framing.wrap(piece) for piece in pieces[:changed]), framing.wrap(given)]
        out += [framing.wrap(self._tapped(piece)) for piece in pieces[changed + 1 :]]
        return b"".join(out)

    def _tapped(self, piece: bytes) -> bytes:
        if self._tap is None:
            return piece
        try:
            return _joined(self._tap(piece))
        except Exception:  # noqa: BLE001 - the same
            self._give_up()
            return piece

    def _give_up(self) -> None:
        log.exception("A stream hook failed; the rest of this reply passes by it.")
        self._tap = None


def _joined(given: Iterable[bytes] | bytes) -> bytes:
    return given if isinstance(given, bytes) else b"".join(given)


def framing_for(
    walk: Walk, response: http.Response, head: ReplyHead, speaks_chunks: bool
) -> tuple[Kind, Framing | None]:
    """How the caller will see the end of a streamed reply. None: as it comes.

    `speaks_chunks`: the caller's request was HTTP/1.1 (RFC 9112 §6.1).
    """
    if isinstance(walk, ChunkWalk):
        return ("chunked", None) if speaks_chunks else ("until_close", Framing("until_close"))
    if isinstance(walk, SizedWalk):
        if is_untouched(response, head) or announced_length(response) == head.length:
            return "sized", None
        kind: Kind = "chunked" if speaks_chunks else "until_close"  # an addon means to change the size
        return kind, Framing(kind)
    return "until_close", None


class Kept:
    """The payload, for addons that want a reply whole. Nothing is written here."""

    __slots__ = ("_limit", "_size", "pieces")

    def __init__(self, limit: int) -> None:
        self.pieces: list[bytes] = []
        self._limit = limit
        self._size = 0

    def take(self, data: bytes, pieces: list[bytes]) -> None:  # noqa: ARG002 - the raw bytes are Stream's affair
        """Raises ReplyTooLarge."""
        for piece in pieces:
            self._size += len(piece)
        if self._size > self._limit:
            raise ReplyTooLarge
        self.pieces += pieces

    def last(self, data: bytes, pieces: list[bytes], trailers: bytes) -> bytes:  # noqa: ARG002
        """Raises ReplyTooLarge."""
        self.take(data, pieces)
        return b""
