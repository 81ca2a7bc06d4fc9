"""Tool calls in pieces. Servers disagree on what marks a new one; the rules are in docs/wire.md, tool calls."""

from typing import Final

from exchange.call import Json
from wire.fields import compact, index
from wire.json_text import is_json
from wire.openai.grown import Unknown

_BODIES: Final = {"function": "arguments", "custom": "input"}


class ToolCall:
    """One call. Its id and name came whole and stay; its arguments grow, and are never parsed."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.id = ""
        self.name = ""
        self._type = ""
        self._kind = ""  # "function" or "custom": the key under which name and arguments stand
        self._arguments: list[str] = []
        self._more: dict[str, Unknown] = {}
        self._body_more: dict[str, Unknown] = {}

    def add(self, fragment: dict[str, Json]) -> None:
        for key, value in fragment.items():
            if key in _BODIES:
                if isinstance(value, dict):
                    self._add_body(key, value)
            elif key == "id":
                self.id = self.id or (value if isinstance(value, str) else "" if value is None else str(value))
            elif key == "type":
                self._type = self._type or (value if isinstance(value, str) else "")
            elif key != "index":
                self._more.setdefault(key, Unknown(key)).add(value)

    def _add_body(self, kind: str, body: dict[str, Json]) -> None:
        self._kind = kind
        for key, value in body.items():
            if key == "name":
                if isinstance(value, str) and value:
                    self.name = value
            elif key == _BODIES[kind]:
                if isinstance(value, str):
                    self._arguments.append(value)
                elif value is not None:
                    self._arguments.append(compact(value))  # a few servers send the object itself, once
            else:
                self._body_more.setdefault(key, Unknown(key)).add(value)

    def arguments(self) -> str:
        return "".join(self._arguments)

    def answered(self) -> bool:
        """Whether the arguments are whole already. Only looked at closely when they end as an object does."""
        last = next((piece for piece in reversed(self._arguments) if piece), "")
        return last.rstrip().endswith("}") and is_json(self.arguments())

    def close(self) -> dict[str, Json]:
        whole: dict[str, Json] = {}
        if self.id:
            whole["id"] = self.id
        if self._type:
            whole["type"] = self._type
        if self._kind:
            body: dict[str, Json] = {"name": self.name or None, _BODIES[self._kind]: self.arguments()}
            body.update((name, field.close()) for name, field in self._body_more.items())
            whole[self._kind] = body
        whole.update((name, field.close()) for name, field in self._more.items())
        return whole


class ToolCalls:
    """The calls of one message, in order of their index; those that have none, in order of arrival."""

    def __init__(self) -> None:
        self._calls: list[ToolCall] = []
        self._by_id: dict[str, ToolCall] = {}  # of those without an index
        self._at: dict[int, ToolCall] = {}  # the call that an index means at present
        self._others: list[Json] = []
        self._seen = False

    def add(self, piece: Json) -> None:
        if not isinstance(piece, list):
            if isinstance(piece, dict):
                self.add([piece])
            elif piece is not None:
                self._others.append(piece)
            return
        self._seen = True
        for fragment in piece:
            if isinstance(fragment, dict):
                self._call(fragment).add(fragment)
            elif fragment is not None:
                self._others.append(fragment)

    def close(self) -> Json:
        if not self._seen and not self._others:
            return None
        calls: list[Json] = [call.close() for call in sorted(self._calls, key=lambda call: call.place)]
        return calls + self._others

    def _call(self, fragment: dict[str, Json]) -> ToolCall:
        told = fragment.get("id")
        known = told if isinstance(told, str) else ""
        name = _name(fragment)
        place = index(fragment.get("index"))
        if place is None:
            return self._without_index(known, name)
        call = self._at.get(place)
        if call is None or _another(call, known, name):
            call = self._open(place)
            self._at[place] = call
        return call

    def _without_index(self, known: str, name: str) -> ToolCall:
        if known and (call := self._by_id.get(known)):
            return call
        if self._calls and not known and not name:
            return self._calls[-1]
        call = self._open(len(self._calls))
        if known:
            self._by_id[known] = call
        return call

    def _open(self, place: int) -> ToolCall:
        call = ToolCall(place)
        self._calls.append(call)
        return call


def _name(fragment: dict[str, Json]) -> str:
    for kind in _BODIES:
        body = fragment.get(kind)
        if isinstance(body, dict):
            name = body.get("name")
            if isinstance(name, str):
                return name
    return ""


def _another(call: ToolCall, known: str, name: str) -> bool:
    """Whether a fragment of the same index begins a call of its own: some servers give every call the index 0.

    A new id alone does not (others mint one for each delta), nor does a name that is only repeated.
    """
    if not name or not call.name:
        return False
    new_id = bool(known and call.id and known != call.id)
    if name != call.name:
        return new_id or call.answered()
    return new_id and (not call.arguments() or call.answered())
