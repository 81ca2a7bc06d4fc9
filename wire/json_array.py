"""A JSON array that is sent element by element (Gemini without `alt=sse`): one event an element."""

import re
from typing import Final

from wire.api import Event

LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one element; a longer one is dropped whole and counted in `oversized`."""

_OUTSIDE: Final = re.compile(rb'["\[\]{},]')
_INSIDE: Final = re.compile(rb'["\\]')


class JsonArray:
    """Bytes in any cuts, events out. Each byte is looked at once.

    `oversized`: elements dropped for their size; `cut`: what was left of a last element that was not whole;
    `unterminated`: the array's closing bracket did not come; `garbage`: bytes behind it.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.oversized = 0
        self.unterminated = False
        self.cut = ""
        self.garbage = 0
        self._limit = limit
        self._element: list[bytes] = []
        self._size = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._done = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        events: list[Event] = []
        at = 0
        if self._done:
            self.garbage += len(data.strip())
            return events
        if self._escaped and data:
            self._escaped = False
            at = 1
        start = 0
        while found := (_INSIDE if self._in_string else _OUTSIDE).search(data, at):
            byte, at = found[0], found.end()
            if byte == b'"':
                self._in_string = not self._in_string
            elif byte == b"\\":
                if at == len(data):
                    self._escaped = True
                at += 1
            elif byte in (b"[", b"{"):
                self._depth += 1
                if self._depth == 1:
                    start = at
            elif byte == b",":
                if self._depth == 1:
                    self._keep(data[start : at - 1])
                    self._end(events)
                    start = at
            else:
                self._depth -= 1
                if self._depth == 0:
                    self._keep(data[start : at - 1])
                    self._end(events)
                    self._done = True
                    self.garbage += len(data[at:].strip())
                    return events
        if self._depth:
            self._keep(data[start:])
        return events

    def close(self) -> list[Event]:
        """Nothing comes out of an element that is not whole; one that only lacks the closing bracket is."""
        self.unterminated = not self._done
        events: list[Event] = []
        if self._depth == 1 and not self._in_string and not self._done:
            self._end(events)
        else:
            self.cut = b"".join(self._element).decode("utf-8", "replace").strip()
        return events

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._limit:
            self._element.append(piece)
        else:
            self._element.clear()

    def _end(self, events: list[Event]) -> None:
        if self._size > self._limit:
            self.oversized += 1
        else:
            text = b"".join(self._element).strip().decode("utf-8", "replace")
            if text:
                events.append(Event(text))
        self._element.clear()
        self._size = 0
