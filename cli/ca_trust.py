"""`sekisho ca install | uninstall | bundle`: who is to trust the CA on this machine."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.failure import Failed
from cli.options import Config, settings_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from certificates.folder import AuthorityFolder
    from certificates.trust_stores import Command, TrustStore

_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_Only = Annotated[
    str | None, typer.Option("--store", metavar="NAME", help="Only the stores whose name contains this, as in firefox.")
]


def install(config: Config = None, yes: _Yes = False, store: _Only = None) -> None:
    """Make this machine trust the CA: its system store, Firefox's and Chromium's where certutil is installed, and the
    store of a Java that keeps one of its own (found as a command, or by JAVA_HOME).

    The commands are shown first. What takes root is done as root; otherwise the lines for sudo are printed, and the
    exit code is 1. Python's requests and Node have lists of their own: `sekisho env`.
    """
    from certificates.authority import pem_of
    from files.whole import write_whole

    folder = _folder(config)
    wanted = folder.roots()
    todo: list[tuple[TrustStore, list[Command]]] = []
    for each in _stores(store):
        commands: list[Command] = []
        for number, certificate in enumerate(wanted):
            if not each.has(certificate):
                file = (folder.path / f"root-{number}.crt").absolute()
                write_whole(file, pem_of([certificate]), mode=0o644)
                commands += each.adding(certificate, file)
        todo.append((each, commands))
    _carry_out(todo, yes=yes, done="trusts the CA already")
    _check(todo, lambda each: all(each.has(certificate) for certificate in wanted), "does not have the CA after all")


def uninstall(config: Config = None, yes: _Yes = False, store: _Only = None) -> None:
    """Take the CA, the next and all former ones out of the stores of this machine. The CA itself stays."""
    folder = _folder(config)
    waiting = folder.next()
    known = dict.fromkeys([*folder.roots(), *folder.former(), *([waiting.root] if waiting else [])])
    todo = [
        (each, [command for certificate in known if each.has(certificate) for command in each.removing(certificate)])
        for each in _stores(store)
    ]
    _carry_out(todo, yes=yes, done="does not have the CA")
    _check(todo, lambda each: not any(each.has(certificate) for certificate in known), "still has the CA")


def bundle(
    config: Config = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; the standard output when not given."),
    ] = None,
    form: Annotated[
        Literal["pem", "p12"],
        typer.Option(
            "--format", metavar="pem|p12", help="PEM, or a PKCS #12 trust store for Java (password: changeit)."
        ),
    ] = "pem",
    roots: Annotated[
        Path | None,
        typer.Option("--roots", metavar="FILE", help="The machine's authorities, where not the usual file."),
    ] = None,
) -> None:
    """Write the machine's authorities and the CA as one file, for SSL_CERT_FILE, REQUESTS_CA_BUNDLE and the like.

    While the CA is being replaced, both are in it. Write it again after the machine's authorities change.
    """
    from certificates.bundle import java_store, pem_bundle, system_roots, together
    from cli.terminal import err, write_bytes
    from files.whole import write_whole

    folder = _folder(config)
    source, system = system_roots(roots)
    certificates = together(folder.roots(), system)
    content = pem_bundle(certificates) if form == "pem" else java_store(certificates)
    if output is None:
        if form == "p12" and sys.stdout.isatty():
            raise Failed("A trust store is not text. Name a file with --output.")
        write_bytes(content)
        return
    write_whole(output, content, mode=0o644)
    output.chmod(0o644)  # others are to read it, whatever our umask says
    err().print(f"{output}: {len(certificates)} authorities, {len(system)} of them from {source}.")


def _folder(config: Path | None) -> "AuthorityFolder":
    from certificates.folder import AuthorityFolder

    folder = AuthorityFolder(settings_at(config).data_dir)
    if folder.current() is None:
        raise Failed(f"There is no CA in {folder.path}. Make one: sekisho ca init")
    return folder


def _stores(named: str | None) -> "list[TrustStore]":
    from certificates.trust_stores import stores_here

    here = stores_here()
    found = [each for each in here if named is None or named.lower() in each.name.lower()]
    if not found:
        which = (
            f"None is called {named!r}: there is {', '.join(each.name for each in here) or 'none'}." if named else ""
        )
        raise Failed(
            f"No trust store was found that could be changed here. {which}".rstrip()
            + " For Firefox and Chromium install certutil (Debian: libnss3-tools); for one program use sekisho env."
        )
    return found


def _carry_out(todo: "list[tuple[TrustStore, list[Command]]]", *, yes: bool, done: str) -> None:
    from cli.terminal import err, visible

    console = err()
    for store, commands in todo:
        console.print(f"{visible(store.name)}{'' if commands else f': {done}'}")
        for command in commands:
            sudo = "sudo " if store.needs_root and os.geteuid() != 0 else ""
            console.print(f"  {sudo}{visible(shlex.join(command))}")
    mine = [(store, each) for store, each in todo if each and (os.geteuid() == 0 or not store.needs_root)]
    if not mine:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise Failed("Nothing was done: nobody can be asked here. Give --yes to run these commands.")
        typer.confirm("Run these commands?", abort=True, err=True)
    for store, commands in mine:
        for command in commands:
            try:
                ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - shown and agreed to
            except OSError as cannot:
                raise Failed(f"{store.name}: {command[0]} cannot be run: {cannot.strerror}.") from None
            if ran.returncode != 0:
                said = visible((ran.stderr or ran.stdout).strip()) or f"exit code {ran.returncode}"
                raise Failed(f"{store.name}: {shlex.join(command)} failed: {said}")


def _check(todo: "list[tuple[TrustStore, list[Command]]]", well: "Callable[[TrustStore], bool]", wrong: str) -> None:
    """What was to be done is looked at: a store that only seems to have changed is worse than an error."""
    left = [store.name for store, commands in todo if commands and not well(store)]
    if left and os.geteuid() != 0:
        raise Failed(f"Run the lines with sudo yourself for: {', '.join(left)}.")
    if left:
        raise Failed(f"{', '.join(left)} {wrong}.")
