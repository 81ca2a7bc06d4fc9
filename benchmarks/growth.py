"""Sekisho by itself: what grows with what. Within a group the instances take turns, like the variants."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.cores import Cores
from benchmarks.history import fill
from benchmarks.measures import Taken, requests
from benchmarks.processes import Running
from benchmarks.variants import Place, sekisho

type Fill = Callable[[Path, int], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One size of something."""

    name: str
    running: Running
    take: Callable[[Running, str], Taken]


@dataclass(frozen=True, slots=True)
class Group:
    """`cases()` starts the instances and yields what to measure; they are stopped at the end."""

    name: str
    cases: Callable[[], "contextlib.AbstractContextManager[list[Case]]"]


def groups(
    place: Place, cores: Cores, *, quick: bool, fill_with: Callable[[int], Callable[[int], None]]
) -> list[Group]:
    """`fill_with(total)` begins a progress bar and returns what advances it."""
    seconds, numbers = 1.0, itertools.count()
    small = partial(requests, seconds=seconds, options=("-c", "32"))

    @contextlib.contextmanager
    def started(*runs: tuple[str, Callable[[Place], Running], Callable[[Running, str], Taken]]) -> Iterator[list[Case]]:
        cases: list[Case] = []
        try:
            for name, start, take in runs:
                folder = place.folder / f"case-{next(numbers)}"
                folder.mkdir()
                case = Case(name, start(replace(place, folder=folder)), take)
                cases.append(case)
                case.running.wait()
                case.running.settle()
            yield cases
        finally:
            for case in cases:
                case.running.stop()

    @contextlib.contextmanager
    def bodies() -> Iterator[list[Case]]:
        with started(("growth-bodies", sekisho.start, small)) as (one,):
            sizes = (
                (1 << 10, 64 << 10, 1 << 20) if quick else (1 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 10 << 20)
            )
            yield [
                Case(_size(size), one.running, partial(requests, seconds=seconds, options=("-c", "4", "-b", str(size))))
                for size in sizes
            ]

    def rules() -> "contextlib.AbstractContextManager[list[Case]]":
        return started(*((f"{n:,}", partial(sekisho.start, rules=n), small) for n in (1, 100, 1000)))

    def issuers() -> "contextlib.AbstractContextManager[list[Case]]":
        return started(*((f"{n}", partial(sekisho.start, issuers=n), small) for n in (1, 10)))

    def workers() -> "contextlib.AbstractContextManager[list[Case]]":
        def start(place: Place, count: int) -> Running:
            return sekisho.start(replace(place, core=cores.both), workers=count)

        many = partial(requests, seconds=seconds, options=("-c", "64"))
        return started(*((f"{n}", partial(start, count=n), many) for n in (1, 2)))

    def history() -> "contextlib.AbstractContextManager[list[Case]]":
        totals = (1000, 20_000) if quick else (1000, 100_000, 1_000_000)

        def start(place: Place, total: int) -> Running:
            fill(place.folder / "data", total, fill_with(total))
            return replace(sekisho.start(place), stored=total)

        return started(*((f"{n:,}", partial(start, total=n), small) for n in totals))

    found = {
        "body size": bodies,
        "rules": rules,
        "issuers": issuers,
        "workers": workers,
        "exchanges in the store": history,
    }
    return [Group(name, cases) for name, cases in found.items()]


def _size(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
