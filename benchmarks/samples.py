"""Samples, how much strangers disturbed each, and what stands in a table for several of them."""

import os
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import descendants, stat_fields, ticks

DISTURBED = 0.35
"""Cores in use by others, from which on a sample counts only when there is none better."""

type Values = dict[str, float]
type Summary = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One variant, measured once. `foreign` is how many cores others used during the load."""

    measure: str
    variant: str
    round: int
    values: Values
    foreign: float
    note: str = ""

    def json(self) -> dict[str, Any]:
        return asdict(self)


class Watch:
    """How much of the machine others use: its processor time, less ours and that of all we started."""

    def __init__(self) -> None:
        self._began, self._machine, self._ours = time.monotonic(), _machine(), _ours()

    def foreign(self) -> float:
        wall = time.monotonic() - self._began
        return max(0.0, round((_machine() - self._machine - (_ours() - self._ours)) / wall, 3))


def _machine() -> float:
    """user, nice and system of /proc/stat, and what the hypervisor took (steal)."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return ticks(fields, 1, 4) + ticks(fields, 8, 9)


def _ours() -> float:
    """Of us and all below, and of those below that ended already."""
    return sum(ticks(stat_fields(pid), 11, 15) for pid in descendants(os.getpid()))


def summary(samples: Iterable[Sample]) -> Summary:
    """Measure → variant → medians, and of how many samples. Disturbed ones are left out while two others remain."""
    grouped: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        grouped.setdefault(sample.measure, {}).setdefault(sample.variant, []).append(sample)
    return {m: {v: _medians(taken) for v, taken in by.items()} for m, by in grouped.items()}


def _medians(taken: list[Sample]) -> dict[str, Any]:
    quiet = [s for s in taken if s.foreign < DISTURBED]
    used = quiet if len(quiet) >= min(2, len(taken)) else sorted(taken, key=lambda s: s.foreign)[:2]
    keys = dict.fromkeys(key for s in used for key in s.values)
    found: dict[str, Any] = {
        key: round(statistics.median(s.values[key] for s in used if key in s.values), 5) for key in keys
    }
    rates = [s.values["rps"] for s in used if "rps" in s.values]
    if len(rates) > 1:
        found["rps_low"], found["rps_high"] = min(rates), max(rates)
    notes = [s.note for s in taken if s.note]
    return found | {
        "samples": len(taken),
        "quiet": len(quiet),
        "disturbed": any(s.foreign >= DISTURBED for s in used),
        "foreign": max(s.foreign for s in used),
        "bad": sum(s.values.get("bad", 0) + s.values.get("failed", 0) for s in taken),
        "note": notes[0] if notes else "",
    }
