"""Sizes and durations as people write them: `64 MiB`, `30d`, `90 s`."""

import re
from typing import Annotated

from pydantic import BeforeValidator

_SIZES = {
    "": 1,
    "B": 1,
    "KIB": 1 << 10,
    "MIB": 1 << 20,
    "GIB": 1 << 30,
    "TIB": 1 << 40,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
}
_TIMES = {"": 1.0, "MS": 0.001, "S": 1.0, "M": 60.0, "H": 3600.0, "D": 86400.0}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*|%)\s*")


def _read(given: object, units: dict[str, float] | dict[str, int], sample: str) -> float:
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
        return float(given)
    found = _WRITTEN.fullmatch(given) if isinstance(given, str) else None
    if found is None or found[2].upper() not in units:
        raise ValueError(f"cannot be read. Write it as {sample}")
    return float(found[1]) * units[found[2].upper()]


Size = Annotated[int, BeforeValidator(lambda given: int(_read(given, _SIZES, "64 MiB, or a number of bytes")))]
"""Bytes."""

Duration = Annotated[float, BeforeValidator(lambda given: _read(given, _TIMES, "30 s, 20 m, 12 h or 30 d"))]
"""Seconds."""


def _share(given: object) -> float:
    found = _read(given, {"": 1.0, "%": 0.01}, "10 %, or a share from 0 to 1")
    if found > 1:
        raise ValueError("is more than all there is. Write 10 %, or a share from 0 to 1")
    return found


Share = Annotated[float, BeforeValidator(_share)]
"""Of a whole, 0 to 1."""
