"""Values out of JSON that a provider sent: of the kind asked for, or nothing. Nothing here raises."""

import json

from exchange.call import Json

type Object = dict[str, Json]


def mapping(value: Json) -> Object:
    """The object itself, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Json) -> list[Json]:
    """The list itself, or an empty one."""
    return value if isinstance(value, list) else []


def string(value: Json) -> str:
    """The string itself, or an empty one."""
    return value if isinstance(value, str) else ""


def index(value: Json) -> int | None:
    """A position in a list; None when it is none."""
    return value if type(value) is int and value >= 0 else None


def count(value: Json) -> int | None:
    """A number of tokens. Some servers write it as 3.0; anything else that is no whole number is None."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def total(*counts: int | None) -> int | None:
    """The sum of those that are known; None when none is."""
    known = [each for each in counts if each is not None]
    return sum(known) if known else None


def compact(value: Json) -> str:
    """JSON as text for people to search: characters as they are, no padding; a string stays itself."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
