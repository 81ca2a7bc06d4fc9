"""What stands around the choices of a chat or text completion, chunk by chunk."""

from typing import Final

from exchange.call import Json
from wire.openai.grown import merged

_PADDING: Final = frozenset(("obfuscation", "p"))


class Envelope:
    """Fields of the final object beside `choices`. Usage is the last that is not null: it is never summed, and a
    later null (OpenAI's moderation chunk) does not erase it."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._id: Json = None
        self._created: Json = None
        self._model: Json = None
        self._usage: Json = None
        self._inner_usage: Json = None  # Moonshot's choices[].usage, Groq's x_groq.usage
        self._fields: dict[str, Json] = {}
        self._said: dict[str, str] = {}

    def add(self, key: str, value: Json) -> None:
        """One field of a chunk. Most are in every chunk, and the same: what a string said last says nothing new."""
        if type(value) is str:
            if self._said.get(key) == value:
                return
            self._said[key] = value
        else:
            self._said.pop(key, None)
        if key == "id":
            if value != self._id:
                self._identify(value)
        elif key == "created":
            self._created = self._created or value
        elif key == "model":
            self._model = value or self._model
        elif key == "usage":
            if value is not None:
                self._usage = value
        elif key not in _PADDING:
            if key == "x_groq" and isinstance(value, dict):
                self.add_inner_usage(value.get("usage"))
            self._fields[key] = merged(self._fields.get(key), value)

    def add_inner_usage(self, usage: Json) -> None:
        """Usage from a place where it does not belong; counts when there is none in its own."""
        if usage is not None:
            self._inner_usage = usage

    def close(self, kind: str, choices: list[Json]) -> dict[str, Json]:
        whole: dict[str, Json] = {}
        if self._id is not None:
            whole["id"] = self._id
        whole["object"] = kind
        if self._created is not None:
            whole["created"] = self._created
        if self._model is not None:
            whole["model"] = self._model
        whole["choices"] = choices
        usage = self._usage if self._usage is not None else self._inner_usage
        if usage is not None:
            whole["usage"] = usage
        whole.update(self._fields)
        return whole

    def _identify(self, value: Json) -> None:
        if isinstance(value, str) and value and value not in self.ids[-8:] and len(self.ids) < 64:
            self.ids.append(value)
        if not self._id:
            self._id = value
