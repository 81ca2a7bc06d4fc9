"""What is new in a conversation that is sent whole each time, and how what was said is told as texts."""

from collections.abc import Iterable

from exchange.call import Json, Text, TextKind
from wire.fields import Object, compact, items, string

_ASSISTANT = ("assistant",)


def new_turns(messages: Json, *, answer_roles: tuple[str, ...] = _ASSISTANT) -> list[Object]:
    """The messages after the model's last turn.

    A conversation that ends in the model's turn has that turn put into its mouth by the caller (a prefill): then it
    is new as well, and so is the turn before it.
    """
    turns = [each for each in items(messages) if isinstance(each, dict)]
    end = len(turns)
    while end and turns[end - 1].get("role") in answer_roles:
        end -= 1
    start = end
    while start and turns[start - 1].get("role") not in answer_roles:
        start -= 1
    return [turn for turn in turns[start:] if turn.get("role") not in ("system", "developer")]


def called(name: Json, arguments: Json) -> str:
    """A tool call as text: its name, a space, its arguments as JSON."""
    return f"{string(name)} {compact(arguments)}".strip()


def kept(kind: TextKind, texts: Iterable[str]) -> tuple[Text, ...]:
    """Those that are not empty, as texts of that kind."""
    return tuple(Text(kind, text) for text in texts if text)
