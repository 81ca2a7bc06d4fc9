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
