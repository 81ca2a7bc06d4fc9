"""Framing of our own, for replies that an addon changes on their way."""

from typing import Literal

type Kind = Literal["chunked", "sized", "until_close"]


class BrokenFraming(ValueError):  # noqa: N818 - says what is wrong
    """The changed reply does not fit the framing that the caller was already given."""


class Framing:
    """Puts payload into chunks, or under a length that was announced, or as it is when the close ends the reply.

    `debt` is payload the caller has been promised in raw bytes that went before: the rest of a chunk in flight, or the
    rest of a sized body. It is paid first; what is over becomes chunks of its own.
    """

    __slots__ = ("_debt", "_kind")

    def __init__(self, kind: Kind, debt: int = 0) -> None:
        self._kind = kind
        self._debt = debt

    def wrap(self, payload: bytes) -> bytes:
        """Raises BrokenFraming when a sized reply outgrows its length."""
        if not payload or self._kind == "until_close":
            return payload
        if self._kind == "sized":
            if len(payload) > self._debt:
                raise BrokenFraming("the changed reply is longer than its Content-Length")
            self._debt -= len(payload)
            return payload
        if self._debt:
            paid, payload = payload[: self._debt], payload[self._debt :]
            self._debt -= len(paid)
            if self._debt:
                return paid
            return paid + b"\r\n" + self.wrap(payload)
        return b"%x\r\n%b\r\n" % (len(payload), payload)

    def close(self, trailers: bytes = b"") -> bytes:
        """What ends the reply. Raises BrokenFraming when less came than was promised."""
        if self._debt:
            raise BrokenFraming("the changed reply is shorter than what was announced")
        return b"0\r\n%b\r\n" % trailers if self._kind == "chunked" else b""
