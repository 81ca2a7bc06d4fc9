"""`sekisho identity revoke` and `revoked`: who passes no more, before their token's time is over."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.client_chain import client_chain
from cli.failure import Failed, WrongUse
from cli.options import AsJson, Config, settings_at

if TYPE_CHECKING:
    from identities.revoked import Kind, Revocation
    from settings.schema import Settings

_LONGEST = 1 << 20  # characters of standard input


def revoke(
    person: Annotated[
        str | None,
        typer.Option("--person", metavar="WHO", help="An e-mail address or a subject, whoever vouches for them."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="ID", help="A token's `jti`. `@-` reads the token from standard input."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="PEM", help="A client certificate.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="For those who read the list.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let them pass again.")] = False,
    config: Config = None,
) -> None:
    """Refuse a person, a token or a certificate from now on, before its time is over. Workers notice within 2 s.

    What is under way goes on to its end.
    """
    from cli.terminal import err, visible
    from identities.private_file import UnusableKey
    from identities.revoked import Revocation, admit_again
    from identities.revoked import revoke as revoked

    kind, value = _meant(person, token, certificate)
    data_dir = settings_at(config).data_dir
    try:
        if undo:
            changed = admit_again(data_dir, kind, value)
        else:
            changed = revoked(data_dir, Revocation(kind, value, int(time.time()), reason))
    except UnusableKey as unusable:
        raise Failed(f"{unusable}.") from None
    said = {
        (False, True): "is revoked", (False, False): "was revoked already",
        (True, True): "may pass again", (True, False): "was not revoked",
    }[undo, changed]  # fmt: skip
    err().print(f"The {kind} {visible(value)} {said}.")


def _meant(person: str | None, token: str | None, certificate: Path | None) -> "tuple[Kind, str]":
    if sum(one is not None for one in (person, token, certificate)) != 1:
        raise WrongUse("Say who: one of --person, --token and --certificate")
    if person is not None:
        if not person.strip():
            raise WrongUse("--person names nobody. Give an e-mail address or a subject")
        return "person", person.lower() if "@" in person else person
    if certificate is not None:
        from identities.certificate import fingerprint

        return "token", fingerprint(client_chain(certificate)[0]).hex()
    assert token is not None
    if token == "@-":  # noqa: S105 - says where it is
        token = _id_of(sys.stdin.read(_LONGEST))
    elif token.count(".") == 2 and token.startswith("eyJ"):
        raise WrongUse("That is a token, not its id, and others can see it there. Pipe it in: --token @- < FILE")
    return "token", token


def _id_of(given: str) -> str:
    """The `jti` of a token; of what is none, nothing is said again."""
    from identities.claims import text
    from identities.presented import token_in
    from identities.refusal import IdentityRefused
    from identities.token import take_apart

    try:
        found = text(take_apart(token_in(b"", given.strip().encode("utf-8", "replace"))).claims, "jti")
    except IdentityRefused as refused:
        raise WrongUse(f"What came on standard input is no token: {refused.reason}") from None
    if found is None:
        raise WrongUse("This token has no id (jti), so it cannot be told from others. Revoke its --person")
    return found


def list_revoked(config: Config = None, as_json: AsJson = False) -> None:
    """List who passes no more, and why."""
    from dataclasses import asdict

    import msgspec

    from cli.terminal import err, out, visible, write_json

    found = revoked_now(settings_at(config))
    if as_json:
        for one in found:
            write_json(msgspec.json.encode(asdict(one)))
        return
    if not found:
        err().print("Nobody is revoked.")
    for one in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.at))
        out().print(f"{when}  {one.kind:<6}  {visible(one.value)}  {visible(one.reason)}".rstrip())


def revoked_now(settings: "Settings") -> "tuple[Revocation, ...]":
    """All of them. Raises Failed when the file cannot be used."""
    from identities.private_file import UnusableKey
    from identities.revoked import revocations

    try:
        return revocations(settings.data_dir)
    except UnusableKey as unusable:
        raise Failed(f"{unusable}.") from None
