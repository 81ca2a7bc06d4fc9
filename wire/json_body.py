"""A request body as JSON: strictly, so that what the policy saw is what the provider reads; or leniently.

Strict means RFC 8259 in UTF-8, an object, no key twice (RFC 7493 §2.3), no number that readers take differently.
msgspec reads in C but keeps the last of two equal keys, silently. That it dropped none shows in the colons: outside
of strings there is one for each pair, inside they stay as they are, so the text and the value written out again have
the same number exactly when nothing was dropped. Only an escaped colon (`\\u003a`) would hide one: then, and whenever
the numbers differ, the standard library reads again, pair by pair, and names the problem.
"""

import json
import math
from typing import Final, NoReturn, cast

import msgspec

from exchange.call import Json
from wire.api import BodyProblem
from wire.json_text import fit, read_json, too_deep, too_many

DIGITS: Final = 20
"""Characters of an integer: what fits 64 bits does not need more."""

VALUES: Final = 1 << 20
"""Values of a request. The largest known that mean something are embeddings of 300,000 tokens, given as numbers."""

_JUDGED: Final = frozenset(("model", "stream", "models", "fallbacks"))
"""What decides; a key that some reader (Go's, without regard to case) takes for one of these is none of its own."""

_LENGTHS: Final = range(5, 11)  # of those, however a letter is written

_BOM: Final = b"\xef\xbb\xbf"
_NOT_STRUCTURE: Final = bytes(code for code in range(256) if code not in b":[{")
_ANY_DIGIT_AS_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_MANY_DIGITS: Final = b"0" * DIGITS
_STRIDE: Final = 5
_SOME_DIGITS: Final = b"0" * (DIGITS // _STRIDE)
"""Every fifth byte of a text shows at least this of DIGITS digits in a row."""


def parse_json(raw: bytes, *, strict: bool) -> Json:
    """The value of a request body.

    Strict: raises BodyProblem with one of bom, not_utf8, invalid_json, json_not_object, duplicate_json_key,
    nonfinite_number, number_too_long, json_too_deep, json_too_large, lone_surrogate. A lone surrogate in a text stays
    acceptable (clients that cut strings send them) and becomes U+FFFD; in a key or in `model` it does not. A key that
    differs from `model` or its like by case alone is a duplicate, whether the other is there or not: readers that
    ignore case would take it.
    Lenient: raises BodyProblem("invalid_json") for what cannot be read at all.
    """
    if not strict:
        try:
            return fit(read_json(raw.removeprefix(_BOM)))
        except ValueError as problem:
            raise BodyProblem("invalid_json") from problem
    if len(raw) > VALUES and too_many(raw, VALUES):
        raise BodyProblem("json_too_large")
    structure = raw.translate(None, _NOT_STRUCTURE)
    colons = structure.count(b":")
    value = _read_quickly(raw, colons)
    if value is None:
        value = _read_by_pairs(raw)
    if not isinstance(value, dict):
        raise BodyProblem("json_not_object")
    for key in value:
        if len(key) in _LENGTHS and key not in _JUDGED and key.casefold() in _JUDGED:
            raise BodyProblem("duplicate_json_key")
    if too_deep(len(structure) - colons, value):
        raise BodyProblem("json_too_deep")
    return value


def _read_quickly(raw: bytes, colons: int) -> Json:
    """The value, when it is beyond doubt; None when somebody has to look closer."""
    if b"\\" in raw and b"\\u003" in raw:  # a single byte is found much faster
        return None
    if _SOME_DIGITS in raw[::_STRIDE].translate(_ANY_DIGIT_AS_ZERO) and _has_many_digits(raw):
        return None
    try:
        value = cast("Json", msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    try:
        written = msgspec.json.encode(value)
    except RecursionError:
        return None
    return value if written.count(b":") == colons else None


def _has_many_digits(raw: bytes) -> bool:
    return _MANY_DIGITS in raw.translate(_ANY_DIGIT_AS_ZERO)


def _read_by_pairs(raw: bytes) -> Json:
    if raw.startswith(_BOM):
        raise BodyProblem("bom")
    try:
        text = raw.decode()  # json.loads(bytes) would guess UTF-16 and UTF-32
    except UnicodeDecodeError as problem:
        raise BodyProblem("not_utf8") from problem
    try:
        value = cast("Json", _PAIRS.decode(text))
    except RecursionError as problem:
        raise BodyProblem("json_too_deep") from problem
    except BodyProblem:
        raise
    except ValueError as problem:
        raise BodyProblem("invalid_json") from problem
    if isinstance(value, dict) and isinstance(model := value.get("model"), str):
        _whole_characters(model)
    return fit(value)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BodyProblem("duplicate_json_key")
    for key in value:
        if not key.isascii():
            _whole_characters(key)
    return value


def _whole_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        raise BodyProblem("lone_surrogate") from problem


def _constant(_: str) -> NoReturn:
    raise BodyProblem("nonfinite_number")


def _integer(digits: str) -> int:
    if len(digits) > DIGITS:
        raise BodyProblem("number_too_long")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise BodyProblem("nonfinite_number")
    return value


_PAIRS: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float
)
