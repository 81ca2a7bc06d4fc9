"""`sekisho retain`: let go, now, of what the settings no longer keep."""

from typing import Annotated

import typer

from cli.options import Config, settings_at


def retain(
    config: Config = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="WHY", help="Why now; it stays on record with who asked.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was let go as JSON.")] = False,
) -> None:
    """Let go of what storage.keep and the rules no longer keep, now: exchanges, and the exact bytes of older ones.

    The recorder does so by itself every ten minutes. What a hold keeps stays; `verify` names what is gone.
    """
    import msgspec

    from cli.ordering import carried_out
    from cli.terminal import err, write_json
    from storage.removal.retention import keeping_from

    settings = settings_at(config)
    if keeping_from(settings.storage.keep, settings.policies.rules).is_for_ever():
        err().print("Everything is kept for ever here: storage.keep says nothing else.")
    outcome = carried_out(settings, "retain", {}, reason)
    if as_json:
        write_json(msgspec.json.encode(outcome))
        return
    typer.echo(f"Let go of {outcome['exchanges']} exchanges, and of the exact bytes of {outcome['raw']} more.")
    if outcome["held"]:
        typer.echo(f"{outcome['held']} exchanges are held and stay: `sekisho hold list`.")
