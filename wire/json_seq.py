"""JSON text sequences (RFC 7464, `application/json-seq`): how the messages of a WebSocket are kept, each as it came.

Each text stands between RS (0x1E), which no JSON text holds, and LF.
"""

from typing import Final

from wire.api import Event

MEDIA_TYPE: Final = "application/json-seq"
LIMIT: Final = 32 * 1024 * 1024
"""Bytes of one text; a longer one is dropped whole and counted in `oversized`."""


def element(text: bytes) -> bytes:
    """One text of a sequence."""
    return b"\x1e%b\n" % text


def texts_of(raw: bytes) -> list[bytes]:
    """The texts of a whole sequence."""
    return [each.removesuffix(b"\n") for each in raw.split(b"\x1e") if each]


class JsonSequence:
    """Bytes in any cuts, events out. `oversized`: texts dropped for their size; `cut`: a last one without its end."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.oversized = 0
        self.cut = ""
        self._limit = limit
        self._tail: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete: a text is known to be whole when the next begins."""
        events: list[Event] = []
        first, *rest = data.split(b"\x1e")
        self._keep(first)
        for piece in rest:
            events += self._end()
            self._keep(piece)
        return events

    def close(self) -> list[Event]:
        """The last text, if its LF is there: one that was cut is no event."""
        if self._tail and not self._tail[-1].endswith(b"\n"):
            self.cut = b"".join(self._tail).decode("utf-8", "replace")
            self._tail.clear()
        return self._end()

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if piece and self._size <= self._limit:
            self._tail.append(piece)

    def _end(self) -> list[Event]:
        size, self._size = self._size, 0
        whole = b"".join(self._tail).strip()
        self._tail.clear()
        if size > self._limit:
            self.oversized += 1
            return []
        return [Event(whole.decode("utf-8", "replace"))] if whole else []
