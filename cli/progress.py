"""A bar on standard error while something takes long; none where nobody looks."""

import contextlib
from collections.abc import Callable, Iterator

type Upto = Callable[[int], None]
"""Told how far it is."""


@contextlib.contextmanager
def progress(what: str, total: int, *, wanted: bool | None = None) -> Iterator[Upto]:
    """A bar up to `total`. `wanted`: None shows it on a terminal only."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from cli.terminal import err

    console = err()
    showing = console.is_terminal if wanted is None else wanted
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=wanted is None, disable=not showing) as bar:
        task = bar.add_task(what, total=total)
        yield lambda upto: bar.update(task, completed=upto)


type Stage = Callable[[str, int, int], None]
"""Told what is being done, how much of it is, and of how much; 0 when nobody knows."""


@contextlib.contextmanager
def stages(what: str) -> Iterator[Stage]:
    """A bar for something that is done in several stages; on a terminal only."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from cli.terminal import err

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err(), transient=True, disable=not err().is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def show(doing: str, done: int, total: int) -> None:
            bar.update(task, description=f"{what}: {doing}", completed=done, total=total or None)

        yield show
