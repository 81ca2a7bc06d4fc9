"""The plots, drawn as SVG by hand: bars on a logarithmic scale, and lines. No colour of paper, so dark pages do as well."""

import html
import math
from collections.abc import Sequence

from benchmarks.samples import Summary

_OURS, _THEIRS, _INK = "#c0392b", "#7f8c8d", "#888"
_US = "Sekisho"
type Bar = tuple[str, float]


def plots(summary: Summary) -> dict[str, str]:
    """File name → picture; what was not measured is not drawn."""
    wanted = (
        ("requests", "requests/s, 32 connections, one core", "32 connections", "rps", ",.0f"),
        ("tls", "requests/s, a new connection and TLS to the provider", "TLS: new connection each", "rps", ",.0f"),
        ("bodies", "requests/s, bodies of 64 KiB", "64 KiB bodies", "rps", ",.0f"),
        ("events", "CPU µs per event, 50 streams (less is better)", "50 streams", "cpu_us_event", ",.0f"),
        ("first-event", "first event p50 ms, 1,000 streams (less is better)", "1,000 streams", "ttfb_p50_ms", ",.2f"),
    )
    found: dict[str, str] = {}
    for name, title, measure, key, form in wanted:
        bars = [(v, s[key]) for v, s in summary.get(measure, {}).items() if s.get(key) and _is_shown(v, key)]
        if bars:
            found[name] = bar_chart(title, bars, form)
    if sizes := summary.get("exchanges in the store"):
        curves = {
            "worker": [(size, s["cpu_ms"]) for size, s in sizes.items()],
            "recorder": [(size, s["recorder_ms"]) for size, s in sizes.items()],
        }
        found["history"] = line_chart("CPU ms per exchange, by how many are in the store", curves)
    return found


def _is_shown(variant: str, key: str) -> bool:
    return variant != "direct" or "cpu" not in key


def bar_chart(title: str, bars: Sequence[Bar], form: str) -> str:
    """Logarithmic, from a tenth of the smallest value."""
    low = math.log10(min(value for _, value in bars)) - 0.5
    high = max(math.log10(max(value for _, value in bars)), low + 1)
    rows = []
    for i, (name, value) in enumerate(bars):
        width, y = 400 * (math.log10(value) - low) / (high - low), 34 + 28 * i
        colour = _OURS if name.startswith(_US) else _THEIRS
        rows.append(
            f'<text x="190" y="{y + 15}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect x="200" y="{y}" width="{width:.0f}" height="20" fill="{colour}"/>'
            f'<text x="{208 + width:.0f}" y="{y + 15}">{value:{form}}</text>'
        )
    return _picture(f"{title} (logarithmic)", "".join(rows), 44 + 28 * len(bars))


def line_chart(title: str, curves: dict[str, list[tuple[str, float]]]) -> str:
    """From zero, one step per size."""
    most = max(value for curve in curves.values() for _, value in curve) * 1.15
    parts = []
    for n, (name, curve) in enumerate(curves.items()):
        colour = (_OURS, _THEIRS)[n % 2]
        at = [(80 + 460 * i / max(len(curve) - 1, 1), 210 - 170 * value / most) for i, (_, value) in enumerate(curve)]
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in at)}"/>'
        )
        parts += [
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{colour}"/><text x="{x:.0f}" y="{y - 8:.0f}" text-anchor="middle">{value:.3f}</text>'
            for (x, y), (_, value) in zip(at, curve, strict=True)
        ]
        parts.append(
            f'<text x="{at[-1][0] + 30:.0f}" y="{at[-1][1] + 4:.0f}" fill="{colour}">{html.escape(name)}</text>'
        )
        if n == 0:
            parts += [f'<text x="{x:.0f}" y="230" text-anchor="middle">{html.escape(size)}</text>'
                      for (x, _), (size, _) in zip(at, curve, strict=True)]  # fmt: skip
    return _picture(title, '<path d="M80 210H540" stroke="#888"/>' + "".join(parts), 245)


def _picture(title: str, inside: str, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" font-family="sans-serif" font-size="13" fill="{_INK}">'
        f'<title>{html.escape(title)}</title><text x="10" y="20">{html.escape(title)}</text>{inside}</svg>\n'
    )
