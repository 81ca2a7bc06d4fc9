"""`sekisho identity`: what the gate would say to somebody who shows these headers, and who passes no more."""

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.client_chain import client_chain
from cli.failure import WrongUse
from cli.options import AsJson, Config, settings_at, take_the_way_out
from cli.revocation import list_revoked, revoke, revoked_now

if TYPE_CHECKING:
    from identities.examination import Examination
    from settings.listening import Listener
    from settings.schema import Settings

app = typer.Typer(no_args_is_help=True, help="Try out who would pass, and say who passes no more.")

_LONGEST = 1 << 20  # characters of standard input


@app.command("test")
def try_out(
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            "-H",
            metavar="'NAME: VALUE'",
            help="A header of the request; may be given several times. `@-` reads header lines from standard input, "
            "so that no token is on the command line, where others can see it.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", metavar="PEM", help="The caller's certificate, with its intermediates."),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="NAME", help="Which API is called. Default: the one without a prefix."),
    ] = None,
    listener: Annotated[
        str | None,
        typer.Option("--listener", metavar="HOST:PORT", help="Where the request comes in. Default: the first."),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say who somebody with these headers is, or why not: as the gate would, with the issuers' keys fetched.

    Nothing is sent on and nothing is recorded. The exit code is 0 when an identity is proven.
    """
    settings = settings_at(config)
    take_the_way_out(settings)
    where = _listener(settings, listener)
    called = settings.default_provider if provider is None else provider
    if called not in settings.providers:
        raise WrongUse(f"There is no provider {called!r}. There are: {', '.join(settings.providers)}")
    if not header and certificate is None:
        raise WrongUse("There is nothing to look at. Name a --header, `--header @-`, or a --certificate")
    fields = [field for given in header or () for field in _fields(given)]
    chain = client_chain(certificate) if certificate is not None else []
    problem, examined = _examined(settings, where, called, fields, chain)
    if as_json:
        _print_json(where, called, problem, examined)
    else:
        _print(settings, where, problem, examined)
    raise typer.Exit(0 if problem is None and examined.identified is not None else 1)


def _listener(settings: "Settings", given: str | None) -> "Listener":
    if given is None:
        return settings.listen[0]
    for one in settings.listen:
        if given in (str(one.address), str(one.address.port)):
            return one
    known = ", ".join(str(one.address) for one in settings.listen)
    raise WrongUse(f"Nobody listens on {given!r}. There are: {known}")


def _fields(given: str) -> list[tuple[bytes, bytes]]:
    """The header fields in this option; of a value that is no header, nothing is said again: it may be a token."""
    lines = [given]
    if given == "@-":
        if sys.stdin.isatty():
            from cli.terminal import err

            err().print("Paste the header, as in `Authorization: Bearer …`, then Enter and Ctrl-D.")
        lines = [line for line in sys.stdin.read(_LONGEST).splitlines() if line.strip()]
        if not lines:
            raise WrongUse("There is no header on standard input. Pipe one in, as in `Authorization: Bearer …`")
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise WrongUse("A header is written as 'Name: value', as in 'Authorization: Bearer …'")
        fields.append((_raw(name), _raw(value.strip(" \t"))))
    return fields


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _examined(
    settings: "Settings",
    where: "Listener",
    called: str,
    fields: Sequence[tuple[bytes, bytes]],
    chain: Sequence[bytes],
) -> tuple[str | None, "Examination"]:
    """The code of what the gate has against the head as such, and what it says of the identity."""
    from identities.entries import UnusableEntries, entries_from
    from identities.examination import Shown, examine
    from identities.verifier import verifier_of
    from upstreams.api_key import KEY_FIELDS
    from wire.request_head import fields_problem

    logging.getLogger("identities").addHandler(logging.NullHandler())  # the checks say what a log would
    try:
        entries = entries_from(
            settings.identity,
            data_dir=settings.data_dir,
            profile=settings.profile,
            include_subdomains=settings.identity.include_subdomains,
            keep=False,
        )
    except UnusableEntries as unusable:
        raise WrongUse("\n".join(["The settings cannot be used:", *unusable.problems])) from None
    problem = fields_problem(fields, identity_headers=verifier_of(entries).strip, strict=settings.profile == "gateway")
    dialect = settings.providers[called].dialect or "openai"
    counting = None if where.issuers is None else frozenset(where.issuers)
    shown = Shown(fields, KEY_FIELDS[dialect], chain, counting)
    return problem, asyncio.run(examine(shown, entries, time.time(), revoked=revoked_now(settings)))


def _answer(problem: str | None, examined: "Examination") -> tuple[str, str | None]:
    """The code of the refusal, and the reason that only the record is told."""
    if problem is not None:
        return problem, None
    assert examined.refused is not None
    return examined.refused.code, examined.refused.reason


def _print(settings: "Settings", where: "Listener", problem: str | None, examined: "Examination") -> None:
    from cli.check_line import print_check
    from cli.terminal import err, out, visible
    from exchange.decision import CODES

    console = out()
    if len(settings.listen) > 1:
        err().print(f"As on {where.address}; --listener names another.")
    for check in examined.checks:
        print_check(console, check)
    if problem is None and examined.identified is not None:
        who = examined.identified.principal
        until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(examined.identified.expires_at))
        said = f"{who.email or who.subject} ({who.domain}), by {who.issuer}, until {until}."
        console.print(visible(said), style="bold green")
        return
    code, reason = _answer(problem, examined)
    told = CODES[code]
    console.print(f"Refused with {told.status} {code}: {told.message}", style="bold red")
    if reason is not None:
        console.print(f"For the record: {visible(reason)}.")
    if settings.profile == "local":
        console.print("In the local profile such a call passes all the same, as the user of this machine.")
    elif not settings.identity.issuers:
        console.print("identity.issuers names nobody, so no identity is taken.")


def _print_json(where: "Listener", called: str, problem: str | None, examined: "Examination") -> None:
    import msgspec

    from cli.terminal import write_json
    from exchange.decision import CODES

    found: dict[str, Any] = {
        "listener": str(where.address),
        "provider": called,
        "identified": None,
        "refused": None,
        "checks": [
            {"issuer": one.issuer, "check": one.name, "passed": one.passed, "said": one.said} for one in examined.checks
        ],
    }
    if problem is None and examined.identified is not None:
        who = examined.identified.principal
        found["identified"] = {
            "subject": who.subject,
            "email": who.email,
            "domain": who.domain,
            "issuer": who.issuer,
            "groups": list(who.groups),
            "carriers": [one.decode("ascii", "replace") for one in examined.identified.carriers],
            "expires_at": examined.identified.expires_at,
        }
    else:
        code, reason = _answer(problem, examined)
        told = CODES[code]
        found["refused"] = {"code": code, "status": told.status, "message": told.message, "reason": reason}
    write_json(msgspec.json.encode(found))


app.command()(revoke)
app.command("revoked")(list_revoked)
