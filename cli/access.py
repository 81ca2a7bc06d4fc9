"""`sekisho access`: who looked at what."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli.options import Config, settings_at


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
    from storage.access import read_access

    console = out()
    said = False
    for look in read_access(settings_at(config).data_dir, number):
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
