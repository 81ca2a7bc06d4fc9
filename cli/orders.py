"""`sekisho orders`: what people asked to be changed in the record, and the second person's yes or no."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.failure import Failed
from cli.options import Config, settings_at

if TYPE_CHECKING:
    from storage.commands import Command

app = typer.Typer(help="Orders to erase, hold and release: how far they are, and a second person's approval.",
                  no_args_is_help=True)  # fmt: skip

_SHOWN = 50
_Order = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id, as `orders list` shows it.")]


@app.command("list")
def list_(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Show the newest orders: what, on whom, by whom, why, and what became of them."""
    import msgspec

    from cli.ordering import opened
    from cli.terminal import err, one_line, out, write_json
    from storage.commands import commands_path

    data_dir = settings_at(config).data_dir
    found: list[Command] = []
    if commands_path(data_dir).exists():
        with opened(data_dir) as commands:
            found = commands.listed(_SHOWN)
    for each in found:
        if as_json:
            write_json(msgspec.json.encode(_as_object(each)))
        else:
            out().print(one_line(_line(each), 1000))
    if not found and not as_json:
        err().print("Nobody has asked for anything.")


@app.command()
def approve(order: _Order, config: Config = None) -> None:
    """Say yes to somebody else's order, and wait until it is carried out."""
    from cli.ordering import followed, opened
    from storage.access import actor
    from storage.commands import NotOpen, NotYours

    settings = settings_at(config)
    with opened(settings.data_dir) as commands:
        try:
            commands.approve(order, actor())
        except LookupError:
            raise Failed(_unknown(order)) from None
        except (NotOpen, NotYours) as why:
            raise Failed(str(why)) from None
        followed(settings, commands, order)
        typer.echo(_line(commands.get(order)))


@app.command()
def decline(order: _Order, config: Config = None) -> None:
    """Say no to an order that waits for approval, or take back your own."""
    from cli.ordering import opened
    from storage.access import actor
    from storage.commands import NotOpen

    with opened(settings_at(config).data_dir) as commands:
        try:
            commands.decline(order, actor())
        except LookupError:
            raise Failed(_unknown(order)) from None
        except NotOpen as why:
            raise Failed(str(why)) from None
    typer.echo("Declined.")


def tell_second(order: str, *, as_json: bool = False) -> None:
    """To whoever asked: somebody else must approve it."""
    import msgspec

    from cli.terminal import err, write_json

    if as_json:
        write_json(msgspec.json.encode({"order": order, "state": "proposed"}))
    else:
        typer.echo(f"Order {order} waits: access.two_people asks for a second person.")
    err().print(f"They say yes with `sekisho orders approve {order}`, or on the page Orders of the console.")


def _unknown(order: str) -> str:
    return f"There is no order {order}. `sekisho orders list` shows them."


def _line(command: "Command") -> str:
    order = command.order
    about = " ".join(str(value) for value in command.arguments.values())
    second = f", approved by {order.approver}" if order.approver else ""
    because = f": {order.reason}" if order.reason else ""
    why = f" ({command.outcome['error']})" if command.outcome and "error" in command.outcome else ""
    return (
        f"{order.uid}  {command.state:8}  {command.kind} {about}  {_at(order.asked_at)} by {order.actor}"
        f"{second}{because}{why}"
    )


def _as_object(command: "Command") -> dict[str, Any]:
    return {
        **asdict(command.order), "asked_at": _at(command.order.asked_at),
        "kind": command.kind, "arguments": command.arguments, "state": command.state, "outcome": command.outcome,
    }  # fmt: skip


def _at(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds / 1e6, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
