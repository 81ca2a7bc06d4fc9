"""A function call that is streamed in pieces (Vertex AI, `streamFunctionCallArguments`).

It opens with a name and `willContinue`, goes on with `partialArgs`, and ends at the piece without `willContinue`,
which is often empty.
"""

from typing import Final

from exchange.call import Json
from wire.extra import Extra
from wire.fields import Object, items, mapping, string
from wire.gemini.json_path import put, steps

_PIECES: Final = ("partialArgs", "willContinue")
_VALUES: Final = ("numberValue", "boolValue", "nullValue")


def opens(call: Object) -> bool:
    """Whether this `functionCall` is the first of several pieces."""
    return call.get("willContinue") is True or "partialArgs" in call


class StreamedCall:
    """One call; `part` is the part it becomes, finished by `close`."""

    def __init__(self, part: Object) -> None:
        self.part = part
        self._call: Object = {}
        self._args: Object = {}
        self._strings: dict[str, list[str]] = {}
        self._order: list[tuple[str, Json]] = []

    def takes(self, call: Object) -> bool:
        """Whether this `functionCall` continues the call: it names no other."""
        name, ident = call.get("name"), call.get("id")
        return (not name or name == self._call.get("name")) and (
            not ident or not self._call.get("id") or ident == self._call["id"]
        )

    def add(self, part: Object, extra: Extra) -> bool:
        """One piece. True while further ones are to come."""
        call = mapping(part.get("functionCall"))
        for key, value in part.items():
            if key != "functionCall" and value is not None:
                self.part[key] = value
        for key, value in call.items():
            if key not in (*_PIECES, "args") and value not in (None, ""):
                self._call[key] = value
        self._args.update(mapping(call.get("args")))
        for each in items(call.get("partialArgs")):
            self._piece(mapping(each), extra)
        return call.get("willContinue") is True

    def _piece(self, piece: Object, extra: Extra) -> None:
        """Strings of one path concatenate; every other value is set."""
        path = string(piece.get("jsonPath"))
        if steps(path) is None:
            extra.keep("unknown_events", piece)
            return
        if "stringValue" in piece:
            if path not in self._strings:
                self._strings[path] = []
                self._order.append((path, None))
            self._strings[path].append(string(piece["stringValue"]))
            return
        for key in _VALUES:
            if key in piece:
                self._order.append((path, None if key == "nullValue" else piece[key]))

    def close(self, extra: Extra) -> None:
        """Put the call together in its part."""
        for path, value in self._order:
            pieces = self._strings.get(path)
            found = "".join(pieces) if pieces is not None else value
            way = steps(path)
            if way is None or not put(self._args, way, found):
                extra.keep("unknown_events", {"jsonPath": path, "value": found})
        self.part["functionCall"] = {**self._call, "args": self._args}
