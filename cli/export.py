"""`sekisho export`: the record, oldest first, in many formats. Imports little: it is called by programs."""

import contextlib
import os
import signal
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from cli.failure import Failed
from cli.formats import FORMS, Format
from cli.looking import Look, Reason
from cli.options import Config, settings_at
from cli.progress import Upto, progress
from cli.query import QueryOption, read_query, say_what_was_left_out

if TYPE_CHECKING:
    from cli.formats import Form

_BLOCK = 1 << 20  # bytes written at a time
_BINARY: Final = ("parquet", "flow")


def export(
    config: Config = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            metavar="|".join(FORMS),
            help="jsonl: the record, one object a line. openai-chat: examples for fine-tuning. openai-batch: requests "
            "for the Batch API. parquet: a table with the bodies as JSON. csv: a table for spreadsheets. har: HAR 1.2. "
            "flow: for mitmweb and mitmdump -nr.",
        ),
    ] = "jsonl",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; stdout when not given.")
    ] = None,
    after: Annotated[int, typer.Option("--after", min=0, metavar="SEQ", help="Only what came after this seq.")] = 0,
    query: QueryOption = None,
    show: Annotated[
        bool | None,
        typer.Option(
            "--progress/--no-progress", help="Show progress. Default: on a terminal, with --output.", show_default=False
        ),
    ] = None,
    reason: Reason = None,
) -> None:
    """Print the record, or what a query finds of it, oldest first.

    Begin the next time with `--after` the last `seq` that was printed. A file under its final name is whole; of what
    was stopped, FILE.part stays where the format can be gone on with.
    """
    from storage.sqlite.reading import AuditReader

    wanted = read_query(query)
    if output is None and form in _BINARY and sys.stdout.isatty():
        raise Failed(f"A {form} file is not for a terminal. Name a file with --output, or send it through a pipe.")
    settings = settings_at(config)
    look = Look(settings, "export", reason, query=query, to=str(output) if output else None)
    reader = AuditReader(settings.data_dir, settings.storage.seal)
    say_what_was_left_out(wanted)
    showing = show if show is not None else output is not None and sys.stderr.isatty()
    done = _Done(after)
    try:
        last = reader.last_seq()
        written = FORMS[form](reader)
        look.at_range(after + 1, last)
        with (
            _writing(output, written, done) as file,
            progress("export", max(0, last - after), wanted=showing) as upto,
        ):
            _copy(reader.export(after, wanted, last), written, file, done, lambda seq: upto(seq - after))
            upto(max(0, last - after))  # the last of them need not be what was found
    finally:
        reader.close()
    if done.left_out:
        from cli.terminal import err

        n = done.left_out
        err().print(f"{n} exchange{' was' if n == 1 else 's were'} left out: {form} takes {written.needs}.")


@dataclass(slots=True)
class _Done:
    """How far it is: everything up to `seq` is in the file."""

    seq: int
    left_out: int = 0


def _copy(records: Iterator[tuple[int, bytes]], form: "Form", file: BinaryIO, done: _Done, upto: Upto) -> None:
    waiting = [form.begin()]
    size = 0
    seq = done.seq

    def write() -> None:
        file.write(b"".join(waiting))
        done.seq = seq
        waiting.clear()

    with _stop_between_records() as stopping:
        for seq, line in records:
            if (made := form.add(line)) is None:
                done.left_out += 1
            else:
                waiting.append(made)
                size += len(made)
            if size > _BLOCK:
                write()
                upto(seq)
                size = 0
            if stopping:
                write()
                file.flush()
                raise KeyboardInterrupt
        waiting.append(form.end())
        write()
        file.flush()


@contextlib.contextmanager
def _stop_between_records() -> Iterator[list[bool]]:
    """Yields a list that is not empty once Ctrl-C was pressed. A second Ctrl-C does not wait for the next record."""
    stopping: list[bool] = []

    def stop(*_: object) -> None:
        if stopping:
            raise KeyboardInterrupt
        stopping.append(True)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _writing(output: Path | None, form: "Form", done: _Done) -> Iterator[BinaryIO]:
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
    except KeyboardInterrupt:
        if not form.continues:
            part.unlink(missing_ok=True)
            raise
        raise Failed(
            f"Stopped after seq {done.seq}; {part} holds what came before. Go on with --after {done.seq} into another "
            "file, and put that behind it."
        ) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise
