"""JSON as it comes over the wire: read leniently, and made fit to be written again.

msgspec reads it in C; what it will not read (half surrogates, NaN) goes to the standard library's reader.
"""

import json
import re
from typing import Final, cast

import msgspec

from exchange.call import Json

DEPTH: Final = 256
"""Levels of nesting that are read. Whoever walks the values later may do so by recursion."""

VALUES: Final = 8 << 20
"""Values in one text that is read; each takes up to a hundred bytes of memory, whatever it took on the wire."""

LENIENT: Final = json.JSONDecoder(parse_constant=str)
"""NaN and the infinities, which are no JSON, become the strings of that name."""

_decode = msgspec.json.decode
_encode = msgspec.json.encode
_HALVES: Final = re.compile("[\ud800-\udfff]")
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


class NotRead(ValueError):  # noqa: N818 - it may be JSON all right
    """A text that is not read for what reading it would take."""


def read_json(text: str | bytes) -> Json:
    """What a JSON text says (RFC 8259); of a key that stands twice, the last. Raises ValueError when it is none, and
    NotRead, which is one, when it is nested deeper than DEPTH or holds more than VALUES."""
    if len(text) > VALUES and too_many(text, VALUES):
        raise NotRead("too many values")
    try:
        value = cast("Json", _decode(text))
    except (msgspec.DecodeError, UnicodeError):
        value = _read_slowly(text)
    except RecursionError as deep:
        raise NotRead("nested too deeply") from deep
    if len(text) > DEPTH and too_deep(_brackets(text), value):
        raise NotRead("nested too deeply")
    return value


def is_json(text: str | bytes) -> bool:
    """Whether this is one whole JSON text."""
    try:
        read_json(text)
    except ValueError:
        return False
    return True


def too_many(text: str | bytes, limit: int) -> bool:
    """Whether a text holds more than `limit` values, told without reading them. Each but the first stands behind a
    comma or opens with its container; commas in strings are looked at only when there are many of them."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    return _openings(raw) > limit and _openings(_STRING.sub(b"", raw)) > limit


def _openings(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def too_deep(brackets: int, value: Json) -> bool:
    """Whether `value`, whose text opens so many brackets, is nested deeper than DEPTH. With few it cannot be."""
    if brackets <= DEPTH or not isinstance(value, dict | list):
        return False
    level: list[dict[str, Json] | list[Json]] = [value]
    for _ in range(DEPTH):
        inner: list[dict[str, Json] | list[Json]] = []
        for outer in level:
            inner += [
                each
                for each in (outer.values() if type(outer) is dict else outer)
                if type(each) is dict or type(each) is list
            ]
        if not inner:
            return False
        level = inner
    return True


def fit(value: Json) -> Json:
    """The same value, certain to be writable as JSON in UTF-8; nearly always that is `value` itself.

    Halves of characters that came in two pieces are joined (RFC 8259 §8.2); one that stays alone becomes U+FFFD.
    """
    try:
        _encode(value)
    except UnicodeEncodeError:
        return _fit(value)
    return value


def fit_text(text: str) -> str:
    """A string that is sure to encode as UTF-8: halves of characters joined, a lone one replaced by U+FFFD."""
    if text.isascii() or not _HALVES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _brackets(text: str | bytes) -> int:
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _read_slowly(text: str | bytes) -> Json:
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return cast("Json", LENIENT.decode(text))
    except RecursionError as deep:
        raise NotRead("nested too deeply") from deep


def _fit(value: Json) -> Json:
    if isinstance(value, str):
        return fit_text(value)
    if isinstance(value, list):
        return [_fit(each) for each in value]
    if isinstance(value, dict):
        return {fit_text(key): _fit(each) for key, each in value.items()}
    return value
