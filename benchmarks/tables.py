"""The tables of a run: titles and cells, for the terminal and for docs/performance.md alike."""

from dataclasses import dataclass
from typing import Any

from benchmarks.goals import judged
from benchmarks.samples import Summary

_BASE, _DIRECT = "bare mitmdump", "direct"


@dataclass(frozen=True, slots=True)
class Table:
    """`name` is where it stands in the page."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        lines = [f"| {' | '.join(self.columns)} |", f"| --- |{' ---: |' * (len(self.columns) - 1)}"]
        return "\n".join(lines + [f"| {' | '.join(row)} |" for row in self.rows])


def tables(run: dict[str, Any]) -> list[Table]:
    """All there is to show of this run."""
    summary: Summary = run["summary"]
    found = [_goals(summary)]
    for name, title, prefix in (("requests", "Requests", ""), ("tls", "The same with TLS to the provider", "TLS: ")):
        if f"{prefix}32 connections" in summary:
            found += [_rates(summary, name, title, prefix), _costs(summary, f"{name}-cost", prefix)]
    found += [
        _streams(summary, m) for m in summary if m.endswith(("stream", "streams")) and not m.startswith("workers")
    ]
    found += [
        _growth(summary, m)
        for m in ("body size", "rules", "issuers", "exchanges in the store", "workers")
        if m in summary
    ]
    return [*found, _proof(run), _conditions(run)]


def _goals(summary: Summary) -> Table:
    rows = [
        [
            goal.what,
            f"{'≤' if goal.at_most else '≥'} {goal.bound:,g}",
            "–" if value is None else _short(value),
            "not measured" if value is None else "yes" if goal.reached(value) else "**no**",
        ]
        for goal, value in judged(summary)
    ]
    return Table("goals", "What was to be reached", ["", "to reach", "measured", "reached"], rows)


def _rates(summary: Summary, name: str, title: str, prefix: str) -> Table:
    columns = {"32 connections": "32 connections", "1 connection": "1 connection", "new connection each": "new connection each",
               "64 KiB bodies": "64 KiB bodies"}  # fmt: skip
    shown = {prefix + m: t for m, t in columns.items() if prefix + m in summary}
    base = summary[f"{prefix}32 connections"].get(_BASE, {}).get("rps")
    rows = []
    for variant, found in summary[f"{prefix}32 connections"].items():
        times = f"{found['rps'] / base:,.3g}" if base and found.get("rps") else "–"
        sustained = _cell(summary, f"{prefix}32 connections", variant, "sustained_rps", ",.0f")
        rows.append([variant, times, *(_cell(summary, m, variant, "rps", ",.0f") for m in shown), sustained])
    return Table(name, f"{title}, per second", ["", "× mitmdump", *shown.values(), "32 connections, sustained"], rows)


def _costs(summary: Summary, name: str, prefix: str) -> Table:
    many, paced, heavy = f"{prefix}32 connections", f"{prefix}50 requests/s", f"{prefix}50 requests/s of 64 KiB"
    rows = [
        [
            variant,
            _cell(summary, many, variant, "cpu_ms", ".3f"),
            _cell(summary, many, variant, "whole_cpu_ms", ".3f"),
            _cell(summary, f"{prefix}64 KiB bodies", variant, "cpu_ms", ".3f"),
            *(_added(summary, m, variant, key) for m in (paced, heavy) for key in ("p50_ms", "p99_ms")),
            _cell(summary, many, variant, "rss_mb", ",.0f"),
        ]
        for variant in summary[many]
    ]
    columns = [
        "",
        "CPU ms per request",
        "recorder too",
        "with 64 KiB",
        "added p50 ms",
        "p99",
        "64 KiB: added p50 ms",
        "p99",
        "RSS MB",
    ]
    return Table(name, "What a request costs", columns, rows)


def _streams(summary: Summary, measure: str) -> Table:
    shown = (("ttfb_p50_ms", "first event p50 ms", ".2f"), ("ttfb_p99_ms", "p99", ".1f"), ("event_p50_ms", "event p50 ms", ".2f"),
             ("event_p99_ms", "p99", ".1f"), ("cpu_us_event", "CPU µs per event", ",.0f"),
             ("whole_cpu_us_event", "recorder too", ",.0f"), ("rss_mb", "RSS MB", ",.0f"), ("whole", "whole", ",.0f"))  # fmt: skip
    rows = [[v, *(_cell(summary, measure, v, key, form) for key, _, form in shown)] for v in summary[measure]]
    return Table(
        measure.replace(",", "").replace(": ", "-").replace(" ", "-").lower(),
        f"{measure} at once",
        ["", *(t for _, t, _ in shown)],
        rows,
    )


def _growth(summary: Summary, measure: str) -> Table:
    shown = (("rps", "requests/s", ",.0f"), ("cpu_ms", "worker's CPU ms per request", ".3f"), ("recorder_ms", "recorder's", ".3f"),
             ("rss_mb", "worker's RSS MB", ",.0f"))  # fmt: skip
    rows = [[v, *(_cell(summary, measure, v, key, form) for key, _, form in shown)] for v in summary[measure]]
    return Table(
        f"growth-{measure.replace(' ', '-')}", f"Sekisho by {measure}", [measure, *(t for _, t, _ in shown)], rows
    )


def _proof(run: dict[str, Any]) -> Table:
    rows = [[name, f"{found['answered']:,}", f"{found['missing']:,}"] for name, found in run["recorded"].items()]
    return Table("proof", "Is every answered request in the export?", ["", "answered", "not on record"], rows)


def _conditions(run: dict[str, Any]) -> Table:
    """What went wrong or was disturbed, and what was not there."""
    rows = [[f"{name}: not measured", why] for name, why in run["missing"].items()]
    for measure, by_variant in run["summary"].items():
        rows += [
            [f"{variant}, {measure}", f"{found['bad']:,.0f} bad or missing answers ({found['note']})"]
            for variant, found in by_variant.items()
            if found["bad"]
        ]
        if disturbed := [v for v, found in by_variant.items() if found["disturbed"]]:
            most = max(by_variant[v]["foreign"] for v in disturbed)
            rows.append([f"~ {measure}: {', '.join(disturbed)}", f"disturbed: others used up to {most:.2f} cores"])
    return Table(
        "conditions", "What to know of this run", ["", ""], rows or [["nothing was missing, bad or disturbed", ""]]
    )


def _cell(summary: Summary, measure: str, variant: str, key: str, form: str) -> str:
    found = summary.get(measure, {}).get(variant, {})
    if found.get(key) is None or (variant == _DIRECT and ("cpu" in key or "rss" in key)):
        return "–"
    return ("~" if found["disturbed"] else "") + format(found[key], form)


def _added(summary: Summary, measure: str, variant: str, key: str) -> str:
    found, direct = (summary.get(measure, {}).get(v, {}) for v in (variant, _DIRECT))
    if found.get(key) is None:
        return "–"
    if measure.startswith("TLS") or direct.get(key) is None:
        return f"({found[key]:.2f} in all)"
    return f"({found[key]:.2f})" if variant == _DIRECT else f"{found[key] - direct[key]:.2f}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
