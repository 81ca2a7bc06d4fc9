"""JSON lines (`application/x-ndjson`) out of bytes: one event a line."""

from typing import Final

from wire.api import Event
from wire.json_text import is_json

LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one line; a longer one is dropped whole and counted in `oversized`."""


class JsonLines:
    """Bytes in any cuts, events out. Lines end in LF; a CR before it is white space to JSON.

    `oversized`: lines dropped for their size; `unterminated`: the last line had no end; `cut`: what was left of a last
    line that was not whole.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.oversized = 0
        self.unterminated = False
        self.cut = ""
        self._limit = limit
        self._tail: list[bytes] = []
        self._size = 0
        self._skipping = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        lines = data.split(b"\n")
        events: list[Event] = []
        for line in lines[:-1]:
            self._keep(line)
            whole = b"".join(self._tail)
            self._tail.clear()
            self._size = 0
            if self._skipping:
                self._skipping = False
                self.oversized += 1
            elif whole.strip():
                events.append(Event(_text(whole)))
        self._keep(lines[-1])
        return events

    def close(self) -> list[Event]:
        """The last line, if it is whole without its end."""
        if self._skipping:
            self.oversized += 1
            return []
        last = _text(b"".join(self._tail)).strip()
        self._tail.clear()
        if not last:
            return []
        if is_json(last):
            self.unterminated = True
            return [Event(last)]
        self.cut = last
        return []

    def _keep(self, piece: bytes) -> None:
        if self._skipping or not piece:
            return
        self._tail.append(piece)
        self._size += len(piece)
        if self._size > self._limit:
            self._tail.clear()
            self._skipping = True


def _text(line: bytes) -> str:
    return line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
