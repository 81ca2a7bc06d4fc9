"""`sekisho doctor`: is what Sekisho stands on as it should be, and do this machine's programs trust it?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Config, settings_at

if TYPE_CHECKING:
    from cli.checkup import Sign
    from settings.schema import Settings

_MARKS = {"well": ("well    ", "green"), "note": ("note    ", "yellow"), "wrong": ("NOT WELL", "red")}


def doctor(
    config: Config = None,
    clients: Annotated[
        bool | None,
        typer.Option(
            "--clients/--no-clients",
            help="Ask this machine's programs whether they trust the CA. Default: when a listener is in forward mode.",
            show_default=False,
        ),
    ] = None,
    online: Annotated[
        bool,
        typer.Option("--online", help="Ask the providers, too: are they reached, does the clock agree with theirs?"),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at what Sekisho stands on, from inside: SQLite, the record, processes, ports, room, clock, CA, clients.

    The SQLite in use is asked questions whose answers are known, in Japanese too. Each program that is here (Python,
    Node, curl, git, Java, Go, the system's store) calls a TLS server that shows a certificate of the CA, in this
    terminal's environment. Nothing is changed. Exits 1 when something is not well, and says what to type.
    """
    from dataclasses import asdict

    import msgspec

    from certificates.readiness import needs_authority
    from cli.terminal import out, visible, write_json

    settings = settings_at(config)
    console = out()
    found = []
    ask_clients = needs_authority(settings) if clients is None else clients
    for each in _looked_at(settings, ask_clients=ask_clients, ask_providers=online):
        found.append(each)
        if not as_json:
            mark, style = _MARKS[each.state]
            console.print(mark, style=style, end=" ")
            console.print(visible(each.what))
            if each.advice is not None:
                console.print(f"         {visible(each.advice)}")
    well = all(each.state != "wrong" for each in found)
    if as_json:
        write_json(msgspec.json.encode({"well": well, "findings": [asdict(each) for each in found]}))
    if not well:
        raise typer.Exit(1)


def _looked_at(settings: "Settings", *, ask_clients: bool, ask_providers: bool) -> "Iterator[Sign]":
    from datetime import UTC, datetime

    from cli import checkup, reaching
    from cli.status import status_of
    from storage.sqlite.driver import StoreProblem

    now = datetime.now(UTC)
    yield from checkup.library_and_record(settings)
    try:
        found = status_of(settings.data_dir)
    except StoreProblem:
        pass  # the record cannot be read, which has been said
    else:
        yield from checkup.processes(settings, found)
        yield from checkup.clock(settings, now)
    if ask_providers:
        yield from reaching.providers(settings)
    yield from checkup.authority(settings, now)
    if ask_clients:
        yield from checkup.clients(settings, now)
