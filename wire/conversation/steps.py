"""What was said, in a form in which the same history is the same again, whatever a client did to it on the way."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wire.conversation.turn import Turn

_KINDS: Final = ("text", "tool_call", "tool_result")
_INSTRUCTIONS: Final = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was said, called or returned. `digest`: over role, kind, name of the tool called, and text."""

    digest: bytes
    answer: bool  # by the model
    tool: str | None = None  # which the model called


def steps(turns: Iterable[Turn]) -> tuple[Step, ...]:
    """The turns that a client sends again, in order. Text of one role in several parts is one text."""
    joined: list[tuple[str, str, str, list[str]]] = []
    for turn in turns:
        if turn.kind not in _KINDS or turn.role in _INSTRUCTIONS:
            continue
        name = (turn.name or "") if turn.kind == "tool_call" else ""
        text = _arguments(turn.text) if turn.kind == "tool_call" else "".join(turn.text.split())
        if turn.kind != "tool_call" and joined and joined[-1][:2] == (turn.role, turn.kind):
            joined[-1][3].append(text)
        else:
            joined.append((turn.role, turn.kind, name, [text]))
    return tuple(
        Step(_digest(role, kind, name, "".join(texts)), role == "assistant", name or None)
        for role, kind, name, texts in joined
        if name or any(texts)
    )


def _arguments(text: str) -> str:
    """Arguments laid out anew are the same arguments."""
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return "".join(text.split())


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
