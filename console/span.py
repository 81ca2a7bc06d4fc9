"""The stretch of time that a page counts, and the links that lead from what it counts to the exchanges themselves."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from console.completion import quoted_if_needed

RANGES: Final = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time until now, in steps of an hour or a day of this machine's zone. Microseconds since 1970."""

    name: str
    begin: int
    end: int
    step: int
    offset: int

    @staticmethod
    def of(name: str) -> "Span":
        """The stretch of this name; a month where there is none."""
        name = name if name in RANGES else "30d"
        now = datetime.now().astimezone()
        offset = int((now.utcoffset() or timedelta()).total_seconds() * 1e6)
        step = int((3600 if name == "24h" else 86400) * 1e6)
        end = int(now.timestamp() * 1e6) + 1
        begin = (end - int(RANGES[name].total_seconds() * 1e6) + offset) // step * step - offset
        return Span(name, begin, end, step, offset)

    def steps(self) -> range:
        return range((self.begin + self.offset) // self.step, (self.end + self.offset) // self.step + 1)

    def search(self, asked: str, name: str, value: str) -> str:
        """The list of what was counted here, of what somebody asked for and this value: the same stretch of time."""
        begin = datetime.fromtimestamp(self.begin / 1e6).astimezone()
        whole = not begin.hour and not begin.minute  # not where the clock went over to winter since
        since = f"{begin:%Y-%m-%d}" if whole else f"{begin:%Y-%m-%dT%H:%M}"
        return f"/exchanges?{urlencode({'q': f'{added(asked, name, value)} after:{since}'})}"

    def overview(self, asked: str, name: str, value: str) -> str:
        """The overview of the same, and this value."""
        return f"/overview?{urlencode({'q': added(asked, name, value), 'range': self.name})}"

    def label(self, step: int) -> str:
        at = datetime.fromtimestamp(step * self.step / 1e6, tz=UTC)  # of the zone already
        return f"{at:%H:%M}" if self.name == "24h" else f"{at:%m-%d}"


def added(asked: str, name: str, value: str) -> str:
    """A query, and this condition."""
    return f"{asked} {name}:{quoted_if_needed(value)}".strip()
