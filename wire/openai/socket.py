"""Responses and Realtime over a WebSocket: which message begins what, and which answer a message belongs to.

Sources: OpenAI API reference, "WebSocket mode" of Responses (`stream_id` tells lanes apart, one response at a time in
each), "Realtime client events" and "server events" (`response_id`; a response may begin without being asked for).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl

import msgspec

from exchange.call import Json
from exchange.decision import CODES
from wire.api import BodyProblem
from wire.fields import Object, mapping, string

Kind = Literal["responses", "realtime"]

_CREATE: Final = "response.create"
_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.done"})
_CARRIERS: Final = ("response", "session")
_FALLBACKS: Final = ("models", "fallbacks")


class _Named(msgspec.Struct):
    id: str | None = None


class _Glance(msgspec.Struct):
    type: str = ""
    stream_id: str | None = None
    response_id: str | None = None
    item_id: str | None = None
    response: _Named | None = None
    item: _Named | None = None


@dataclass(frozen=True, slots=True)
class Glance:
    """What a message is, as far as it matters where it belongs."""

    kind: str = ""
    stream: str = ""
    response: str = ""
    item: str = ""

    @property
    def is_terminal(self) -> bool:
        return self.kind in _TERMINAL


_decode: Final = msgspec.json.Decoder(_Glance).decode


def glance(message: bytes) -> Glance:
    """What a provider's message is. One that cannot be read is of no kind, and belongs where the one before did."""
    try:
        seen = _decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Glance()
    response = seen.response_id or (seen.response.id if seen.response is not None else None)
    item = seen.item_id or (seen.item.id if seen.item is not None else None)
    return Glance(seen.type, seen.stream_id or "", response or "", item or "")


def is_create(message: Json) -> bool:
    """Does this message of a caller ask for a response?"""
    return mapping(message).get("type") == _CREATE


def models_of(message: Json) -> list[str]:
    """Every model that a caller's message names: in itself, in the response or the session that it describes. What
    stands in place of a name and is none counts as one that nobody allows."""
    return list(dict.fromkeys(_models(message)))


def _models(message: Json) -> Iterator[str]:
    fields = mapping(message)
    for named in (fields, *(mapping(fields.get(each)) for each in _CARRIERS)):
        if named.get("model") is not None:
            yield string(named["model"])
        for several in _FALLBACKS:
            if isinstance(given := named.get(several), list):
                yield from (string(each if isinstance(each, str) else mapping(each).get("model")) for each in given)


def models_in_query(query: str | None) -> list[str]:
    """The models that the upgrade's query names; Azure calls it the deployment. Raises BodyProblem("bad_model") where
    two readers could find two."""
    named = [(name, value) for name, value in parse_qsl(query or "", keep_blank_values=True)]
    found = [value for name, value in named if name in ("model", "deployment")]
    if any(name.casefold() in ("model", "deployment") and name not in ("model", "deployment") for name, _ in named):
        raise BodyProblem("bad_model")
    if len(found) != len({name for name, _ in named if name in ("model", "deployment")}):
        raise BodyProblem("bad_model")
    return list(dict.fromkeys(found))


def error_event(kind: Kind, code: str, asked: Json, event_id: str) -> bytes:
    """The API's own error event for a refusal. `asked`: the message that was refused; `event_id`: ours.

    Responses has it twice: nested with the HTTP status, as the service sends it and Codex reads it, and flat, as the
    reference has it (`ResponseErrorEvent`).
    """
    meaning = CODES[code]
    error: Object = {"type": meaning.type, "code": code, "message": meaning.message, "param": None}
    fields = mapping(asked)
    if kind == "realtime":
        said: Object = {"type": "error", "event_id": event_id, "error": {**error, "event_id": fields.get("event_id")}}
    else:
        flat: Object = {"code": code, "message": meaning.message, "param": None, "sequence_number": 0}
        said = {"type": "error", "status": meaning.status, "error": error, **flat}
        if fields.get("stream_id") is not None:
            said["stream_id"] = fields["stream_id"]
    return msgspec.json.encode(said)


class Lanes[T]:
    """Responses: turns by lane, in each in the order in which they were asked for."""

    def __init__(self) -> None:
        self._lanes: dict[str, list[T]] = {}
        self._begun: set[int] = set()  # of turns, by id(): the provider has said that it works on it

    def ask(self, stream: str, turn: T) -> None:
        """A caller's `response.create` opens this turn."""
        self._lanes.setdefault(stream, []).append(turn)

    def of_caller(self, stream: str) -> T | None:
        """The turn that another message of the caller belongs to: steering, which comes amid an answer."""
        lane = self._lanes.get(stream) or self._only()
        return lane[-1] if lane else None

    def of_provider(self, seen: Glance) -> tuple[T | None, bool]:
        """The turn that a message of the provider belongs to, and whether it ends there."""
        lane = self._lanes.get(seen.stream) or (None if seen.stream else self._only())
        if not lane:
            return None, False
        turn = lane[0]
        if seen.kind == "error":
            # An error before anything else is the answer; amid an answer a terminal event may still follow.
            turn = next((each for each in lane if id(each) not in self._begun), turn)
            return turn, id(turn) not in self._begun and self._end(turn)
        if seen.is_terminal:
            return turn, self._end(turn)
        self._begun.add(id(turn))
        return turn, False

    def left(self) -> list[T]:
        """The turns that are open."""
        return [turn for lane in self._lanes.values() for turn in lane]

    def _only(self) -> list[T] | None:
        open_lanes = [lane for lane in self._lanes.values() if lane]
        return open_lanes[0] if len(open_lanes) == 1 else None

    def _end(self, turn: T) -> bool:
        self._begun.discard(id(turn))
        for name, lane in list(self._lanes.items()):
            if turn in lane:
                lane.remove(turn)
                if not lane:
                    del self._lanes[name]
        return True


class Answers[T]:
    """Realtime: turns by the response that answers them. What is said meanwhile gathers for the next."""

    def __init__(self) -> None:
        self._answers: dict[str, T] = {}
        self._items: dict[str, str] = {}  # item → the response under way that it is part of, or led to
        self._gathered: list[str] = []  # items of the turn that gathers

    def begins(self, seen: Glance) -> bool:
        """Does this message open an answer, to what has gathered?"""
        return seen.kind == "response.created" and seen.response not in self._answers

    def begin(self, seen: Glance, turn: T) -> None:
        self._answers[seen.response] = turn
        for item in self._gathered:
            self._items[item] = seen.response
        self._gathered = []

    def of_provider(self, seen: Glance) -> tuple[T | None, bool]:
        """The turn that a message of the provider belongs to, None for the one that gathers; and whether it ends."""
        response = seen.response or self._items.get(seen.item, "")
        turn = self._answers.get(response)
        if turn is None:
            if seen.item and len(self._gathered) < 1024:
                self._gathered.append(seen.item)
            if seen.kind == "rate_limits.updated" and len(self._answers) == 1:
                return next(iter(self._answers.values())), False
            return None, False
        if not seen.is_terminal:
            if seen.item:
                self._items[seen.item] = response
            return turn, False
        del self._answers[response]
        self._items = {item: answer for item, answer in self._items.items() if answer != response}
        return turn, True

    def left(self) -> list[T]:
        """The turns that are open."""
        return list(self._answers.values())
