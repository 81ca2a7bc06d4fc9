"""python -m benchmarks.erasing: how long a person's erasure and retention take, and how long each step is.

A step is one transaction with its commit: for so long, at most, recording waits. Times are by the clock on the wall, on
a machine that does other things too; the processor's time beside it says how much of that was ours.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.search import build, words
from storage.removal.due import Keeping, Limit
from storage.removal.erasing import Erasure
from storage.removal.retention import Let
from storage.removal.tombstones import Order
from storage.sqlite.driver import audit_path
from storage.sqlite.writing import AuditWriter

type Taken = tuple[float, float]
"""Seconds on the wall, and of the processor."""


def timed(work: Iterator[tuple[str, int, int]], what: str, console: Console) -> dict[str, list[Taken]]:
    """How long each step took, by the kind of step."""
    taken: dict[str, list[Taken]] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    for step, _, _ in track(work, what, console=console):
        taken.setdefault(step, []).append((time.perf_counter() - wall, time.process_time() - cpu))
        wall, cpu = time.perf_counter(), time.process_time()
    return taken


def add_rows(table: Table, what: str, taken: dict[str, list[Taken]]) -> None:
    for step, times in taken.items():
        wall = sorted(each for each, _ in times)
        cpu = sorted(each for _, each in times)
        at99 = len(times) * 99 // 100
        table.add_row(
            what, step, f"{len(times):,}", f"{sum(wall):.2f}", f"{wall[len(wall) // 2] * 1e3:.1f}",
            f"{wall[at99] * 1e3:.1f}", f"{wall[-1] * 1e3:.1f}", f"{cpu[at99] * 1e3:.1f}", f"{cpu[-1] * 1e3:.1f}",
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="exchanges in the record")
    rows = parser.parse_args().rows
    console = Console(width=max(Console().width, 130))
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), rows, words(random.Random(1)), console)
        writer = AuditWriter(audit_path(Path(folder)), reader_version=1)
        now = time.time_ns() // 1000
        person = Erasure(Order("1" * 32, "bench", "measured", now), [("own", "p1")])
        erased = timed(writer.eraser().erase(person), "erase one person", console)
        oldest, youngest = writer.connection.execute("select min(started_at), max(started_at) from exchange").fetchone()
        tenth = Keeping(Limit(int((youngest - oldest) * 0.9)))
        let = Let()
        run = writer.retention().run(tenth, Order("2" * 32, "bench", "measured", now), youngest, let)
        pruned = timed(run, "retain", console)
        writer.close()
    table = Table(title=f"{rows:,} exchanges of 500 people; {person.counts.exchanges} erased, {let.exchanges:,} let go")
    for column in ("what", "step", "steps", "s in all", "p50 ms", "p99 ms", "longest ms", "p99 CPU ms", "most CPU ms"):
        table.add_column(column, justify="left" if column in ("what", "step") else "right")
    add_rows(table, "erase", erased)
    add_rows(table, "retain", pruned)
    console.print(table)


if __name__ == "__main__":
    main()
