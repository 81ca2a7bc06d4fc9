"""Which framing a reply has: by its first bytes, and by what its content type says (WIRE §1, rules 14 and 15)."""

import re
from typing import Literal, Protocol

from wire.api import Event
from wire.json_seq import MEDIA_TYPE as JSON_SEQUENCE

Framing = Literal["sse", "lines", "array", "frames", "sequence", "json", "opaque"]

_FIELD = re.compile(rb"(?:data|event|id|retry|error)(?::|[\r\n])|:")
_LINES = frozenset(("application/x-ndjson", "application/ndjson", "application/jsonl", "application/stream+json"))
_UNSAID = frozenset(("", "text/plain", "text/html", "application/octet-stream"))
"""What servers put on JSON and on streams when they do not think about it."""

ENOUGH = 16
"""Bytes after which the framing is certain."""


class EventReader(Protocol):
    """What every framing does: bytes in any cuts, events out."""

    def feed(self, data: bytes) -> list[Event]: ...

    def close(self) -> list[Event]: ...


def framing(head: bytes, media: str, *, status: int, streamed: bool, arrays: bool) -> Framing:
    """`head`: the first bytes, at least ENOUGH of them or all there are. `streamed`: a stream was asked for.
    `arrays`: the API streams JSON arrays as well."""
    if media == "application/vnd.amazon.eventstream":
        return "frames"
    if media == JSON_SEQUENCE:
        return "sequence"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    json = start[:1] in (b"{", b"[")
    if media in _LINES and status < 400:
        return "lines"
    # What calls itself JSON and begins as an event stream is one, asked for or not: no JSON text begins so.
    if not json and (media == "text/event-stream" or ((streamed or media.endswith("json")) and _FIELD.match(start))):
        return "sse"
    if media.endswith("json") or (json and (media == "text/event-stream" or media in _UNSAID)):
        return "array" if arrays and streamed and status < 400 and start[:1] == b"[" else "json"
    return "opaque"


def undecided(head: bytes) -> bool:
    """Whether more bytes are needed before `framing` can tell."""
    return len(head.removeprefix(b"\xef\xbb\xbf").lstrip()) < ENOUGH and len(head) < 4096
