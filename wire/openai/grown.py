"""Values that come in pieces. `add` a piece, `close` to have the whole; strings are joined once, at the end.

Which of these a field is stands in tables beside the field; Unknown is for what no table names.
"""

import base64
import binascii
from typing import Final, Protocol

from exchange.call import Json

IDENTITIES: Final = frozenset(
    ("id", "type", "name", "role", "channel", "format", "object", "model", "provider", "status", "signature")
)
"""Strings that name something and come whole: repeated they are repetitions, never continuations."""


class Grown(Protocol):
    """A field that grows."""

    def add(self, piece: Json) -> None: ...

    def close(self) -> Json: ...


class Joined:
    """Strings that continue each other. null says nothing; pieces of another kind are kept beside the text."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._others: list[Json] = []

    def add(self, piece: Json) -> None:
        if isinstance(piece, str):
            self._pieces.append(piece)
        elif piece is not None:
            self._others.append(piece)

    def close(self) -> Json:
        text = "".join(self._pieces) if self._pieces else None
        if not self._others:
            return text
        if not text:
            return self._others[0] if len(self._others) == 1 else self._others
        return [text, *self._others]


class Latest:
    """The last value that says something: null never overwrites, an empty string only null."""

    def __init__(self) -> None:
        self._value: Json = None

    def add(self, piece: Json) -> None:
        if piece or (piece is not None and (piece != "" or self._value is None)):
            self._value = piece

    def close(self) -> Json:
        return self._value


class Appended:
    """Lists of which each brings more."""

    def __init__(self) -> None:
        self._items: list[Json] | None = None

    def add(self, piece: Json) -> None:
        if piece is None:
            return
        if self._items is None:
            self._items = []
        if isinstance(piece, list):
            self._items += piece
        else:
            self._items.append(piece)

    def close(self) -> Json:
        return self._items


class Unknown:
    """A field nobody told us of: strings join unless all pieces are the same, lists extend, objects merge field by
    field, numbers and booleans are replaced. A change of kind starts anew."""

    def __init__(self, name: str = "") -> None:
        self._whole = name in IDENTITIES
        self._value: Json = None
        self._pieces: list[str] = []
        self._fields: dict[str, Unknown] = {}

    def add(self, piece: Json) -> None:
        if piece is None:
            return
        if isinstance(piece, str):
            if not isinstance(self._value, str):
                self._pieces = []
            self._pieces.append(piece)
            self._value = piece
        elif isinstance(piece, list):
            if isinstance(self._value, list):
                self._value += piece
            else:
                self._value = list(piece)
        elif isinstance(piece, dict):
            if not isinstance(self._value, dict):
                self._fields = {}
            self._value = piece
            for name, value in piece.items():
                field = self._fields.get(name)
                if field is None:
                    field = self._fields[name] = Unknown(name)
                field.add(value)
        else:
            self._value = piece

    def close(self) -> Json:
        if isinstance(self._value, dict):
            return {name: field.close() for name, field in self._fields.items()}
        if isinstance(self._value, str):
            said = [piece for piece in self._pieces if piece]
            if self._whole or len(set(said)) == 1:
                return said[-1] if said else ""
            return "".join(said)
        return self._value


class Base64Pieces:
    """Base64 in pieces, each perhaps padded on its own: the bytes are joined, not the letters."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: Json) -> None:
        if isinstance(piece, str) and piece:
            self._pieces.append(piece)

    def close(self) -> Json:
        return joined_base64(self._pieces)


def joined_base64(pieces: list[str]) -> str | None:
    """One base64 text out of pieces. What does not decode is joined as it came; None when nothing came."""
    if not pieces:
        return None
    text = "".join(pieces)
    if all(len(piece) % 4 == 0 and not piece.endswith("=") for piece in pieces[:-1]):
        return text
    if not any("=" in piece for piece in pieces[:-1]):
        return text  # cut anywhere, padded only at its end
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece, validate=True) for piece in pieces)).decode()
    except (binascii.Error, ValueError):
        return text


def merged(earlier: Json, later: Json) -> Json:
    """The later value, unless it is null; of two objects, the fields of both (one level deep)."""
    if later is None:
        return earlier
    if isinstance(earlier, dict) and isinstance(later, dict):
        return {**earlier, **{name: value for name, value in later.items() if value is not None or name not in earlier}}
    return later
