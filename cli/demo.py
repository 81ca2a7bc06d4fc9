"""`sekisho demo`: the whole road once, without network and key: provider, checkpoint, official SDK, record."""

import signal
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.failure import Failed


def demo(
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="PATH", help="Taken like everywhere; the demo has settings of its own."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Instead: fill a new folder with a month of a made-up company."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder with the record, and say where it is.")] = False,
) -> None:
    """Watch a chat and a Responses request pass, word by word, and see the record of each. Needs no network, no key.

    With --data nothing passes: a record is made that is worth looking at, by the recorder itself.
    """
    del config
    if data is not None:
        _fill(data)
        return
    try:
        import openai  # noqa: F401 - asked first, so that nothing is started in vain
    except ImportError:
        raise Failed("The demo calls with the official `openai` SDK, which is not here. Run `make demo`.") from None
    from cli.demo_road import Road
    from cli.terminal import err

    console = err()
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with Road(keep=keep) as road:
            road.walk()
    except KeyboardInterrupt:
        console.print("Stopped.")
    finally:
        signal.signal(signal.SIGTERM, before)


def _fill(folder: Path) -> None:
    from cli.demo_fill import fill
    from cli.terminal import err, visible

    count = fill(folder)
    config = visible(str(folder / "config.yaml"))
    err().print(f"{count} exchanges are on record. Look at them:  sekisho console --config {config}")


def _stop(_number: int, _frame: object) -> NoReturn:
    """A demo that is told to end takes along what it started."""
    raise KeyboardInterrupt
