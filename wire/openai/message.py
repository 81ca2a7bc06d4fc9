"""The message of a chat choice, out of its deltas."""

from collections.abc import Callable
from typing import Final

from exchange.call import Json
from wire.fields import index, string
from wire.openai.grown import Appended, Base64Pieces, Grown, Joined, Latest, Unknown, merged
from wire.openai.tool_calls import ToolCalls


class Content:
    """`content`: strings join. Mistral sends lists of typed parts as well, in any order: then the whole is a list of
    parts, neighbours of one type made one."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._parts: list[Json] | None = None
        self._text = False  # whether the last part is text that came as a string, still to be joined

    def add(self, piece: Json) -> None:
        if isinstance(piece, str):
            self._pieces.append(piece)
        elif piece is not None:
            self._end_text()
            for part in piece if isinstance(piece, list) else [piece]:
                self._add_part(part)

    def close(self) -> Json:
        if self._parts is None:
            return "".join(self._pieces) if self._pieces else None
        self._end_text()
        return self._parts

    def _end_text(self) -> None:
        if self._parts is None:
            self._parts = []
        text = "".join(self._pieces)
        self._pieces.clear()
        if text:
            self._add_part({"type": "text", "text": text})

    def _add_part(self, part: Json) -> None:
        parts = self._parts = self._parts if self._parts is not None else []
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not (parts and _continues(parts[-1], part)):
            parts.append(part)
            return
        parts[-1] = _one_part(parts[-1], part)


def _continues(earlier: Json, later: Json) -> bool:
    return (
        isinstance(earlier, dict)
        and isinstance(later, dict)
        and later.get("type") in ("text", "thinking")
        and earlier.get("type") == later.get("type")
    )


def _one_part(earlier: Json, later: Json) -> Json:
    if not isinstance(earlier, dict) or not isinstance(later, dict):
        return later
    whole = dict(earlier)
    for key, value in later.items():
        before = whole.get(key)
        if key in ("text", "thinking") and isinstance(value, str) and isinstance(before, str):
            whole[key] = before + value
        elif isinstance(value, list) and isinstance(before, list):
            inner = Content()
            inner.add(before)
            inner.add(value)
            whole[key] = inner.close()
        elif value is not None or key not in whole:
            whole[key] = value
    return whole


class FunctionCall:
    """The one function call of before tools. The name comes whole, repeated or not."""

    def __init__(self) -> None:
        self._name: Json = None
        self._arguments: Joined | None = None
        self._more: dict[str, Unknown] = {}

    def add(self, piece: Json) -> None:
        for key, value in piece.items() if isinstance(piece, dict) else ():
            if key == "name":
                self._name = value or self._name
            elif key == "arguments":
                self._arguments = self._arguments or Joined()
                self._arguments.add(value)
            else:
                self._more.setdefault(key, Unknown(key)).add(value)

    def close(self) -> Json:
        if self._name is None and self._arguments is None and not self._more:
            return None
        whole: dict[str, Json] = {"name": self._name}
        whole["arguments"] = (self._arguments.close() if self._arguments else "") or ""
        whole.update((name, field.close()) for name, field in self._more.items())
        return whole


class Audio:
    """Spoken answer: transcript and base64 grow, id and expiry are set."""

    def __init__(self) -> None:
        self._fields: dict[str, Grown] = {}

    def add(self, piece: Json) -> None:
        for key, value in piece.items() if isinstance(piece, dict) else ():
            field = self._fields.get(key)
            if field is None:
                field = self._fields[key] = _AUDIO.get(key, Latest)()
            field.add(value)

    def close(self) -> Json:
        return {key: field.close() for key, field in self._fields.items()} or None


_AUDIO: Final[dict[str, Callable[[], Grown]]] = {"data": Base64Pieces, "transcript": Joined}


class Details:
    """OpenRouter's `reasoning_details`: entries by index and type, or, without an index, the last one of that type."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Grown]] = []
        self._at: dict[tuple[int | None, str], int] = {}
        self._ids: dict[str, Json] = {}
        self._others: list[Json] = []
        self._seen = False

    def add(self, piece: Json) -> None:
        if piece is None:
            return
        self._seen = True
        for each in piece if isinstance(piece, list) else [piece]:
            if not isinstance(each, dict):
                self._others.append(each)
                continue
            entry = self._entry(index(each.get("index")), string(each.get("type")), each.get("id"))
            for key, value in each.items():
                field = entry.get(key)
                if field is None:
                    field = entry[key] = Joined() if key in ("text", "summary", "data") else Latest()
                field.add(value)

    def close(self) -> Json:
        if not self._seen:
            return None
        whole: list[Json] = [{key: field.close() for key, field in entry.items()} for entry in self._entries]
        return whole + self._others

    def _entry(self, place: int | None, kind: str, known: Json) -> dict[str, Grown]:
        at = self._at.get((place, kind))
        if place is None:
            last = self._ids.get(kind)
            if known is not None and last is not None and known != last:
                at = None  # the last one of this type has another id
            self._ids[kind] = known if known is not None or at is None else last
        if at is None:
            at = len(self._entries)
            self._entries.append({})
        self._at[(place, kind)] = self._at[(None, kind)] = at
        return self._entries[at]


class Indexed:
    """Entries by index, each field set by whoever names it last (Groq repeats its arguments beside the output)."""

    def __init__(self) -> None:
        self._entries: dict[int, Json] = {}
        self._seen = False

    def add(self, piece: Json) -> None:
        if piece is None:
            return
        self._seen = True
        for position, each in enumerate(piece if isinstance(piece, list) else [piece]):
            place = index(each.get("index")) if isinstance(each, dict) else None
            place = position if place is None else place
            self._entries[place] = merged(self._entries.get(place), each)

    def close(self) -> Json:
        return [self._entries[place] for place in sorted(self._entries)] if self._seen else None


class Message:
    """Deltas in, the message out: its fields in order of arrival, `role` and `content` always among them."""

    def __init__(self) -> None:
        self._fields: dict[str, Grown] = {}

    def add(self, delta: dict[str, Json]) -> None:
        fields = self._fields
        for key, value in delta.items():
            field = fields.get(key)
            if field is None:
                field = fields[key] = _FIELDS[key]() if key in _FIELDS else Unknown(key)
            field.add(value)

    def close(self) -> dict[str, Json]:
        whole = {key: field.close() for key, field in self._fields.items() if key not in _PADDING}
        whole["role"] = whole.get("role") or "assistant"
        whole.setdefault("content", None)
        return whole


_PADDING: Final = frozenset(("obfuscation", "p"))
_FIELDS: Final[dict[str, Callable[[], Grown]]] = {
    "role": Latest,
    "content": Content,
    "refusal": Joined,
    "reasoning_content": Joined,
    "reasoning": Joined,
    "reasoning_text": Joined,
    "thinking": Joined,
    "reasoning_details": Details,
    "tool_calls": ToolCalls,
    "function_call": FunctionCall,
    "audio": Audio,
    "annotations": Appended,
    "executed_tools": Indexed,
    "name": Latest,
    "channel": Latest,
}
