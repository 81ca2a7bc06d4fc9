"""An exchange as a conversation: who said what, in order. Pure; whatever the bodies hold, nothing is raised."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from exchange.call import Json
from wire.conversation import chat, gemini, messages, responses, single
from wire.conversation.turn import Turn, TurnKind, compact

__all__ = ["Turn", "TurnKind", "conversation", "question"]


@dataclass(frozen=True, slots=True)
class _Reader:
    asked: Callable[[Json], Iterator[Turn]]
    answered: Callable[[Json], Iterator[Turn]]


_READERS = {
    "chat": _Reader(chat.asked, chat.answered),
    "responses": _Reader(responses.asked, responses.answered),
    "messages": _Reader(messages.asked, messages.answered),
    "generate_content": _Reader(gemini.asked, gemini.answered),
}
_SINGLE = _Reader(single.asked, single.answered)


def conversation(operation: str, request: Json, response: Json) -> list[Turn]:
    """The turns of an exchange, by the record's `operation`, `request` and `response` (RECORD.md).

    What a reader does not expect is shown as compact JSON: nothing is dropped, nothing is raised.
    """
    reader = _READERS.get(operation, _SINGLE)
    return [*_read(reader.asked, "user", request), *_read(reader.answered, "assistant", response)]


def question(operation: str, request: Json) -> str:
    """The last thing that the caller said in words; empty when there is none."""
    turns = _read(_READERS.get(operation, _SINGLE).asked, "user", request)
    said = [turn.text for turn in turns if turn.kind == "text" and turn.role == "user" and turn.text.strip()]
    return said[-1] if said else ""


def _read(read: Callable[[Json], Iterator[Turn]], role: str, body: Json) -> list[Turn]:
    """What the reader makes of it; a body it makes nothing of, or that it cannot read, is shown as it is."""
    if body is None:
        return []
    try:
        turns = list(read(body))
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
        turns = []
    return turns or ([Turn(role, "text", compact(body))] if body not in ({}, [], "") else [])
