"""Bodies cut at the borders of messages, without loss. Pure.

A chat request repeats the whole conversation, so most of it was sent before, byte for byte. A body is cut into the
elements of its top-level lists (messages, input items, tools, choices …), and each of these at its long strings: an
answer's text comes back as a string of the next request. Everything between is kept as it is; joined again, the
pieces are the body.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

SMALLEST: Final = 48
"""Bytes: what is smaller is not worth a row of its own."""
LONG_STRING: Final = 160
"""Bytes of JSON text from which a string is cut out of its element."""

_FIRST: Final = 16  # bytes
_BETWEEN: Final = frozenset((b" ", b"\t", b"\r", b"\n", b","))

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])

type Span = tuple[int, int]


def elements(body: bytes) -> list[Span]:
    """Where the elements of the top-level lists stand, in order. None for what is no JSON object, or is odd."""
    spans: list[Span] = []
    position = 0
    for value in _values(body):
        at = _place(body, value, position)
        if at < 0:
            return []
        position = at + len(value)
        if value[:1] == b"[":
            inside = _inside(body, at, value)
            if inside is None:
                return []
            spans += [span for span in inside if span[1] - span[0] >= SMALLEST]
    return spans


def strings(element: bytes) -> list[Span]:
    """Where the long strings of an element stand, in order, one level deep and in lists of parts one level deeper."""
    spans: list[Span] = []
    position = 0
    for value in _values(element):
        at = _place(element, value, position)
        if at < 0:
            return []
        position = at + len(value)
        if value[:1] == b'"' and len(value) >= LONG_STRING:
            spans.append((at, position))
        elif value[:1] in (b"[", b"{") and len(value) >= LONG_STRING:
            spans += [(at + start, at + end) for start, end in _deeper(value)]
    return spans


def _deeper(value: bytes) -> Iterator[Span]:
    """Long strings of the objects in a list of parts (`content: [{"type": "text", "text": …}]`), or of one object."""
    if value[:1] == b"{":
        yield from _long(value, 0, value)
        return
    for start, end in _inside(value, 0, value) or ():
        if value[start : start + 1] == b"{":
            yield from _long(value, start, value[start:end])


def _long(whole: bytes, start: int, part: bytes) -> Iterator[Span]:
    position = start
    for value in _values(part):
        at = _place(whole, value, position)
        position = at + len(value)
        if value[:1] == b'"' and len(value) >= LONG_STRING:
            yield at, position


def _values(body: bytes) -> list[bytes]:
    """The members' values of a JSON object, as they are written, in order; of a key that stands twice, none."""
    if body[:1] != b"{":
        return []
    try:
        return [bytes(value) for value in _MEMBERS.decode(body).values()]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []


def _place(body: bytes, value: bytes, position: int) -> int:
    """`body.find(value, position)`: to look for the first bytes and then compare is faster, for values are long."""
    first = value[:_FIRST]
    at = body.find(first, position)
    while at >= 0 and not body.startswith(value, at):
        at = body.find(first, at + 1)
    return at


def _inside(body: bytes, at: int, value: bytes) -> list[Span] | None:
    """The elements of the list that stands at `at`; None when they are not where they should be."""
    try:
        found = _ELEMENTS.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    spans: list[Span] = []
    position = at + 1
    for raw in found:
        element = bytes(raw)
        start = position
        while body[start : start + 1] in _BETWEEN:
            start += 1
        if not body.startswith(element, start):
            return None
        position = start + len(element)
        spans.append((start, position))
    return spans
