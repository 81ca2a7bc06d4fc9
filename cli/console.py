"""`sekisho console`: the record in a browser."""

from typing import Annotated

import typer

from cli.failure import Failed
from cli.options import Config, settings_at


def console(
    config: Config = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, metavar="N", help="Instead of the port of console.listen.")
    ] = None,
) -> None:
    """Look at the record in a browser: search, conversations, what comes in.

    Prints an address that lets in one browser, once. Every look at content is written to access.db first.
    """
    from cli.roles import set_up_log
    from console.running import CannotListen, run
    from identities.private_file import UnusableKey

    settings = settings_at(config)
    if port is not None:
        listen = settings.console.listen.model_copy(update={"port": port})
        settings = settings.model_copy(update={"console": settings.console.model_copy(update={"listen": listen})})
    set_up_log()
    try:
        run(settings)
    except (CannotListen, UnusableKey, OSError, ValueError) as cannot:
        raise Failed(str(cannot)) from None
