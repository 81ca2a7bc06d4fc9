"""docs/performance.md: its tables and plot are made from the results; its words are written there."""

from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
PLOT = PAGE.parent / "performance" / "requests.svg"
_BEGIN, _END = "<!-- measured -->", "<!-- /measured -->"
_BASE = "bare mitmdump"

_COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("32 connections", "rps", "requests/s, 32 connections", ",.0f"),
    ("32 connections", "cpu_ms", "CPU ms per request", ".3f"),
    ("1 connection", "rps", "requests/s, 1 connection", ",.0f"),
    ("new connection each", "rps", "requests/s, new connection each", ",.0f"),
    ("64 KiB bodies", "rps", "requests/s, 64 KiB bodies", ",.0f"),
    ("at 50 requests/s", "p50_ms", "p50 ms at 50/s", ".2f"),
    ("at 50 requests/s", "p99_ms", "p99 ms at 50/s", ".2f"),
)
_STREAMS = (
    ("ttfb_p50", "TTFB p50 ms", ".2f"),
    ("ttfb_p99", "TTFB p99 ms", ".1f"),
    ("chunk_p50", "event p50 ms", ".2f"),
    ("chunk_p99", "event p99 ms", ".1f"),
    ("cpu_us_chunk", "CPU µs per event", ",.0f"),
    ("rss_mb", "RSS MB", ",.0f"),
    ("whole", "whole", ",.0f"),
)


def write_page(summary: dict[str, Any]) -> str:
    """Put the tables between the markers; returns them."""
    measures = summary["measures"]
    text = "\n".join([*_requests(measures), "", *_streams(measures), *_rest(summary)])
    if PAGE.exists():
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(_BEGIN)
        PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{rest.partition(_END)[2]}", encoding="utf-8")
    PLOT.parent.mkdir(exist_ok=True)
    PLOT.write_text(_plot(measures["32 connections"]), encoding="utf-8")
    return text


def _requests(measures: dict[str, Any]) -> list[str]:
    columns = [c for c in _COLUMNS if c[0] in measures]
    lines = [
        "| | × bare mitmdump | " + " | ".join(title for *_, title, _ in columns) + " |",
        "| --- | ---: |" + " ---: |" * len(columns),
    ]
    base = measures["32 connections"].get(_BASE, {}).get("rps")
    for name, found in measures["32 connections"].items():
        times = f"{found['rps'] / base:.1f}" if base and found.get("rps") else "–"
        lines.append(
            f"| {name} | {times} | "
            + " | ".join(_cell(measures, m, name, key, form) for m, key, _, form in columns)
            + " |"
        )
    return lines


def _streams(measures: dict[str, Any]) -> list[str]:
    lines = []
    for measure, by_name in measures.items():
        if measure.endswith(" streams"):
            lines += [
                f"**{measure} at once**",
                "",
                "| | " + " | ".join(t for _, t, _ in _STREAMS) + " |",
                "| --- |" + " ---: |" * len(_STREAMS),
            ]
            lines += [
                f"| {name} | "
                + " | ".join(_cell(measures, measure, name, key, form) for key, _, form in _STREAMS)
                + " |"
                for name in by_name
            ]
            lines.append("")
    return lines


def _rest(summary: dict[str, Any]) -> list[str]:
    lines = []
    worker = summary["measures"]["32 connections"].get("Sekisho", {})
    if worker:
        lines.append(f"Of Sekisho's processor time at 32 connections, the worker has {worker['worker_ms']:.3f} ms per request, the recorder "
                     f"{worker['recorder_ms']:.3f} (it catches up after the burst).")  # fmt: skip
    kept = summary["measures"].get("sustained", {}).get("Sekisho")
    if kept:
        lines.append(
            f"Sustained, worker and recorder on one core, everything on record: {kept['rps_sustained']:,.0f} requests/s."
        )
    if alone := summary.get("alone"):
        lines += [
            "",
            "**Sekisho by itself** (bodies at 4 connections)",
            "",
            "| | requests/s | CPU ms per request |",
            "| --- | ---: | ---: |",
        ]
        lines += [
            f"| {what} | {by['Sekisho']['rps']:,.0f} | {by['Sekisho']['worker_ms']:.3f} |" for what, by in alone.items()
        ]
        lines.append("")
    lines += [f"Not measured here: {name} ({why})." for name, why in summary["missing"].items()]
    return lines


def _cell(measures: dict[str, Any], measure: str, name: str, key: str, form: str) -> str:
    value = measures.get(measure, {}).get(name, {}).get(key)
    return "–" if value is None else format(value, form)


def _plot(rates: dict[str, Any]) -> str:
    """Bars on a logarithmic scale, readable in light and dark."""
    import math

    bars = [(name, found["rps"]) for name, found in rates.items() if found.get("rps")]
    most = math.log10(max((rate for _, rate in bars), default=10))
    rows = []
    for i, (name, rate) in enumerate(bars):
        width, y = 420 * math.log10(max(rate, 1.1)) / most, 34 + 30 * i
        colour = "#c0392b" if name == "Sekisho" else "#7f8c8d"
        rows.append(f'<text x="190" y="{y + 15}" text-anchor="end">{name}</text><rect x="200" y="{y}" width="{width:.0f}" height="20" fill="{colour}"/>'
                    f'<text x="{208 + width:.0f}" y="{y + 15}">{rate:,.0f}</text>')  # fmt: skip
    height = 50 + 30 * len(bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" font-family="sans-serif" font-size="13" fill="#888">'
        f'<text x="10" y="20">requests/s, one core, 32 connections (logarithmic)</text>{"".join(rows)}</svg>\n'
    )
