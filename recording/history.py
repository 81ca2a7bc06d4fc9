"""What was said in a conversation, in a form in which the same history is the same again, whatever a client did."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import msgspec

from exchange.call import Json
from wire.conversation import Turn, conversation
from wire.conversation.steps import Step, steps
from wire.conversation.turn import compact
from wire.fields import items, mapping

FIELDS: Final = {
    "chat": ("messages",),
    "messages": ("messages",),
    "responses": ("input",),
    "generate_content": ("contents", "input"),
}
"""Where each API has its history. What is not here is no dialogue, and has none."""

_REMEMBERED: Final = 20_000  # messages whose steps are known: a history comes again with every exchange

_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Histories:
    """Reads histories. A message that was read once is known: a conversation of n turns is read n times, not n²."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Step, ...]] = OrderedDict()

    def asked(self, operation: str, request: Mapping[str, msgspec.Raw]) -> list[Step]:
        """The history that this request sends, instructions left aside: they change by the minute in some clients."""
        field = next((field for field in FIELDS.get(operation, ()) if field in request), None)
        if field is None:
            return []
        given = request[field]
        try:
            elements = _elements(given)
        except (msgspec.DecodeError, UnicodeError, RecursionError):  # a string, one message alone
            return [*self._element(operation, field, given, listed=False)]
        return [step for each in elements for step in self._element(operation, field, each)]

    def _element(self, operation: str, field: str, raw: msgspec.Raw, *, listed: bool = True) -> tuple[Step, ...]:
        content = hashlib.blake2b(raw, digest_size=16, person=operation.encode()[:16]).digest()
        if (known := self._known.get(content)) is not None:
            self._known.move_to_end(content)
            return known
        try:
            value: Json = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return ()  # nothing that could be compared; the exchange is kept all the same
        found = self._known[content] = steps(_read(operation, "user", {field: [value] if listed else value}))
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found


def answers(operation: str, response: Json) -> list[tuple[Step, ...]]:
    """What the reply says; where it has several choices, each by itself: a history goes on from one of them."""
    if operation not in FIELDS or response is None:
        return []
    fields = mapping(response)
    for several in ("choices", "candidates"):
        if len(each := items(fields.get(several))) > 1:
            return [steps(_read(operation, "assistant", {several: [one]})) for one in each]
    return [steps(_read(operation, "assistant", response))]


def _read(operation: str, role: str, body: Json) -> list[Turn]:
    """The turns of a request or a reply. What nobody can read is shown to people as it is; here it says nothing."""
    turns = conversation(operation, body, None) if role == "user" else conversation(operation, None, body)
    as_it_is = len(turns) == 1 and turns[0].text.startswith("{") and turns[0] == Turn(role, "text", compact(body))
    return [] if as_it_is else turns
