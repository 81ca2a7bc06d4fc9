"""`sekisho hold`: what neither erasure nor retention may touch."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import WrongUse
from cli.options import Config, settings_at
from cli.people import Issuer, Person, Subject, Why, named

if TYPE_CHECKING:
    from storage.removal.holds import Hold

app = typer.Typer(help="Keep a person's or a thread's exchanges from erasure and retention.", no_args_is_help=True)


@app.command()
def add(
    reason: Why,
    config: Config = None,
    person: Person = None,
    issuer: Issuer = None,
    subject: Subject = None,
    thread: Annotated[str | None, typer.Option("--thread", metavar="ID", help="A thread, by its whole id.")] = None,
) -> None:
    """Hold a person or a thread: what is on record of it, and what comes, stays until the hold is removed."""
    from cli.ordering import carried_out

    if not reason.strip():
        raise WrongUse('Say why: --reason "…". It stays on record.')
    if thread is not None:
        if person or issuer or subject:
            raise WrongUse("Hold a person or a thread; for both, add two holds.")
        digits = thread.replace("-", "").lower()
        if len(digits) != 32 or not all(digit in "0123456789abcdef" for digit in digits):
            raise WrongUse(f"{thread!r} is no whole id of a thread. Copy it from `sekisho show` of an exchange.")
        arguments = {"thread_id": digits}
    else:
        arguments = named(person, issuer, subject)
    outcome = carried_out(settings_at(config), "hold", arguments, reason)
    typer.echo(f"Hold {outcome['hold']} stands.")


@app.command()
def remove(
    number: Annotated[int, typer.Argument(metavar="HOLD", help="The hold's number, as `hold list` shows it.")],
    reason: Why,
    config: Config = None,
) -> None:
    """Let a hold go. What it kept is then subject to erasure and retention again."""
    from cli.ordering import carried_out, proposed
    from cli.orders import tell_second

    settings, arguments = settings_at(config), {"hold": number}
    if not reason.strip():
        raise WrongUse('Say why: --reason "…". It stays on record.')
    if (order := proposed(settings, "release", arguments, reason)) is not None:
        tell_second(order)
        return
    outcome = carried_out(settings, "release", arguments, reason)
    typer.echo(f"Hold {outcome['hold']} is removed.")


@app.command("list")
def list_(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Show the holds: on whom or what, since when, by whom, why."""
    import msgspec

    from cli.terminal import err, one_line, out, write_json
    from storage.removal.holds import Holds
    from storage.sqlite.driver import audit_path, open_current

    database = open_current(audit_path(settings_at(config).data_dir))
    try:
        holds = Holds(database.conn).all
    finally:
        database.close()
    for hold in holds:
        if as_json:
            write_json(msgspec.json.encode({**asdict(hold), "at": _at(hold)}))
        else:
            out().print(one_line(f"{hold}, since {_at(hold)[:19]} by {hold.actor}: {hold.reason}", 1000))
    if not holds and not as_json:
        err().print("There are no holds.")


def _at(hold: "Hold") -> str:
    return datetime.fromtimestamp(hold.at / 1e6, tz=UTC).isoformat(timespec="milliseconds")
