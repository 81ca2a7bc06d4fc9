"""`sekisho env`: what to say to a terminal so that its programs come through here."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.clients.shells import Shell
from cli.clients.variables import CLIENTS, Mode
from cli.failure import Failed, WrongUse
from cli.options import Config, settings_at

_PREFERRED: Final[tuple[Mode, ...]] = ("forward", "transparent", "reverse")


def env(
    clients: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLIENT...", help=f"Only these: {', '.join(CLIENTS)}. All when none is named."),
    ] = None,
    config: Config = None,
    shell: Annotated[
        Shell | None,
        typer.Option("--shell", metavar="bash|fish|powershell|json", help="For which shell; $SHELL says it else."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="For other machines: the name by which they reach this one."),
    ] = None,
    files_at: Annotated[
        Path | None,
        typer.Option(
            "--files", metavar="DIR", help="For other machines: the directory into which the files are copied."
        ),
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            "--mode",
            metavar="reverse|forward|transparent",
            help="Which way; the first of forward, transparent, reverse that listens.",
        ),
    ] = None,
) -> None:
    """Print the variables with which clients come through here, each with why: eval "$(sekisho env)"

    In reverse mode they name base addresses; in forward mode the proxy, and files with the CA for every client that
    has a list of its own; in transparent mode these files alone. With SEKISHO_TOKEN set, the proxy's address carries
    that token.
    """
    from certificates.bundle import client_files
    from certificates.readiness import kept_authority, needs_authority
    from cli.clients.road import road_from
    from cli.clients.shells import written
    from cli.clients.variables import notes, variables
    from cli.terminal import err, write_bytes

    asked = [each.lower() for each in clients or CLIENTS]
    if unknown := [each for each in asked if each not in CLIENTS]:
        raise WrongUse(f"No client is called {', '.join(unknown)}. There are: {', '.join(CLIENTS)}.")
    settings = settings_at(config)
    files = None
    if needs_authority(settings):
        from datetime import UTC, datetime

        from certificates.folder import AuthorityFolder

        folder = AuthorityFolder(settings.data_dir)
        if settings.profile == "local":
            kept_authority(settings, datetime.now(UTC))
        elif folder.current() is None:
            raise Failed(f"There is no CA in {folder.path}. Make one: sekisho ca init")
        files = client_files(folder)
        if files_at is not None:
            if not files_at.is_absolute():
                raise WrongUse(f"--files {files_at} is relative. Name the directory from the root on.")
            err().print(f"Copy {files.ours}, {files.bundle.name} and {files.java.name} beside it to {files_at} there.")
            files = files.in_directory(files_at)
    token = os.environ.get("SEKISHO_TOKEN") or None
    # Behind WireGuard, as behind a router that diverts, programs are told nothing but the CA.
    here = {"transparent" if listener.mode == "wireguard" else listener.mode for listener in settings.listen}
    way: Mode = mode if mode is not None else next(each for each in _PREFERRED if each in here)
    if way not in here:
        raise WrongUse(f"No listener has mode {way}. Add one to `listen` in the settings, or ask for the other mode.")
    road = road_from(settings, files, token, host)
    if way == "transparent":
        road = replace(road, proxy=None)
    found = variables(road, way, asked)
    if way == "forward" and settings.profile == "gateway" and token is None:
        err().print("The proxy asks who calls: set SEKISHO_TOKEN to your token first, and it is put into HTTPS_PROXY.")
    write_bytes(written(shell or _shell_here(), found, notes(way, asked)).encode() + b"\n")


def _shell_here() -> Shell:
    return "fish" if os.path.basename(os.environ.get("SHELL", "")) == "fish" else "bash"  # noqa: PTH119 - text
