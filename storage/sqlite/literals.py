"""Do these very characters stand in a body? The index knows words only; this looks at the strings themselves."""

from collections.abc import Iterable
from typing import Any

import msgspec


def stand_in(bodies: Iterable[bytes], literals: Iterable[str]) -> set[str]:
    """Those of the literals that stand in a string somewhere in these JSON texts. Names of fields do not count."""
    missing = set(literals)
    found: set[str] = set()
    for body in bodies:
        for text in _strings(body):
            found |= {literal for literal in missing if literal in text}
        missing -= found
        if not missing:
            break
    return found


def _strings(body: bytes) -> Iterable[str]:
    try:
        waiting: list[Any] = [msgspec.json.decode(body)]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return [body.decode("utf-8", "replace")]  # too deep, or no JSON: its text is what there is
    found: list[str] = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found
