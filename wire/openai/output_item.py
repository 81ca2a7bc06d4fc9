"""One item of a Responses `output`, built from its deltas until its own `output_item.done` tells it whole."""

from typing import Final

from exchange.call import Json
from wire.fields import index, items, mapping

_TEXTS: Final = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text", "summary_text": "text"}


class Part:
    """A part of a message's content or of a reasoning item's summary: its text grows, its lists extend."""

    def __init__(self, kind: str) -> None:
        self._key = _TEXTS[kind]
        self._base: dict[str, Json] = {"type": kind, self._key: ""}
        if kind == "output_text":
            self._base["annotations"] = []
        self._pieces: list[str] = []

    def replace(self, base: dict[str, Json]) -> None:
        """The part as the server tells it at this moment."""
        self._base = dict(base)
        self._pieces.clear()
        kind = base.get("type")
        self._key = _TEXTS.get(kind, self._key) if isinstance(kind, str) else self._key

    def grow(self, piece: Json, logprobs: Json) -> None:
        if isinstance(piece, str):
            self._pieces.append(piece)
        if isinstance(logprobs, list) and logprobs:
            self._list("logprobs").extend(logprobs)

    def settle(self, text: Json) -> None:
        """`.done`: the text is this, whatever the deltas were."""
        if isinstance(text, str):
            self._pieces.clear()
            self._base[self._key] = text

    def annotate(self, place: int | None, annotation: Json) -> None:
        notes = self._list("annotations")
        if place is not None and place < len(notes):
            notes[place] = annotation
        else:
            notes.append(annotation)

    def _list(self, name: str) -> list[Json]:
        """A list inside the part that is ours to extend; what stood there before came parsed, and is ours as well."""
        held = self._base.get(name)
        if not isinstance(held, list):
            held = self._base[name] = []
        return held

    def close(self) -> dict[str, Json]:
        if self._pieces:
            before = self._base.get(self._key)
            self._base[self._key] = (before if isinstance(before, str) else "") + "".join(self._pieces)
            self._pieces.clear()
        return self._base


class OutputItem:
    """`done`: `output_item.done` has come, and nothing but it counts."""

    def __init__(self, base: dict[str, Json]) -> None:
        self.done = False
        self._base = base
        self._parts: dict[tuple[str, int], Part] = {}
        self._grown: dict[tuple[str | int, ...], list[str]] = {}
        for name in ("content", "summary"):
            for place, each in enumerate(items(base.get(name))):
                if isinstance(each, dict):
                    self.part(name, place, _kind(each, name)).replace(each)

    def settle(self, whole: dict[str, Json]) -> None:
        """The item as the server tells it in the end."""
        self.done = True
        self._base = whole
        self._parts.clear()
        self._grown.clear()

    def part(self, name: str, place: int, kind: str) -> Part:
        """The part of `content` or `summary` at this place; opened when nobody has opened it yet."""
        part = self._parts.get((name, place))
        if part is None:
            part = self._parts[(name, place)] = Part(kind)
        return part

    def grow(self, path: tuple[str | int, ...], piece: Json) -> None:
        """A string inside the item, by its path, grows."""
        if isinstance(piece, str):
            self._grown.setdefault(path, []).append(piece)

    def put(self, path: tuple[str | int, ...], value: Json) -> None:
        """A value inside the item, by its path, is this."""
        if value is not None:
            self._grown.pop(path, None)
            _put(self._base, path, value)

    def close(self) -> dict[str, Json]:
        for path, pieces in self._grown.items():
            before = _get(self._base, path)
            _put(self._base, path, (before if isinstance(before, str) else "") + "".join(pieces))
        self._grown.clear()
        for name in ("content", "summary"):
            parts: list[Json] = [self._parts[key].close() for key in sorted(self._parts) if key[0] == name]
            if parts:
                self._base[name] = parts
        return self._base


def _kind(part: dict[str, Json], name: str) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) and kind in _TEXTS else "summary_text" if name == "summary" else "output_text"


def _get(value: Json, path: tuple[str | int, ...]) -> Json:
    for step in path:
        if isinstance(step, str):
            value = mapping(value).get(step)
        elif isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _put(base: dict[str, Json], path: tuple[str | int, ...], value: Json) -> None:
    """Sets what stands at the path, and makes the objects and lists on the way there. A list grows by one at most: a
    place far behind its end (nobody sends it in earnest) means the next one."""
    here: Json = base
    for step, following in zip(path, (*path[1:], None), strict=True):
        empty: Json = {} if isinstance(following, str) else []
        if isinstance(step, str):
            if not isinstance(here, dict):
                return
            if following is None:
                here[step] = value
                return
            if not isinstance(here.get(step), dict | list):
                here[step] = empty
            here = here[step]
        else:
            if not isinstance(here, list):
                return
            place = min(step, len(here))
            if place == len(here):
                here.append(value if following is None else empty)
            elif following is None:
                here[place] = value
            elif not isinstance(here[place], dict | list):
                here[place] = empty
            here = here[place]


def place_of(event: dict[str, Json], name: str) -> int:
    """An index in an event; 0 when it is left away."""
    place = index(event.get(name))
    return 0 if place is None else place
