"""The turns of a conversation, ready to be laid out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from markupsafe import Markup

from console.markdown import as_written, markdown
from wire.conversation import Turn
from wire.conversation.hits import has_any, spans_of

PAGE: Final = 200
"""Turns on one page."""

LONGEST: Final = 200_000
"""Characters of one turn on a page; the rest is in the raw bytes."""

_AMOUNT: Final = re.compile(r"\d+ (?:bytes|tokens|vectors, (?:\d+ numbers each|encoded))")
_COMPARED: Final = 300_000  # characters on a page that are compared one by one
_FOLDED: Final = 900  # characters of instructions, thoughts and results, past which they are folded up


@dataclass(frozen=True, slots=True)
class Bubble:
    """One turn as the page shows it. `cut`: how many characters are left out. `amount`: how much of what is not shown
    there is, where the turn says nothing else; a key of the catalogue. `hit`: what was looked for is in it; `first`:
    for the first time on this page."""

    role: str
    kind: str
    name: str
    html: Markup
    folded: bool
    size: int
    cut: int
    amount: str | None = None
    hit: bool = False
    first: bool = False


def bubbles(turns: Sequence[Turn], words: Sequence[str] = ()) -> list[Bubble]:
    """These turns, made harmless; `words` (folded, wire.conversation.hits) stand out."""
    room = _COMPARED
    made: list[Bubble] = []
    for turn in turns:
        hit = bool(words) and has_any(turn.text[:LONGEST], words)
        room -= len(turn.text) if hit else 0
        made.append(_bubble(turn, words if hit and room >= 0 else (), hit=hit))
    at = next((i for i, each in enumerate(made) if each.hit), None)
    return made if at is None else [*made[:at], replace(made[at], first=True), *made[at + 1 :]]


def _bubble(turn: Turn, words: Sequence[str], *, hit: bool) -> Bubble:
    text = turn.text[:LONGEST]
    cut = len(turn.text) - len(text)
    prose = turn.kind in ("text", "refusal") and turn.role in ("user", "assistant")
    shown = _laid_out(text) if turn.kind == "tool_call" else text
    hits = spans_of(shown, words) if words else ()
    html = markdown(shown, hits) if prose else as_written(shown, hits)
    folded = turn.kind == "reasoning" or (not prose and turn.kind != "error" and len(text) > _FOLDED)
    amount = text if turn.kind == "media" and _AMOUNT.fullmatch(text) else None
    return Bubble(turn.role, turn.kind, turn.name or "", html, folded and not hit, len(turn.text), cut, amount, hit)


def _laid_out(text: str) -> str:
    """Arguments that are JSON with a line for each; everything else as it came."""
    if text[:1] not in ("{", "["):
        return text
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text
