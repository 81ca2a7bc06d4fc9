"""Content-Encoding undone, as the bytes come (RFC 9110 §8.4.1): gzip, deflate, br, zstd, and lists of them.

A copy is decoded, never the stream that is passed on. What came out of a truncated or broken body is kept.
"""

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

import brotli
import zstandard

PIECE: Final = 1024 * 1024
"""Bytes that come out at once, about; a bomb is never held whole."""

LIMIT: Final = 256 * 1024 * 1024
"""Decoded bytes of one body; what comes after is dropped, and `oversized` says so. The smallest events take some 5 µs
each to read: more than this, out of a megabyte that was sent, would keep the recorder from everybody else for long."""

CODINGS: Final = 8
"""Codings of one body; more of them are no honest list."""

WINDOW: Final = 8 * 1024 * 1024
"""zstd's largest window (RFC 8878 §3.1.1.1.2 recommends to support up to 8 MB)."""

_ZSTD_SLICE: Final = 1024  # no output limit can be given, so the input comes in slices: at most 32 MiB each
_GZIP_START: Final = b"\x1f\x8b"
_ZSTD_FRAME: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_STARTS: Final = (_ZSTD_FRAME, *(bytes((first, 0x2A, 0x4D, 0x18)) for first in range(0x50, 0x60)))


class Coding(Protocol):
    """One content coding. `open` means that more has to come; `broken` that nothing after can be read."""

    broken: bool

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    @property
    def open(self) -> bool: ...


class ContentDecoder:
    """Undoes a Content-Encoding, however the bytes are cut.

    `unknown`: a coding in the list is not known here, or there are more than CODINGS, so nothing is undone;
    `truncated`: the body ended inside; `broken`: it was no such coding from some byte on; `oversized`: more than LIMIT
    came out.
    """

    def __init__(self, content_encoding: str | None, limit: int = LIMIT) -> None:
        names = [name.strip().lower() for name in (content_encoding or "").split(",")]
        names = [name for name in names if name not in ("", "identity")]
        self.unknown = len(names) > CODINGS or any(name not in _CODINGS for name in names)
        self.oversized = False
        self._codings = [] if self.unknown else [_CODINGS[name]() for name in reversed(names)]
        self._left = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces."""
        if not self._codings:
            if data:
                yield data
            return
        for piece in self._through(data, 0):
            if len(piece) > self._left:
                self.oversized = True
                piece = piece[: self._left]
            self._left -= len(piece)
            if piece:
                yield piece
            if self.oversized:
                return

    @property
    def truncated(self) -> bool:
        return any(coding.open for coding in self._codings)

    @property
    def broken(self) -> bool:
        return any(coding.broken for coding in self._codings)

    def _through(self, data: bytes, at: int) -> Iterator[bytes]:
        if at == len(self._codings):
            yield data
            return
        for piece in self._codings[at].feed(data):
            yield from self._through(piece, at + 1)


class Gzip:
    """RFC 1952; members follow each other. What follows the last one and is none is dropped."""

    def __init__(self) -> None:
        self.broken = False
        self._member: zlib._Decompress | None = None
        self._between = b""
        self._any = False

    @property
    def open(self) -> bool:
        return self._member is not None or bool(self._between and not self._any)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self.broken:
            if self._member is None:
                data = self._between + data
                if len(data) < len(_GZIP_START) and _GZIP_START.startswith(data):
                    self._between = data
                    return
                self._between = b""
                if not data.startswith(_GZIP_START):
                    self.broken = True
                    return
                self._member = zlib.decompressobj(31)
                self._any = True
            try:
                piece = self._member.decompress(data, PIECE)
            except zlib.error:
                self.broken = True
                return
            if piece:
                yield piece
            if self._member.eof:
                data = self._member.unused_data
                self._member = None
            else:
                data = self._member.unconsumed_tail
                if not data and len(piece) == PIECE:
                    yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        """What a full piece left inside the decompressor."""
        while self._member is not None and not self._member.eof:
            piece = self._member.decompress(b"", PIECE)
            if not piece:
                return
            yield piece


class Deflate:
    """RFC 9110 §8.4.1.2 says zlib (RFC 1950); some senders leave the wrapper away (RFC 1951)."""

    def __init__(self) -> None:
        self.broken = False
        self._start = b""
        self._body: zlib._Decompress | None = None

    @property
    def open(self) -> bool:
        return bool(self._start) if self._body is None else not self._body.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._body is None:
            self._start += data
            if len(self._start) < 2:
                return
            data = self._start
            wrapped = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._body = zlib.decompressobj(15 if wrapped else -15)
        while not self.broken and not self._body.eof:
            try:
                piece = self._body.decompress(data, PIECE)
            except zlib.error:
                self.broken = True
                return
            data = self._body.unconsumed_tail
            if piece:
                yield piece
            if not data and len(piece) < PIECE:
                return


class Brotli:
    """RFC 7932."""

    def __init__(self) -> None:
        self.broken = False
        self._body = brotli.Decompressor()
        self._any = False

    @property
    def open(self) -> bool:
        return self._any and not self._body.is_finished()

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._any = self._any or bool(data)
        while not self.broken and not self._body.is_finished():
            try:
                piece = self._body.process(data, output_buffer_limit=PIECE)
            except brotli.error:
                self.broken = True
                return
            data = b""
            if piece:
                yield piece
            if self._body.can_accept_more_data():
                return


class Zstd:
    """RFC 8878; frames follow each other, skippable ones among them."""

    def __init__(self) -> None:
        self.broken = False
        self._reader = zstandard.ZstdDecompressor(max_window_size=WINDOW)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._skip = 0
        self._between = b""

    @property
    def open(self) -> bool:
        return self._frame is not None or self._skip > 0 or bool(self._between)

    def feed(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _ZSTD_SLICE):
            yield from self._slice(data[at : at + _ZSTD_SLICE])

    def _slice(self, data: bytes) -> Iterator[bytes]:
        while data and not self.broken:
            if self._skip:
                skipped = min(self._skip, len(data))
                self._skip -= skipped
                data = data[skipped:]
                continue
            if self._frame is None:
                data = self._begin(self._between + data)
                continue
            try:
                piece = self._frame.decompress(data)
            except zstandard.ZstdError:
                self.broken = True
                return
            data = b""
            if self._frame.eof:
                data = self._frame.unused_data
                self._frame = None
            if piece:
                yield piece

    def _begin(self, data: bytes) -> bytes:
        """Opens the frame that begins here and gives what is to be read next."""
        self._between = b""
        if len(data) < 4 and any(start.startswith(data) for start in _ZSTD_STARTS):
            self._between = data
            return b""
        if not data.startswith(_ZSTD_STARTS):
            self.broken = True
            return b""
        if data.startswith(_ZSTD_FRAME):
            self._frame = self._reader.decompressobj()
            return data
        if len(data) < 8:
            self._between = data
            return b""
        self._skip = int.from_bytes(data[4:8], "little")
        return data[8:]


_CODINGS: Final[dict[str, type[Gzip | Deflate | Brotli | Zstd]]] = {
    "gzip": Gzip,
    "x-gzip": Gzip,
    "deflate": Deflate,
    "br": Brotli,
    "zstd": Zstd,
}
