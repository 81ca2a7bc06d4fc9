"""A record as a line of a list: when, who, what was asked, how it went, what it took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from markupsafe import Markup, escape

from console.hidden import marked, one_line
from wire.conversation import Turn
from wire.conversation.hits import folded_words, spans_of
from wire.conversation.record import ShownRecord

PREVIEWED: Final = 256 << 10
"""Bytes of a request and its reply together, up to which a list reads what was said."""

_AROUND: Final = 60  # characters before a hit
_LENGTH: Final = 180

Tone = Literal["good", "warn", "bad", "no"]
_TONES: Final[dict[str, Tone]] = {"complete": "good", "client_gone": "warn", "timed_out": "warn", "refused": "no"}


@dataclass(frozen=True, slots=True)
class Line:
    """What the list shows of one exchange."""

    record: ShownRecord
    said: Markup | None  # None: not read, or not to be shown
    at: datetime
    tone: Tone

    @property
    def id(self) -> str:
        return self.record.id


def line_of(record: ShownRecord, words: Sequence[str], *, content: bool) -> Line:
    """The line; `words` are those that were looked for."""
    return Line(record, _said(record, words) if content else None, record.started_at.astimezone(), tone_of(record))


def tone_of(record: ShownRecord) -> Tone:
    """How it went, as a colour says it. An error that the provider answered is an ending in order, and no success."""
    tone = _TONES.get(record.end_state, "bad")
    return "bad" if tone == "good" and (record.status or 0) >= 400 else tone


def _said(record: ShownRecord, words: Sequence[str]) -> Markup | None:
    if record.request is None and record.response is None:
        return None
    sought = folded_words(words)
    if sought:
        for turn in reversed(record.turns()):
            if spans := spans_of(turn.text, sought):
                return _excerpt(turn, spans)
    return marked(one_line(record.question(), _LENGTH))


def _excerpt(turn: Turn, spans: Sequence[tuple[int, int]]) -> Markup:
    text = turn.text
    begin = max(0, spans[0][0] - _AROUND)
    end = min(len(text), begin + _LENGTH)
    parts = [escape("…" if begin else "")]
    at = begin
    for start, stop in spans:
        if start >= end:
            break
        parts += [_flat(text[at:start]), Markup("<mark>{}</mark>").format(_flat(text[start : min(stop, end)]))]
        at = min(stop, end)
    parts += [_flat(text[at:end]), escape("…" if end < len(text) else "")]
    return Markup().join(parts)


def _flat(text: str) -> Markup:
    return marked(text.replace("\n", " ").replace("\t", " "))
