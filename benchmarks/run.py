"""python -m benchmarks.run [--quick]: Sekisho beside what one would pick instead, in one interleaved run.

What is measured has core 0, the load and the provider core 1. Every figure is the median of several rounds in which all
variants took their turn; with each sample goes how much of the machine strangers used meanwhile. Results go to
benchmarks/results.json and between the markers of docs/performance.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks import variants
from benchmarks.page import write_page
from benchmarks.processes import OTHERS, Running, busy
from benchmarks.variants import ROOT, VARIANTS, NotInstalled

type Sample = dict[str, Any]

_SMALL = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "%s"}]}' % ("x" * 400)
_AGENT = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "%s"}]}' % ("x" * 65_000)


def load(folder: Path, running: Running, seconds: float, connections: int, body: str, *, close: bool = False) -> Sample:
    """Requests by wrk: rate, processor time per request, bad answers."""
    headers = [line.partition(": ") for line in running.header.split("\r\n") if line]
    script = folder / "request.lua"
    script.write_text(
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        + "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, _, value in headers)
        + ('wrk.headers["Connection"] = "close"\n' if close else "")
        + f"wrk.body = [==[{body}]==]\n"
        + 'done = function(s, l, r) io.write(string.format("RESULT %d %d %d %d\\n", s.requests, s.duration, s.errors.status,'
        " s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout)) end\n",
        encoding="utf-8",
    )
    url = f"http://127.0.0.1:{running.port}/v1/chat/completions"
    command = ["taskset", "-c", OTHERS, "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), url]
    before, own, worker, recorder, at = (
        busy(),
        running.cpu(),
        running.cpu("worker"),
        running.cpu("recorder"),
        time.monotonic(),
    )
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used, wall = running.cpu() - own, time.monotonic() - at
    done, _, bad, failed = map(int, said.partition("RESULT ")[2].split())
    return {
        "rps": done / wall,
        "cpu_ms": 1000 * used / max(done, 1),
        "worker_ms": 1000 * (running.cpu("worker") - worker) / max(done, 1),
        "recorder_ms": 1000 * (running.cpu("recorder") - recorder) / max(done, 1),
        "bad": bad + (0 if close else failed),
        "done": done,
        "busy": (busy() - before) / wall,
    }


def streams(running: Running, count: int, chunks: int, interval: int, ramp: float) -> Sample:
    """Streams at once: time to the first event, added delay of each, processor time per event."""
    command = ["taskset", "-c", OTHERS, sys.executable, "-m", "benchmarks.streams", str(running.port), str(count), str(chunks),
               str(interval), str(ramp), running.header]  # fmt: skip
    own, worker = running.cpu(), running.cpu("worker")
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120).stdout
    found: Sample = json.loads(said)
    found["cpu_us_chunk"] = 1e6 * (running.cpu() - own) / (count * chunks)
    found["worker_us_chunk"] = 1e6 * (running.cpu("worker") - worker) / (count * chunks)
    found["rss_mb"] = running.rss("worker") or running.rss()
    return found


def pace(running: Running, rate: float, seconds: float) -> Sample:
    """Delay of single requests at an easy pace, milliseconds."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    headers = {"content-type": "application/json", **dict(h.split(": ", 1) for h in running.header.split("\r\n") if h)}
    took = []
    for _ in range(int(rate * seconds)):
        began = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", _SMALL, headers)
        connection.getresponse().read()
        took.append(1000 * (time.perf_counter() - began))
        time.sleep(max(0.0, 1 / rate - (time.perf_counter() - began)))
    connection.close()
    cuts = statistics.quantiles(took, n=100)
    return {"p50_ms": cuts[49], "p99_ms": cuts[98]}


def sustained(running: Running, seconds: float, folder: Path) -> Sample:
    """After a burst: how long until all of it is on record, and the rate over both. Counts what is in the record."""
    sample = load(folder, running, seconds, 32, _SMALL)
    at = time.monotonic()
    kept, before = -1, -2
    while kept != before and time.monotonic() - at < 120:
        time.sleep(1.5)
        before, kept = kept, recorded(running)
    drained = time.monotonic() - at - 1.5
    return {"rps_sustained": sample["done"] / (seconds + max(drained, 0.0)), "drained_s": drained}


def recorded(running: Running) -> int:
    import sqlite3

    assert running.config is not None
    path = running.config.parent / "data" / "audit.db"
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = connection.execute("select count(*) from exchange where end_state = 'complete'").fetchone()[0]
    connection.close()
    return int(found)


def measures(folder: Path, *, quick: bool) -> dict[str, tuple[int, Callable[[Running], Sample]]]:
    """By name: (rounds, how to take one sample)."""
    seconds, rounds = (2, 3) if quick else (3, 5)
    found: dict[str, tuple[int, Callable[[Running], Sample]]] = {
        "32 connections": (rounds, lambda r: load(folder, r, seconds, 32, _SMALL)),
        "1 connection": (rounds, lambda r: load(folder, r, seconds, 1, _SMALL)),
        "new connection each": (rounds, lambda r: load(folder, r, seconds, 16, _SMALL, close=True)),
        "64 KiB bodies": (rounds, lambda r: load(folder, r, seconds, 32, _AGENT)),
        "at 50 requests/s": (rounds, lambda r: pace(r, 50, seconds)),
    }
    for count, chunks, interval, ramp in (
        (1, 100, 20, 0),
        (50, 100, 20, 0.5),
        (200, 40, 50, 1),
        (1000, 25, 200, 2),
        (2000, 15, 400, 3),
    ):
        if not quick or count in (50, 1000):
            found[f"{count} streams"] = (
                1 if count >= 1000 else 3,
                partial(streams, count=count, chunks=chunks, interval=interval, ramp=ramp),
            )
    return found


def alone(folder: Path, upstream: int, seconds: int, console: Console) -> dict[str, dict[str, Sample]]:
    """Sekisho by itself: what grows with what."""
    found: dict[str, dict[str, Sample]] = {}
    rules = "".join(
        f"{{name: r{i}, domains: [d{i}.example], models: ['m{i}*'], operations: [chat]}}, " for i in range(1000)
    )
    makers: dict[str, Callable[[Path, int], Running]] = {
        "1 rule": partial(variants.sekisho, name="one rule"),
        "1,000 rules": partial(variants.sekisho, name="many rules", rules=rules),
        "1 worker, both cores": partial(variants.sekisho, name="one worker", core="0,1"),
        "2 workers, both cores": partial(variants.sekisho, name="two workers", more="workers: 2\n", core="0,1"),
    }
    for what, make in makers.items():
        console.print(f"alone: {what}")
        one: Running = make(folder, upstream)
        one.wait(60)
        time.sleep(1.5)  # the second worker
        samples = [load(folder, one, seconds, 32, _SMALL) for _ in range(3)]
        found[what] = {"Sekisho": median(samples)}
        if what == "1 rule":
            for size in (1 << 10, 1 << 14, 1 << 18, 1 << 20, 10 << 20):
                body = _AGENT[: _AGENT.index("x")] + "x" * size + '"}]}'
                found[f"bodies of {size >> 10:,} KiB"] = {
                    "Sekisho": median([load(folder, one, seconds, 4, body) for _ in range(3)])
                }
        one.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a few minutes")
    parser.add_argument("--only", help="variants whose name contains this, beside bare mitmdump and direct")
    args = parser.parse_args()
    console = Console()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("Two cores are needed: one for what is measured, one for the load.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        provider = variants.provider(folder, 0)
        provider.wait()
        running, missing = [], {}
        makers: list[Callable[[Path, int], Running]] = [
            *VARIANTS,
            partial(variants.sekisho, name="Sekisho, recording off", record=False),
        ]
        for make in makers:
            try:
                one = make(folder, provider.port)
            except NotInstalled as why:
                missing[getattr(make, "__name__", "?")] = str(why)
                continue
            if args.only and args.only.lower() not in one.name.lower() and one.name not in ("direct", "bare mitmdump"):
                one.stop()
            elif one.wait(90):
                running.append(one)
            else:
                missing[one.name] = "did not start"
                one.stop()
        console.print(f"measuring: {', '.join(r.name for r in running)}" + (f"; missing: {missing}" if missing else ""))
        try:
            results = take(running, measures(folder, quick=args.quick), console)
            for one in running:
                if one.name == "Sekisho":
                    results["sustained"] = {one.name: [sustained(one, 4, folder)]}
        finally:
            for one in running:
                one.stop()
        try:
            grown = alone(folder, provider.port, 1 if args.quick else 3, console)
        finally:
            provider.stop()
    summary = {
        "missing": missing,
        "measures": {m: {v: median(s) for v, s in by.items()} for m, by in results.items()},
        "alone": grown,
    }
    (ROOT / "benchmarks" / "results.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    console.print(write_page(summary))


def take(
    running: list[Running], todo: dict[str, tuple[int, Callable[[Running], Sample]]], console: Console
) -> dict[str, dict[str, list[Sample]]]:
    """All variants in turn, round by round."""
    results: dict[str, dict[str, list[Sample]]] = {name: {r.name: [] for r in running} for name in todo}
    total = sum(rounds for rounds, _ in todo.values()) * len(running)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("benchmark", total=total)
        for name, (rounds, sample) in todo.items():
            for _ in range(rounds):
                for one in running:
                    bar.update(task, description=f"{name}: {one.name}")
                    try:
                        results[name][one.name].append(sample(one))
                    except (OSError, subprocess.SubprocessError, ValueError, statistics.StatisticsError) as failed:
                        console.print(f"[red]{name}: {one.name}: {failed}[/red]"[:300])
                    bar.advance(task)
    return results


def median(samples: list[Sample]) -> Sample:
    keys = samples[0] if samples else {}
    found: Sample = {}
    for key in keys:
        values = [s[key] for s in samples if isinstance(s.get(key), int | float)]
        found[key] = round(statistics.median(values), 4) if values else None
    return found


if __name__ == "__main__":
    main()
