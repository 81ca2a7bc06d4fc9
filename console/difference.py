"""What is new in one turn of a conversation, against the exchange before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from console.hidden import one_line
from wire.conversation import Turn, conversation
from wire.conversation.record import ShownRecord
from wire.conversation.turn import compact
from wire.conversation.unrepeated import Unrepeated

_SAID: Final = frozenset({"messages", "input", "contents", "prompt", "system", "instructions", "previous_response_id"})
"""Fields of requests in which the conversation itself stands: its turns say what is new there."""

_LONGEST: Final = 300  # characters of a value


@dataclass(frozen=True, slots=True)
class Changed:
    """A field of the request that is another than before; None: it is not there."""

    name: str
    before: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """`turns`: what was asked and answered now. `follows`: it goes on where the exchange before ended. `repeated`: how
    many turns came again as they were."""

    before: ShownRecord
    turns: Sequence[Turn]
    follows: bool
    repeated: int
    changed: Sequence[Changed]


def difference(before: ShownRecord, now: ShownRecord) -> Difference:
    """Of these two."""
    seen = Unrepeated()
    seen.add(_asked(before), conversation(before.operation, None, before.response))
    asked = _asked(now)
    new, follows = seen.new(asked)
    answered = conversation(now.operation, None, now.response)
    return Difference(before, [*new, *answered], follows, len(asked) - len(new), _changed(before.request, now.request))


def _asked(record: ShownRecord) -> list[Turn]:
    return conversation(record.operation, record.request, None)


def _changed(before: Any, now: Any) -> list[Changed]:
    if not isinstance(before, dict) or not isinstance(now, dict):
        return []
    names = [name for name in {**before, **now} if name not in _SAID and before.get(name) != now.get(name)]
    return [Changed(name, _shown(before, name), _shown(now, name)) for name in names]


def _shown(request: dict[str, Any], name: str) -> str | None:
    return one_line(compact(request[name]), _LONGEST) if name in request else None
