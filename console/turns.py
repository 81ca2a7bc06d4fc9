"""The turns of a conversation, ready to be laid out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from markupsafe import Markup

from console.markdown import as_written, markdown
from wire.conversation import Turn

PAGE: Final = 200
"""Turns on one page."""

LONGEST: Final = 200_000
"""Characters of one turn on a page; the rest is in the raw bytes."""

_AMOUNT: Final = re.compile(r"\d+ (?:bytes|tokens|vectors, (?:\d+ numbers each|encoded))")
_FOLDED: Final = 900  # characters of instructions, thoughts and results, past which they are folded up


@dataclass(frozen=True, slots=True)
class Bubble:
    """One turn as the page shows it. `cut`: how many characters are left out. `amount`: how much of what is not shown
    there is, where the turn says nothing else; a key of the catalogue."""

    role: str
    kind: str
    name: str
    html: Markup
    folded: bool
    size: int
    cut: int
    amount: str | None = None


def bubble(turn: Turn) -> Bubble:
    """This turn, made harmless."""
    text = turn.text[:LONGEST]
    cut = len(turn.text) - len(text)
    prose = turn.kind in ("text", "refusal") and turn.role in ("user", "assistant")
    html = markdown(text) if prose else as_written(_laid_out(text) if turn.kind == "tool_call" else text)
    folded = turn.kind == "reasoning" or (not prose and turn.kind != "error" and len(text) > _FOLDED)
    amount = text if turn.kind == "media" and _AMOUNT.fullmatch(text) else None
    return Bubble(turn.role, turn.kind, turn.name or "", html, folded, len(turn.text), cut, amount)


def bubbles(turns: Sequence[Turn]) -> list[Bubble]:
    """All of them."""
    return [bubble(turn) for turn in turns]


def _laid_out(text: str) -> str:
    """Arguments that are JSON with a line for each; everything else as it came."""
    if text[:1] not in ("{", "["):
        return text
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text
