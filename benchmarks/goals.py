"""What was to be reached, and whether this run did. One worker on one core, everything on, side by side in one run."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.samples import Summary

_US, _STOCK, _NGINX = "Sekisho", "bare mitmdump", "nginx"
_LITELLM, _PORTKEY, _DJANGO, _OFF = (
    "LiteLLM proxy",
    "Portkey gateway",
    "Django, httpx, SQLite",
    "Sekisho, recording off",
)


@dataclass(frozen=True, slots=True)
class Goal:
    """`value` raises KeyError or ZeroDivisionError where the run lacks what it needs."""

    what: str
    bound: float
    at_most: bool
    value: Callable[[Summary], float]

    def reached(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound


def _ratio(key: str, measure: str, of: str, to: str) -> Callable[[Summary], float]:
    return lambda s: float(s[measure][of][key] / s[measure][to][key])


def _times(other: str, measure: str = "32 connections") -> Callable[[Summary], float]:
    return _ratio("rps", measure, _US, other)


def _of(measure: str, key: str) -> Callable[[Summary], float]:
    return lambda s: float(s[measure][_US][key])


def _growth(key: str) -> Callable[[Summary], float]:
    def worst(s: Summary) -> float:
        sizes = list(s["exchanges in the store"].values())
        return float(max(one[key] for one in sizes[1:]) / sizes[0][key])

    return worst


GOALS = (
    Goal("requests/s, times bare mitmdump", 12, False, _times(_STOCK)),
    Goal("CPU per request of the worker, of mitmdump's", 0.1, True, _ratio("cpu_ms", "32 connections", _US, _STOCK)),
    Goal("requests/s, times LiteLLM", 50, False, _times(_LITELLM)),
    Goal("requests/s, times Portkey", 10, False, _times(_PORTKEY)),
    Goal("requests/s, times Django", 20, False, _times(_DJANGO)),
    Goal("new connection each and TLS, times mitmdump", 15, False, _times(_STOCK, "TLS: new connection each")),
    Goal("64 KiB bodies, times mitmdump", 3, False, _times(_STOCK, "64 KiB bodies")),
    Goal("64 KiB bodies, added p50, ms", 2, True,
         lambda s: s["50 requests/s of 64 KiB"][_US]["p50_ms"] - s["50 requests/s of 64 KiB"]["direct"]["p50_ms"]),
    Goal("CPU per event of the worker, of mitmdump's", 0.2, True, _ratio("cpu_us_event", "50 streams", _US, _STOCK)),
    Goal("CPU per event of the worker, times nginx's", 2, True, _ratio("cpu_us_event", "50 streams", _US, _NGINX)),
    Goal("1,000 streams, first event p50, ms", 2, True, _of("1,000 streams", "ttfb_p50_ms")),
    Goal("1,000 streams, first event p99, ms", 30, True, _of("1,000 streams", "ttfb_p99_ms")),
    Goal("1,000 streams, memory of the worker, MB", 120, True, _of("1,000 streams", "rss_mb")),
    Goal("2,000 streams, whole", 2000, False, _of("2,000 streams", "whole")),
    Goal("requests/s with recording, of those without", 0.75, False, _ratio("rps", "32 connections", _US, _OFF)),
    Goal("2 workers, times 1", 1.6, False, _ratio("rps", "workers", "2", "1")),
    Goal("sustained, worker and recorder on one core, times mitmdump", 1, False,
         lambda s: s["32 connections"][_US]["sustained_rps"] / s["32 connections"][_STOCK]["rps"]),
    Goal("worker's CPU with a full store, times an empty one's", 1.15, True, _growth("cpu_ms")),
    Goal("recorder's CPU with a full store, times an empty one's", 1.15, True, _growth("recorder_ms")),
)  # fmt: skip


def judged(summary: Summary) -> list[tuple[Goal, float | None]]:
    """Each goal with what this run found; None where it was not measured."""
    found: list[tuple[Goal, float | None]] = []
    for goal in GOALS:
        try:
            found.append((goal, goal.value(summary)))
        except (KeyError, ZeroDivisionError, IndexError):
            found.append((goal, None))
    return found
