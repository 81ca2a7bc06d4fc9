"""AWS event stream (`application/vnd.amazon.eventstream`): binary frames with headers, a payload and two checksums.

    total length (4) · headers length (4) · CRC-32 of these 8 (4) · headers · payload · CRC-32 of all before (4)

Source: "Amazon event stream specification", Smithy 2.0. Numbers are big-endian.
"""

import json
import struct
import zlib
from typing import Final

from wire.api import Event

LARGEST: Final = 24 * 1024 * 1024
"""Bytes of one frame, checksums included; a longer one is refused, as the AWS SDKs do."""

_PRELUDE: Final = struct.Struct("!III")
_CHECKSUM: Final = 4
_SMALLEST: Final = _PRELUDE.size + _CHECKSUM
_STRING_TYPES: Final = (6, 7)  # byte array, string: a length of two bytes before them
_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of the header value types without a length: true, false, byte, short, integer, long, timestamp, UUID."""


class FrameReader:
    """Bytes in any cuts, events out.

    An event's name is the frame's `:event-type`. Exceptions and errors become events of field "error" whose name is the
    exception's type. `bad_frames`: frames whose checksum or headers are wrong (dropped); `unread`: bytes after a broken
    length, behind which no frame can be found; `unterminated`: the body ended inside a frame.
    """

    def __init__(self) -> None:
        self.bad_frames = 0
        self.unread = 0
        self.unterminated = False
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self.unread:
            self.unread += len(data)
            return []
        held = self._held
        held += data
        events: list[Event] = []
        at = 0
        while len(held) - at >= _PRELUDE.size:
            length, headers, checksum = _PRELUDE.unpack_from(held, at)
            broken = zlib.crc32(held[at : at + 8]) != checksum
            if broken or not _SMALLEST + headers <= length <= LARGEST:
                self.bad_frames += 1
                self.unread = len(held) - at
                at = len(held)
                break
            if len(held) - at < length:
                break
            event = self._event(bytes(held[at : at + length]), headers)
            if event is not None:
                events.append(event)
            at += length
        del held[:at]
        return events

    def close(self) -> list[Event]:
        """Nothing comes out of a frame that is not whole; that there was one is told by `unterminated`."""
        self.unterminated = bool(self._held)
        self._held.clear()
        return []

    def _event(self, frame: bytes, headers_length: int) -> Event | None:
        end = len(frame) - _CHECKSUM
        if zlib.crc32(frame[:end]) != int.from_bytes(frame[end:]):
            self.bad_frames += 1
            return None
        start = _PRELUDE.size + headers_length
        headers = _headers(frame[_PRELUDE.size : start])
        if headers is None:
            self.bad_frames += 1
            return None
        data = frame[start:end].decode("utf-8", "replace")
        match headers.get(":message-type", "event"):
            case "exception":
                return Event(data, headers.get(":exception-type", "exception"), "error")
            case "error":
                told = {"code": headers.get(":error-code", ""), "message": headers.get(":error-message", "")}
                return Event(json.dumps(told), told["code"] or "error", "error")
        return Event(data, headers.get(":event-type", ""))


def _headers(block: bytes) -> dict[str, str] | None:
    """The headers that are strings; None when the block does not add up."""
    found: dict[str, str] = {}
    at = 0
    while at < len(block):
        name_end = at + 1 + block[at]
        name = block[at + 1 : name_end].decode("utf-8", "replace")
        if name_end >= len(block):
            return None
        kind = block[name_end]
        at = name_end + 1
        if kind in _STRING_TYPES:
            size = int.from_bytes(block[at : at + 2])
            at += 2
            if at + size > len(block):
                return None
            if kind == _STRING_TYPES[1]:
                found[name] = block[at : at + size].decode("utf-8", "replace")
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            return None
        at += size
    return found if at == len(block) else None
