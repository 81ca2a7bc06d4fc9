"""python -m benchmarks.run: Sekisho beside what one would pick instead, all in turn, in one run.

What is measured has a core of its own, load and provider another. Every figure is a median of rounds in which all
variants took their turn. A variant is left alone until it has settled, so that none works while another is measured.
Samples and medians go to benchmarks/results/latest.json, tables and plots into docs/performance.md.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from benchmarks.cores import Cores, cores
from benchmarks.growth import groups
from benchmarks.issuer import Issuers
from benchmarks.measures import Measure, main_measures, tls_measures
from benchmarks.native import BUILT, ROOT, build
from benchmarks.page import write_page
from benchmarks.processes import Running, free_port, start
from benchmarks.recorded import answered_and_missing
from benchmarks.samples import DISTURBED, Sample, summary
from benchmarks.tables import tables
from benchmarks.tls_provider import tls_provider
from benchmarks.variants import NotInstalled, Place, direct, django, litellm, mitmdump, nginx, portkey, sekisho

type Starter = tuple[str, Callable[[Place], Running]]


def _starter(module: ModuleType) -> Starter:
    return module.NAME, module.start


PLAIN: list[Starter] = [
    *map(_starter, (direct, nginx, mitmdump, sekisho)),
    (sekisho.UNRECORDED, sekisho.start_unrecorded),
    (sekisho.MITM_LANE, sekisho.start_mitm_lane),
    *map(_starter, (litellm, portkey, django)),
]
WITH_TLS: list[Starter] = [*map(_starter, (nginx, mitmdump, sekisho))]
_LOOKS = 3  # more, for what is not on record yet
_ALWAYS = (direct.NAME, mitmdump.NAME)  # what others are compared with


@dataclass
class Bench:
    """One run: where, on what, and what came out."""

    place: Place
    cores: Cores
    console: Console
    samples: list[Sample] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    recorded: dict[str, dict[str, int]] = field(default_factory=dict)
    patience: float = 0.0
    """Seconds that may be spent on taking samples again that others disturbed."""

    def take(self, measure: str, variant: str, number: int, take: Callable[[], tuple[dict[str, float], str]]) -> None:
        try:
            values, why = take()
        except (OSError, subprocess.SubprocessError, ValueError) as failed:
            self.console.print(f"[red]{measure}, {variant}: {failed}")
            return
        self.samples.append(Sample(measure, variant, number, values, values.pop("foreign"), why))

    def take_again(self, measure: Measure, running: list[Running]) -> None:
        """Until two of each are undisturbed, or the patience is used up: the machine may be quieter now."""
        while self.patience > 0:
            quiet = Counter(s.variant for s in self.samples if s.measure == measure.name and s.foreign < DISTURBED)
            wanted = [one for one in running if quiet[one.name] < min(2, measure.rounds)]
            if not wanted:
                return
            for one in wanted:
                began = time.monotonic()
                self.take(measure.name, one.name, measure.rounds, partial(measure.take, one, self.cores.others))
                self.patience -= time.monotonic() - began

    @contextlib.contextmanager
    def started(self, starters: Sequence[Starter], place: Place, what: str) -> Iterator[list[Running]]:
        """Those of them that are here and start."""
        running: list[Running] = []
        try:
            for number, (name, starter) in enumerate(starters):
                folder = place.folder / f"{what}-{number}"
                folder.mkdir()
                try:
                    one = starter(replace(place, folder=folder))
                except NotInstalled as why:
                    self.missing[name] = f"not installed; {why}"
                    continue
                running.append(one)
                if not one.wait():
                    self.missing[name] = f"did not start, see {_copied(folder / 'log')}"
                    running.remove(one)
                    one.stop()
            for one in running:
                one.settle(20)
            yield running
        finally:
            for one in running:
                one.stop()

    def prove(self, running: Running, what: str) -> None:
        """Look for every answered request in the record."""
        if running.config is not None:
            try:
                answered, missing = answered_and_missing(running)
                for _ in range(_LOOKS):
                    if missing:  # a busy machine may have held the recorder up
                        time.sleep(2)
                        running.settle()
                        answered, missing = answered_and_missing(running)
            except subprocess.SubprocessError as failed:
                self.console.print(f"[red]{what}: {failed}")
                answered = missing = sum(good for *_, good in running.asked)
            self.recorded[what] = {"answered": answered, "missing": missing}


def _copied(log: Path) -> Path:
    """The folder goes at the end; what a program said that did not start stays."""
    kept = BUILT / f"{log.parent.name}.log"
    kept.write_bytes(log.read_bytes() if log.exists() else b"")
    return kept


def run_all(bench: Bench, measures: list[Measure], running: list[Running], bar: Progress) -> None:
    task = bar.add_task("", total=sum(m.rounds for m in measures) * len(running))
    for measure in measures:
        if not bar.console.is_terminal:
            bar.console.print(measure.name)  # where nobody sees the bar, a log says how far it is
        for number in range(measure.rounds):
            for one in running:
                bar.update(task, description=f"{measure.name}: {one.name}")
                bench.take(measure.name, one.name, number, partial(measure.take, one, bench.cores.others))
                bar.advance(task)
        bench.take_again(measure, running)
    bar.remove_task(task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter samples: about ten minutes")
    parser.add_argument(
        "--only", metavar="NAME", help="a variant beside direct and mitmdump, or one part: plain, tls, growth"
    )
    parser.add_argument("--rounds", type=int, help="samples of each figure (5; with --quick 2)")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results", metavar="DIR", help="where latest.json goes"
    )
    args = parser.parse_args()
    console, on = Console(), cores()
    os.sched_setaffinity(0, {int(on.others)})  # progress bar, issuer and exports too keep off the measured core
    build()
    rounds, only = args.rounds or (2 if args.quick else 5), (args.only or "").lower()
    issuers = Issuers(10)
    with tempfile.TemporaryDirectory() as name, Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    ) as bar:  # fmt: skip
        folder, port = Path(name), free_port()
        provider = start([str(BUILT / "provider"), str(port)], on.others, log=folder / "provider.log")
        place = Place(folder, f"http://127.0.0.1:{port}", on.measured, issuers)
        bench = Bench(place, on, console, patience=20 if args.quick else 120)
        ended = Running("provider", port, provider)
        ended.wait()
        try:
            _measure(bench, bar, quick=args.quick, rounds=rounds, only=only)
        except KeyboardInterrupt:
            console.print("[red]Stopped: what follows is what was measured by then.")
            bench.missing["the rest of this run"] = "it was stopped"
        finally:
            ended.stop()
            issuers.stop()
    found = _said(bench, args)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "latest.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for table in tables(found):
        shown = RichTable(title=table.title, title_justify="left")
        for i, column in enumerate(table.columns):
            shown.add_column(column, justify="right" if i else "left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    if not only and args.output == parser.get_default("output"):
        write_page(found)
    if any(one["missing"] for one in bench.recorded.values()):
        sys.exit("Some answered requests are not on record.")


def _measure(bench: Bench, bar: Progress, *, quick: bool, rounds: int, only: str) -> None:
    place, on = bench.place, bench.cores
    parts = ("plain", "tls", "growth")
    groups_only = only if only in parts else ""
    chosen = [s for s in PLAIN if not only or groups_only or only in s[0].lower() or s[0] in _ALWAYS]
    if groups_only in ("", "plain"):
        with bench.started(chosen, place, "plain") as running:
            run_all(bench, main_measures(quick=quick, rounds=rounds), running, bar)
            for one in running:
                bench.prove(one, f"{one.name}, plain provider")
    if groups_only in ("", "tls") and (not only or groups_only):
        behind = tls_provider(place.folder, place.upstream_port, on.others)
        if behind is None:
            bench.missing["TLS to the provider"] = "needs nginx"
        else:
            behind.wait()
            secure = replace(place, upstream=f"https://127.0.0.1:{behind.port}", authority=place.folder / "ca.pem")
            try:
                with bench.started(WITH_TLS, secure, "tls") as running:
                    run_all(bench, tls_measures(quick=quick, rounds=rounds), running, bar)
                    for one in running:
                        bench.prove(one, f"{one.name}, provider with TLS")
            finally:
                behind.stop()
    if groups_only in ("", "growth") and (not only or groups_only):
        _grow(bench, bar, quick=quick, rounds=rounds)


def _grow(bench: Bench, bar: Progress, *, quick: bool, rounds: int) -> None:
    def filling(total: int) -> Callable[[int], None]:
        task = bar.add_task(f"filling a store with {total:,}", total=total)
        return lambda count: bar.advance(task, count)

    folder = bench.place.folder / "growth"
    folder.mkdir()
    for group in groups(replace(bench.place, folder=folder), bench.cores, quick=quick, fill_with=filling):
        if not bar.console.is_terminal:
            bar.console.print(group.name)
        with group.cases() as cases:
            task = bar.add_task("", total=rounds * len(cases))
            for number in range(rounds):
                for case in cases:
                    bar.update(task, description=f"{group.name}: {case.name}")
                    bench.take(group.name, case.name, number, partial(case.take, case.running, bench.cores.others))
                    bar.advance(task)
            bar.remove_task(task)
            for case in {id(c.running): c for c in cases}.values():
                what = "all sizes" if group.name == "body size" else case.name
                bench.prove(case.running, f"Sekisho, {group.name}: {what}")


def _said(bench: Bench, args: argparse.Namespace) -> dict[str, Any]:
    on = bench.cores
    second = "on a free core" if on.second_is_free else "on the core of the load"
    return {
        "when": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _git("rev-parse", "--short", "HEAD")
        + (" and changes" if _git("status", "--porcelain", "-uno", "--", ".", ":!benchmarks", ":!docs") else ""),
        "machine": f"{_cpu()}, measured on core {on.measured}, load and provider on {on.others}, a second worker {second}",
        "python": f"Python {platform.python_version()}, Linux {platform.release()}",
        "quick": args.quick,
        "missing": bench.missing,
        "recorded": bench.recorded,
        "summary": summary(bench.samples),
        "samples": [sample.json() for sample in bench.samples],
    }


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
