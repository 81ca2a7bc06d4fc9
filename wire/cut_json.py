"""JSON that broke off: as much of it as is certain.

A tool call's arguments arrive as pieces of text; when the stream is cut, or `max_tokens` ends it, so is the JSON.
The official SDK reads it with jiter's partial mode, and so do we: an unfinished string or key is dropped, a number
at the very end is taken as it stands, open objects and lists are closed.
"""

import contextlib
import json
import re
from typing import Final

from exchange.call import Json
from wire.fields import Object
from wire.json_text import read_json

PARTIAL_JSON: Final = "_partial_json"
"""Key that holds, beside arguments, the text they were read from, where that text was not whole JSON."""

DEPTH: Final = 200
"""Levels of nesting that are read."""

_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NUMBER_CUT: Final = re.compile(r"-?(?:(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?)?)?\Z")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_WORDS: Final[dict[str, Json]] = {"true": True, "false": False, "null": None}
_LENIENT: Final = json.JSONDecoder(strict=False)  # raw line ends inside strings: models write them


class _CutError(Exception):
    """The text ended inside a value that cannot be told yet."""


def put_arguments(fields: Object, name: str, text: str) -> None:
    """Set `fields[name]` to what the text says. No text leaves what the field had, an empty object if nothing; text
    that broke off gives what is certain of it, and is kept beside it under PARTIAL_JSON."""
    if text.strip():
        try:
            fields[name] = read_json(text)
        except ValueError:
            fields[PARTIAL_JSON] = text
        else:
            return
        with contextlib.suppress(ValueError):  # nothing is certain: the text beside it is all there is
            fields[name] = certain_part(text)
    fields.setdefault(name, {})


def certain_part(text: str) -> Json:
    """What the beginning of a JSON text says for certain. Raises ValueError when no value has begun to be certain,
    or when this is not the beginning of any JSON."""
    try:
        value, _ = _value(text, 0, 0)
    except _CutError as cut:
        raise ValueError("the text ends before its first value") from cut
    return value


def _value(text: str, at: int, depth: int) -> tuple[Json, int]:
    """The value that starts at `at`, and where it ends."""
    at = _skip(text, at)
    if at == len(text):
        raise _CutError
    first = text[at]
    if first in "{[":
        if depth == DEPTH:
            raise ValueError("nested too deeply")
        return (_object if first == "{" else _list)(text, at + 1, depth + 1)
    if first == '"':
        return _string(text, at)
    for word, value in _WORDS.items():
        if text.startswith(word, at):
            return value, at + len(word)
        if word.startswith(text[at:]):
            raise _CutError
    number = _NUMBER.match(text, at)
    if number and not (number.end() < len(text) and text[number.end()] in ".eE"):
        found: Json = json.loads(number[0])
        return found, number.end()
    if _NUMBER_CUT.match(text, at):
        raise _CutError
    raise ValueError(f"no JSON value at character {at}")


def _string(text: str, at: int) -> tuple[str, int]:
    whole = _STRING.match(text, at)
    if not whole:
        raise _CutError
    found: str = _LENIENT.decode(whole[0])
    return found, whole.end()


def _object(text: str, at: int, depth: int) -> tuple[Json, int]:
    found: dict[str, Json] = {}
    at = _skip(text, at)
    if text[at : at + 1] == "}":
        return found, at + 1
    try:
        while True:
            at = _skip(text, at)
            if at == len(text):
                return found, at
            if text[at] != '"':
                raise ValueError(f"no key at character {at}")
            key, at = _string(text, at)
            at = _skip(text, at)
            if at == len(text):
                return found, at
            if text[at] != ":":
                raise ValueError(f"no colon at character {at}")
            found[key], at = _value(text, at + 1, depth)
            at, ended = _next(text, at, "}")
            if ended:
                return found, at
    except _CutError:
        return found, len(text)


def _list(text: str, at: int, depth: int) -> tuple[Json, int]:
    found: list[Json] = []
    at = _skip(text, at)
    if text[at : at + 1] == "]":
        return found, at + 1
    try:
        while True:
            value, at = _value(text, at, depth)
            found.append(value)
            at, ended = _next(text, at, "]")
            if ended:
                return found, at
    except _CutError:
        return found, len(text)


def _next(text: str, at: int, end: str) -> tuple[int, bool]:
    """After a member: past its comma, or past the end of what holds it."""
    at = _skip(text, at)
    if at == len(text) or text[at] == end:
        return min(at + 1, len(text)), True
    if text[at] != ",":
        raise ValueError(f"no comma at character {at}")
    return at + 1, False


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
