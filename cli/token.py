"""`sekisho token`: tokens of our own, for people and programs that have no other issuer."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failed, WrongUse
from cli.options import Config, settings_at

if TYPE_CHECKING:
    from settings.schema import Settings

app = typer.Typer(no_args_is_help=True, help="Make and examine tokens of our own.")


@app.command()
def mint(
    email: Annotated[str, typer.Option("--email", metavar="ADDRESS", help="Whose token it is.")],
    days: Annotated[float, typer.Option("--days", metavar="N", help="How many days it is valid.")],
    config: Config = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="A label for people.")] = "",
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="SUBJECT", help="The subject, where it is not the address.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="GROUP", help="A group; may be given several times.")
    ] = None,
) -> None:
    """Make a token. It is printed alone, on the last line of stdout, and kept nowhere."""
    from cli.terminal import err, visible, write_bytes
    from identities.own_token import mint as minted

    settings = settings_at(config)
    try:
        token = minted(settings.data_dir, email=email, days=days, subject=subject, groups=group or (), name=name)
    except ValueError as wrong:
        raise WrongUse(f"{wrong}.") from None
    until = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + days * 86400))
    console = err()
    console.print(f"A token for {visible(email)}, valid until {until}. Use it where the API key goes.")
    for warning in _warnings(settings, email, days):
        console.print(f"Note: {warning}", style="yellow")
    write_bytes(token.encode() + b"\n")


def _warnings(settings: "Settings", email: str, days: float) -> list[str]:
    """Why this token might not pass, as far as the settings tell."""
    said = []
    own = next((issuer for issuer in settings.identity.issuers if issuer.kind == "own_token"), None)
    if own is None:
        said.append("identity.issuers names no own_token, so tokens of our own are not looked at yet.")
    elif days * 86400 > own.max_ttl_s:
        said.append(f"the issuer {own.name} takes tokens of at most {own.max_ttl_s // 86400} days (max_ttl_s).")
    domain = email.rpartition("@")[2].lower()
    if settings.identity.domains and domain not in settings.identity.domains:
        said.append(f"{domain} is not under identity.domains, so the gate may refuse it.")
    return said


@app.command()
def keys(config: Config = None) -> None:
    """Print the public keys whose tokens are accepted, as a JWK set."""
    import msgspec

    from cli.terminal import err, write_bytes
    from identities.own_token import public_keys

    try:
        known = public_keys(settings_at(config).data_dir)
    except ValueError as broken:
        raise Failed(f"{broken}.") from None
    if not known:
        err().print("There are no keys yet; the first `sekisho token mint` makes them.")
    write_bytes(msgspec.json.format(msgspec.json.encode({"keys": known}), indent=2) + b"\n")


@app.command()
def rotate(
    config: Config = None,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Tokens made so far stop working: a key got out.")
    ] = False,
) -> None:
    """Sign with a new key from now on. Tokens made so far stay valid until they expire."""
    from cli.terminal import err, write_bytes
    from identities.own_token import rotate as rotated

    try:
        kid = rotated(settings_at(config).data_dir, drop_old=drop_old)
    except ValueError as broken:
        raise Failed(f"{broken}.") from None
    err().print("Tokens made so far stop working." if drop_old else "Tokens made so far stay valid until they expire.")
    write_bytes(kid.encode() + b"\n")


@app.command()
def explain(config: Config = None) -> None:
    """Say why a token passes, or not. The token is read from standard input; nothing is fetched.

    The exit code is 0 when one of the issuers takes it for certain. `sekisho identity test` fetches keys, and looks at
    a whole request's headers.
    """
    from cli.check_line import print_check
    from cli.terminal import err, out
    from identities.explain import explain as explained

    settings = settings_at(config)
    if sys.stdin.isatty():
        err().print("Paste the token, then Enter and Ctrl-D.")
    token = sys.stdin.read(_LONGEST)
    if not token.strip():
        raise WrongUse("There is no token on standard input. Pipe one in, as in: sekisho token explain < FILE")
    checks = explained(
        token,
        settings.identity,
        settings.data_dir,
        time.time(),
        profile=settings.profile,
        include_subdomains=settings.identity.include_subdomains,
    )
    console = out()
    issuers = {check.issuer for check in checks if check.issuer is not None}
    for check in checks:
        print_check(console, check)
    good = [name for name in issuers if all(check.passed for check in checks if check.issuer == name)]
    if not good:
        if not issuers:
            console.print("identity.issuers names nobody, so no token is taken.")
        raise typer.Exit(1)


_LONGEST = 1 << 20
