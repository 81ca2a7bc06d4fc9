"""What is measured of every variant, and how one sample of it is taken."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.load import apply
from benchmarks.processes import Running
from benchmarks.samples import Values

type Taken = tuple[Values, str]
_AGENT = 65_000  # bytes of text: with its envelope a body of 64 KiB, what coding agents send


@dataclass(frozen=True, slots=True)
class Measure:
    """`take(running, core of the load)` is one sample: its values, and why answers were bad if any were."""

    name: str
    rounds: int
    take: Callable[[Running, str], Taken]


def requests(running: Running, core: str, *, seconds: float, options: tuple[str, ...]) -> Taken:
    """As many as it can. Rates are per second of load; `sustained_rps` counts the time to settle as well."""
    values, why = apply(running, core, *options, seconds=seconds)
    answered = max(values["answered"], 1)
    return {
        "rps": values["answered"] / values["seconds"],
        "cpu_ms": 1000 * values["worker_s"] / answered,
        "whole_cpu_ms": 1000 * values["whole_cpu_s"] / answered,
        "recorder_ms": 1000 * values["recorder_s"] / answered,
        "sustained_rps": values["answered"] / (values["seconds"] + values["settle_s"]),
        **_kept(values),
    }, why


def paced(running: Running, core: str, *, seconds: float, options: tuple[str, ...] = ()) -> Taken:
    """Fifty a second: the delay of a request when there is no crowd."""
    values, why = apply(running, core, "-c", "8", "-r", "50", *options, seconds=seconds)
    return {"cpu_ms": 1000 * values["worker_s"] / max(values["answered"], 1), **_kept(values)}, why


def streams(running: Running, core: str, *, count: int, events: int, interval_ms: int, ramp: float) -> Taken:
    """Streams at once, each over a connection of its own. Times as in benchmarks/native/load.c."""
    seconds = ramp + events * interval_ms / 1000
    values, why = apply(
        running, core, "-c", str(count), "-e", str(events), "-i", str(1000 * interval_ms), "-g", f"{ramp:g}", "-l", "8",
        seconds=seconds,
    )  # fmt: skip
    received = max(values["events"], 1)
    return {
        "whole": values["answered"],
        "cpu_us_event": 1e6 * values["worker_s"] / received,
        "whole_cpu_us_event": 1e6 * values["whole_cpu_s"] / received,
        **_kept(values),
    }, why


def _kept(values: Values) -> Values:
    ends = ("_ms", "_mb")
    return {
        k: v for k, v in values.items() if k.endswith(ends) or k in ("answered", "bad", "failed", "settle_s", "foreign")
    }


def main_measures(*, quick: bool, rounds: int) -> list[Measure]:
    """Of every variant, with a plain provider."""
    seconds = 1 if quick else 1.5
    found = [
        Measure("32 connections", rounds, partial(requests, seconds=seconds, options=("-c", "32"))),
        Measure("1 connection", rounds, partial(requests, seconds=seconds, options=("-c", "1"))),
        Measure("new connection each", rounds, partial(requests, seconds=seconds, options=("-c", "16", "-f"))),
        Measure("64 KiB bodies", rounds, partial(requests, seconds=seconds, options=("-c", "32", "-b", str(_AGENT)))),
        Measure("50 requests/s", rounds, partial(paced, seconds=2)),
        Measure("50 requests/s of 64 KiB", rounds, partial(paced, seconds=2, options=("-b", str(_AGENT)))),
    ]
    for count, events, interval, ramp, times in (
        (1, 40, 20, 0.0, rounds),
        (50, 75, 20, 0.5, rounds),
        (200, 30, 50, 1.0, rounds),
        (1000, 15, 200, 2.0, rounds),
        (2000, 10, 400, 3.0, min(rounds, 3)),
    ):
        if not quick or count in (50, 1000):
            take = partial(streams, count=count, events=events, interval_ms=interval, ramp=ramp)
            found.append(Measure(f"{count:,} streams" if count > 1 else "1 stream", times, take))
    return found


def tls_measures(*, quick: bool, rounds: int) -> list[Measure]:
    """Of those that speak TLS to their provider and are asked about it: nginx, mitmdump, Sekisho."""
    seconds = 1 if quick else 1.5
    take = partial(streams, count=50, events=75, interval_ms=20, ramp=0.5)
    return [
        Measure("TLS: 32 connections", rounds, partial(requests, seconds=seconds, options=("-c", "32"))),
        Measure("TLS: new connection each", rounds, partial(requests, seconds=seconds, options=("-c", "16", "-f"))),
        Measure("TLS: 50 requests/s", rounds, partial(paced, seconds=2)),
        Measure("TLS: 50 streams", rounds, take),
    ]
