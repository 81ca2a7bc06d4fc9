"""A point in time as people write it: a date, a time of day, or how long ago."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from storage.query.terms import EPOCH

_AGO: Final = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY: Final = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})", re.ASCII)
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)


def instant(text: str, now: datetime, local: Callable[[datetime], datetime]) -> int | None:
    """Microseconds since 1970; None when it is no time.

    `now` is aware; `local` makes a time that names no zone an aware one. A date is its midnight, a time of day alone is
    today's.
    """
    text = text.replace("−", "-")  # what some Japanese keyboards give; NFKC leaves it
    try:
        at = _ago(text, now) or _read(text, now, local)
        return None if at is None else (at.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError, OSError):  # the 31st of February, the year 12000
        return None


def _ago(text: str, now: datetime) -> datetime | None:
    if (found := _AGO.fullmatch(text.lower())) is None:
        return None
    return now - timedelta(**{_UNITS[found[2]]: int(found[1])})


def _read(text: str, now: datetime, local: Callable[[datetime], datetime]) -> datetime | None:
    if (found := _CLOCK.fullmatch(text)) is not None:
        today = now.replace(tzinfo=None, second=0, microsecond=0)
        return local(today.replace(hour=int(found[1]), minute=int(found[2]), second=int(found[3] or 0)))
    if (found := _DAY.match(text)) is None:
        return None
    day = f"{int(found[1]):04}-{int(found[2]):02}-{int(found[3]):02}"
    at = datetime.fromisoformat(day + text[found.end() :].upper())
    return at if at.tzinfo is not None else local(at)
