"""`sekisho tail`: one line per exchange, as they end."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.looking import Look, Reason
from cli.options import AsJson, Config, settings_at
from cli.query import QueryOption, read_query, say_what_was_left_out

if TYPE_CHECKING:
    from settings.sealing import Seal
    from storage.query.terms import Query

_LOOK = 0.25  # seconds between two looks
_LEASE = 60.0  # seconds for which one line in access.db speaks: "all from this seq on"
_PATIENCE = 5.0  # seconds that a record may take from being a file to being readable


def tail(
    config: Config = None,
    number: Annotated[int, typer.Option("-n", "--lines", min=0, metavar="N", help="Begin with the last N.")] = 10,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on as exchanges end.")] = True,
    query: QueryOption = None,
    as_json: AsJson = False,
    reason: Reason = None,
) -> None:
    """Show exchanges as they end, one line each.

    Time, id, who, operation, model, how it went, tokens in→out, duration, and the first words of the question.
    Ctrl-C ends it.
    """
    from cli.exchange_line import exchange_line
    from cli.terminal import out, write_json
    from wire.conversation.record import read_record

    wanted = read_query(query)
    settings = settings_at(config)
    data_dir = settings.data_dir
    look = Look(settings, "tail", reason, query=query, follow=follow)
    console = out()
    say_what_was_left_out(wanted)
    seal = settings.storage.seal
    lines = _followed(data_dir, seal, number, wanted) if follow else _latest(data_dir, seal, number, wanted)
    written: float | None = None
    try:
        for line in lines:
            record = read_record(line)
            if written is None or time.monotonic() - written > _LEASE:
                look.at_range(record.seq, None)
                written = time.monotonic()
            if as_json:
                write_json(line)
            else:
                console.print(exchange_line(record), overflow="ignore")
    except KeyboardInterrupt:
        return


def _latest(data_dir: Path, seal: "Seal | None", number: int, query: "Query") -> list[bytes]:
    from storage.sqlite.reading import AuditReader

    reader = AuditReader(data_dir, seal)
    try:
        return reader.search(query, number)[::-1] if number else []
    finally:
        reader.close()


def _followed(data_dir: Path, seal: "Seal | None", number: int, query: "Query") -> Iterator[bytes]:
    """The last so many, then every new one. A record that is moved away and begun anew is followed too."""
    from storage.sqlite.driver import audit_path
    from storage.sqlite.reading import AuditReader

    path = audit_path(data_dir)
    begin: int | None = number
    while True:
        _wait_for(data_dir, seal)
        file = _inode(path)
        reader = AuditReader(data_dir, seal)
        try:
            after = 0 if begin is None else reader.last_seq()
            if begin:
                yield from reader.search(query, begin, after + 1)[::-1]
            while _inode(path) == file:
                upto = reader.last_seq()  # asked first: what is found up to here is never looked through again
                for _, line in reader.export(after, query, upto) if upto > after else ():
                    yield line
                after = upto
                time.sleep(_LOOK)
        finally:
            reader.close()
        begin = None  # a new record: all of it is new


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _wait_for(data_dir: Path, seal: "Seal | None") -> None:
    """Until there is a record that can be read.

    Raises:
        StoreProblem: there is a file, and it cannot be read.
    """
    from cli.terminal import err, visible
    from storage.sealing.master import SealProblem
    from storage.sqlite.driver import StoreProblem, audit_path
    from storage.sqlite.reading import AuditReader

    path = audit_path(data_dir)
    said = False
    since: float | None = None
    while True:
        if path.exists():
            since = time.monotonic() if since is None else since
            try:
                reader = AuditReader(data_dir, seal)
                try:
                    reader.latest(1)
                finally:
                    reader.close()
            except SealProblem:
                raise  # waiting brings no key
            except StoreProblem:
                if time.monotonic() - since > _PATIENCE:
                    raise
            else:
                return
        elif not said:
            said = True
            err().print(f"There is no record at {visible(str(path))} yet; waiting for it. Ctrl-C ends.")
        time.sleep(_LOOK)
