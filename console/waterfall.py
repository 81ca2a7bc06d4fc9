"""Where the time went, as an SVG of our own: in us, waiting for the first byte, the stream with every arrival."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from wire.conversation.record import ShownRecord

_WIDTH: Final = 1000
_TICKS: Final = 240  # arrivals that are drawn, at most


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the way, in milliseconds. `name` is a key of the catalogue."""

    name: str
    start: float
    length: float
    css: str


def spans(record: ShownRecord) -> list[Span]:
    """The parts that are known, in order."""
    timing = record.timing
    whole = timing.duration_ms
    if whole is None or whole <= 0:
        return []
    inside = min(timing.overhead_ms or 0.0, whole)
    found = [Span("In Sekisho: identity, policy, journal", 0.0, inside, "w-us")] if timing.overhead_ms else []
    if timing.ttft_ms is None:
        return [*found, Span("Until the end", inside, whole - inside, "w-wait")]
    first = min(max(timing.ttft_ms, inside), whole)
    found.append(Span("Waiting for the first byte", inside, first - inside, "w-wait"))
    if whole > first:
        name = "The stream" if record.stream else "The reply"
        found.append(Span(name, first, whole - first, "w-stream"))
    return found


def drawing(record: ShownRecord, arrivals: Sequence[tuple[int, int]]) -> Markup | None:
    """The picture; None where no time is known. `arrivals`: microseconds since the request, and lengths."""
    parts = spans(record)
    if not parts:
        return None
    whole = record.timing.duration_ms or 1.0
    shapes: list[Markup] = []
    for row, part in enumerate(parts):
        x, width = _WIDTH * part.start / whole, max(_WIDTH * part.length / whole, 2.0)
        shapes.append(
            Markup('<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="14" rx="3"/>').format(
                part.css, min(x, _WIDTH - 2.0), row * 24 + 5, min(width, _WIDTH - min(x, _WIDTH - 2.0))
            )
        )
    step = max(1, len(arrivals) // _TICKS)
    base = len(parts) * 24 - 19
    for offset, _ in arrivals[::step]:
        at = _WIDTH * offset / 1000 / whole
        if 0 <= at <= _WIDTH:
            shapes.append(Markup('<rect class="w-tick" x="{:.1f}" y="{}" width="1.5" height="14"/>').format(at, base))
    return Markup(
        '<svg class="waterfall" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(_WIDTH, len(parts) * 24, Markup().join(shapes))
