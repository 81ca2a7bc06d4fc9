"""The ClientHello, as it arrives: which name a caller asks for (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301 §3.1)."""

from dataclasses import dataclass
from typing import Final

LARGEST: Final = 32 << 10
"""Bytes of TLS records that one may fill. Post-quantum key shares make some 2 KB of it."""

RECORDS: Final = 32
"""TLS records that one may be cut into. Of thousands each would be gone through again with the next."""

UNRECOGNIZED_NAME: Final = b"\x15\x03\x01\x00\x02\x02\x70"
"""A fatal alert (RFC 8446 §6.2), for a caller that asked for another name than it may."""

_HANDSHAKE, _CLIENT_HELLO = 0x16, 0x01
_SERVER_NAME, _ALPN, _ECH = 0, 16, 0xFE0D


class NotTls(ValueError):  # noqa: N818 - says what it is
    """These bytes are no ClientHello, whatever follows them."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What it says. `encrypted`: an Encrypted ClientHello is offered, so that `name` may be a front's."""

    name: str | None
    protocols: tuple[bytes, ...] = ()
    encrypted: bool = False


def read_hello(data: bytes) -> Hello | None:
    """The ClientHello at the beginning of these bytes; None when it is not all here yet.

    Raises:
        NotTls: it is none, or larger than LARGEST.
    """
    message = bytearray()
    at = 0
    for _ in range(RECORDS):
        head = data[at : at + 5]
        if head[:1] not in (b"", b"\x16") or head[1:2] not in (b"", b"\x03"):
            raise NotTls
        if len(head) < 5:
            return None
        length = int.from_bytes(head[3:5])
        if not 0 < length <= 0x4000 or at + 5 + length > LARGEST:
            raise NotTls
        message += data[at + 5 : at + 5 + length]
        if message and message[0] != _CLIENT_HELLO:
            raise NotTls
        whole = 4 + int.from_bytes(message[1:4]) if len(message) >= 4 else LARGEST
        if len(message) >= 4 and whole > LARGEST:
            raise NotTls
        if len(message) >= whole:
            return _read(bytes(message[4:whole]))
        if len(data) < at + 5 + length:
            return None
        at += 5 + length
    raise NotTls


def worth_reading_at(data: bytes | bytearray) -> int:
    """With how many bytes the next TLS record is whole: before, `read_hello` has nothing new to find."""
    at = 0
    while len(data) >= at + 5:
        at += 5 + int.from_bytes(data[at + 3 : at + 5])
        if at > len(data):
            return at
    return at + 5


def _read(body: bytes) -> Hello:
    rest = _Rest(body)
    rest.take(34)  # legacy_version, random
    rest.vector(1)  # legacy_session_id
    rest.vector(2)  # cipher_suites
    rest.vector(1)  # legacy_compression_methods
    name: str | None = None
    protocols: tuple[bytes, ...] = ()
    encrypted = False
    extensions = _Rest(rest.vector(2) if rest.left else b"")
    seen: set[int] = set()
    while extensions.left:
        kind, content = int.from_bytes(extensions.take(2)), extensions.vector(2)
        if kind in seen:
            raise NotTls  # RFC 8446 §4.2: there must not be two of one type
        seen.add(kind)
        if kind == _SERVER_NAME:
            name = _name(_Rest(_Rest(content).vector(2)))
        elif kind == _ALPN:
            listed = _Rest(_Rest(content).vector(2))
            names: list[bytes] = []
            while listed.left:
                names.append(listed.vector(1))
            protocols = tuple(names)
        elif kind == _ECH:
            encrypted = True
    return Hello(name, protocols, encrypted)


def _name(listed: "_Rest") -> str:
    """The one host name; of two a server could take another than we do."""
    kind, name = listed.take(1), listed.vector(2)
    if kind != b"\x00" or listed.left or not name.isascii() or not name:
        raise NotTls
    return name.decode("ascii").lower().removesuffix(".")


class _Rest:
    """What is left to read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise NotTls
        self._at += count
        return self._data[self._at - count : self._at]

    def vector(self, size: int) -> bytes:
        """A length of `size` bytes, and as many bytes after it."""
        return self.take(int.from_bytes(self.take(size)))
