"""Server-sent events out of bytes, by the WHATWG rules (HTML §9.2.6 "Interpreting an event stream"), and two more:

- a field named `error` is an event of its own (`Event.field == "error"`): llama.cpp reports failures so, and by the
  letter of the specification they would vanish;
- a last event that lacks its blank line counts when its payload is whole; lines that are no field at all are kept
  and counted, and make an event when together they are JSON (some servers break off into a pretty-printed error).

Lines end in LF, CRLF or CR and nothing else, and are cut as bytes: U+2028, U+0085 and their kin are legal inside JSON.
"""

from typing import Final

from wire.api import Event
from wire.json_text import is_json

LIMIT: Final = 16 * 1024 * 1024
"""Bytes of one line, and of one event's payload. What is longer is dropped whole, and counted in `oversized`."""

_BOM: Final = b"\xef\xbb\xbf"
_GARBAGE: Final = 64 * 1024
_KNOWN: Final = frozenset((b"data", b"event", b"id", b"retry", b"error"))


class EventStream:
    """Bytes in any cuts, events out.

    `bad_lines`: lines that are no field and no comment; `bad_text`: lines that are not UTF-8 (decoded with U+FFFD);
    `oversized`: events dropped for their size; `unterminated`: the last event had no blank line; `cut`: what was
    left of a last event that was not whole, else empty.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.bad_lines = 0
        self.bad_text = 0
        self.oversized = 0
        self.comments = 0
        self.unterminated = False
        self.cut = ""
        self._limit = limit
        self._start: bytes | None = b""  # until it is certain whether a byte order mark opens the body
        self._after_cr = False
        self._tail: list[bytes] = []  # the pieces of a line whose end has not come
        self._tail_size = 0
        self._skipping = False  # inside a line that grew beyond the limit
        self._in_event = False  # some line of an event has come, its blank line has not
        self._data: list[bytes] = []
        self._error: list[bytes] = []
        self._size = 0
        self._name = b""
        self._drop = False
        self._garbage: list[bytes] = []
        self._garbage_size = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self._start is not None:
            data = self._without_bom(data)
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 0x0A:
                data = data[1:]
        if b"\r" in data:
            self._after_cr = data[-1] == 0x0D
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        cut = data.rfind(b"\n") + 1
        if not cut:
            self._keep(data)
            return []
        lines, tail = (data, b"") if cut == len(data) else (data[:cut], data[cut:])
        if self._skipping:
            self._skipping = False
            lines = lines[lines.index(b"\n") + 1 :]
        elif self._tail:
            self._tail.append(lines)
            lines = b"".join(self._tail)
            self._tail.clear()
        self._tail_size = 0
        events: list[Event] = []
        if lines:
            self._lines(lines, events)
        if tail:
            self._keep(tail)
        return events

    def close(self) -> list[Event]:
        """The last event, if it came whole without its blank line. Nothing may be fed afterwards."""
        if self._start:
            start, self._start = self._start, None
            self._keep(start)
        events: list[Event] = []
        if self._tail and not self._skipping:
            last = b"".join(self._tail)
            self._tail.clear()
            self._line(last, events)
        elif self._skipping:
            self._drop = True
        self._end_garbage(events)
        if self._data or self._error or self._drop:
            payload = _text(b"\n".join(self._data or self._error))
            if self._drop or is_json(payload) or payload.strip().startswith("[DONE]"):
                self.unterminated = not self._drop
                self._dispatch(events)
            else:
                self.cut = payload
        return events

    def _without_bom(self, data: bytes) -> bytes:
        start = (self._start or b"") + data
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)

    def _keep(self, piece: bytes) -> None:
        if self._skipping or not piece:
            return
        self._tail.append(piece)
        self._tail_size += len(piece)
        if self._tail_size > self._limit:
            self._tail.clear()
            self._skipping = self._drop = self._in_event = True

    def _lines(self, lines: bytes, events: list[Event]) -> None:
        """Whole lines. Most events are one `data:` line and a blank one: they never reach `_line`."""
        if self._in_event:
            head, blank, rest = (b"", b"\n", lines[1:]) if lines[0] == 0x0A else lines.partition(b"\n\n")
            for line in head.split(b"\n"):
                self._line(line, events)
            if not blank:
                return
            self._dispatch(events)
            lines = rest
        if self._garbage or len(lines) > self._limit:
            for line in lines.split(b"\n")[:-1]:
                if line:
                    self._line(line, events)
                else:
                    self._dispatch(events)
            return
        blocks = lines.split(b"\n\n")
        unfinished = blocks.pop()
        for block in blocks:
            if block.startswith(b"data:") and b"\n" not in block:
                if self._garbage:
                    self._end_garbage(events)
                value = block[6:] if block[5:6] == b" " else block[5:]
                try:
                    events.append(Event(value.decode()))
                except UnicodeDecodeError:
                    events.append(Event(self._replaced(value)))
            else:
                for line in block.split(b"\n"):
                    self._line(line, events)
                self._dispatch(events)
        for line in unfinished.split(b"\n"):
            self._line(line, events)

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            return
        name, _, value = line.partition(b":")
        if not name:
            self.comments += 1
            return
        if name not in _KNOWN:
            self._no_field(line)
            return
        if self._garbage:
            self._end_garbage(events)
        self._in_event = True
        value = value.removeprefix(b" ")
        if name in (b"data", b"error"):
            self._size += len(value) + 1
            if self._size > self._limit + 1:
                self._drop = True
                self._data.clear()
                self._error.clear()
            elif not self._drop:
                (self._data if name == b"data" else self._error).append(value)
        elif name == b"event":
            self._name = value

    def _no_field(self, line: bytes) -> None:
        self.bad_lines += 1
        if self._garbage_size + len(line) <= _GARBAGE:
            self._garbage.append(line)
            self._garbage_size += len(line)

    def _end_garbage(self, events: list[Event]) -> None:
        """Lines without a field name: an event if they are a JSON object together, else only counted."""
        if not self._garbage:
            return
        text = b"\n".join(self._garbage).decode("utf-8", "replace")
        lines = len(self._garbage)
        self._garbage.clear()
        self._garbage_size = 0
        if text.lstrip()[:1] in ("{", "[") and is_json(text):
            self.bad_lines -= lines
            events.append(Event(text))

    def _dispatch(self, events: list[Event]) -> None:
        if not self._in_event:
            return
        name = _text(self._name)
        if self._drop:
            self.oversized += 1
        else:
            if self._error:
                events.append(Event(self._decoded(self._error), name, "error"))
            if self._data:
                events.append(Event(self._decoded(self._data), name))
        self._in_event = self._drop = False
        self._data.clear()
        self._error.clear()
        self._size = 0
        self._name = b""

    def _decoded(self, lines: list[bytes]) -> str:
        value = lines[0] if len(lines) == 1 else b"\n".join(lines)
        try:
            return value.decode()
        except UnicodeDecodeError:
            return self._replaced(value)

    def _replaced(self, value: bytes) -> str:
        self.bad_text += 1
        return _text(value)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
