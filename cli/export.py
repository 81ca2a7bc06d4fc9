"""`sekisho export`: every record, oldest first, one JSON object a line. Imports little: it is called by programs."""

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from cli.looking import Look, Reason
from cli.options import Config, settings_at
from cli.query import QueryOption, read_query, say_what_was_left_out

if TYPE_CHECKING:
    from storage.sqlite.reading import AuditReader

_BLOCK = 1 << 20  # bytes written at a time


def export(
    config: Config = None,
    form: Annotated[
        Literal["jsonl"], typer.Option("--format", metavar="jsonl", help="One JSON object a line.")
    ] = "jsonl",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; stdout when not given.")
    ] = None,
    after: Annotated[int, typer.Option("--after", min=0, metavar="SEQ", help="Only what came after this seq.")] = 0,
    query: QueryOption = None,
    progress: Annotated[
        bool | None,
        typer.Option(
            "--progress/--no-progress", help="Show progress. Default: on a terminal, with --output.", show_default=False
        ),
    ] = None,
    reason: Reason = None,
) -> None:
    """Print the record, or what a query finds of it, oldest first, one JSON object a line.

    Begin the next time with `--after` the last `seq` that was printed. A file under its final name is whole.
    """
    from storage.sqlite.reading import AuditReader

    del form  # there is one so far
    wanted = read_query(query)
    settings = settings_at(config)
    look = Look(settings, "export", reason, query=query, to=str(output) if output else None)
    reader = AuditReader(settings.data_dir)
    say_what_was_left_out(wanted)
    showing = progress if progress is not None else output is not None and sys.stderr.isatty()
    try:
        upto = reader.last_seq()
        look.at_range(after + 1, upto)
        with _writing(output) as file, _progress(reader, after) if showing else _silence() as advance:
            _copy(reader.export(after, wanted, upto), file, advance)
    finally:
        reader.close()


def _copy(records: Iterator[tuple[int, bytes]], file: BinaryIO, advance: Callable[[int], None]) -> None:
    lines: list[bytes] = []
    size = 0
    seq = 0
    for seq, line in records:
        lines.append(line)
        size += len(line)
        if size > _BLOCK:
            lines.append(b"")
            file.write(b"\n".join(lines))
            advance(seq)
            lines, size = [], 0
    if lines:
        lines.append(b"")
        file.write(b"\n".join(lines))
        advance(seq)
    file.flush()


@contextlib.contextmanager
def _writing(output: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that has its name only once it is whole. Only its owner may read it."""
    if output is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        return
    if output.exists() and not stat.S_ISREG(output.stat().st_mode):
        with output.open("wb") as device:  # a pipe or a terminal: there is nothing to rename
            yield device
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
        part.replace(output)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _silence() -> Iterator[Callable[[int], None]]:
    yield lambda _seq: None


@contextlib.contextmanager
def _progress(reader: "AuditReader", after: int) -> Iterator[Callable[[int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from cli.terminal import err

    columns = (TextColumn("export"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=False) as bar:
        task = bar.add_task("export", total=max(0, reader.last_seq() - after))
        yield lambda seq: bar.update(task, completed=seq - after)
        bar.update(task, completed=max(0, reader.last_seq() - after))  # the last of them need not be what was found
