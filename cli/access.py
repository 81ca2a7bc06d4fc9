"""`sekisho access`: who looked at what."""

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failed
from cli.options import Config, settings_at

if TYPE_CHECKING:
    from storage.access import Access


def access(
    config: Config = None,
    number: Annotated[int, typer.Option("-n", "--lines", min=1, metavar="N", help="The last N.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Say who looked at content: when, who, with which command, at which exchanges, why.

    What was asked for is shown where keys/access.key is there to open it.
    """
    import msgspec

    from cli.terminal import err, one_line, out, write_json

    console = out()
    said = False
    for look in _looks(settings_at(config).data_dir, number):
        said = True
        if as_json:
            write_json(msgspec.json.encode(asdict(look)))
            continue
        asked = "(sealed)" if look.asked is None else " ".join(f"{name}={value}" for name, value in look.asked.items())
        reason = f"  because: {one_line(look.reason)}" if look.reason else ""
        words = f"{look.at[:19]}  {one_line(look.actor)}  {look.action}  {one_line(asked)}  seq {look.exchanges or '-'}"
        console.print(f"{words}{reason}", overflow="ignore")
    if not said:
        err().print("Nobody has looked at content yet.")


def _looks(data_dir: Path, number: int) -> "Iterator[Access]":
    from storage.access import access_path, read_access

    try:
        yield from read_access(data_dir, number)
    except sqlite3.Error as cannot:
        raise Failed(
            f"{access_path(data_dir)} cannot be read: {cannot}. `sekisho verify` says how far it holds."
        ) from cannot
