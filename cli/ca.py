"""`sekisho ca`: the certificate authority of the forward modes, from its making to its end."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli import ca_trust
from cli.failure import Failed, WrongUse
from cli.options import Config, settings_at

if TYPE_CHECKING:
    from certificates.authority import Authority
    from settings.schema import Settings

app = typer.Typer(no_args_is_help=True, help="The certificate authority (CA) that the forward modes sign with.")

_AnyHost = Annotated[
    bool, typer.Option("--any-host", help="Do not limit it to the providers' hosts. Whoever steals it can be any site.")
]
_Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="A host it may sign for besides the providers' hosts."),
]


@app.command()
def init(
    config: Config = None,
    any_host: _AnyHost = False,
    host: _Hosts = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make a new one though there is one: no client trusts it yet.")
    ] = False,
) -> None:
    """Make the CA: EC P-256, good for two years, limited to the hosts of the settings' providers.

    The limit is a critical name constraint: clients refuse what it signs for any other host, even if its key is
    stolen. In the local profile it is made at the first start by itself.
    """
    from certificates.folder import AuthorityFolder

    settings = settings_at(config)
    folder = AuthorityFolder(settings.data_dir)
    if not force and folder.signing.exists():
        raise Failed(
            f"There is a CA already: {folder.signing}. Look at it with sekisho ca show, replace it with sekisho ca "
            "rotate; --force makes a new one at once, and clients fail until they trust it."
        )
    made = _made(settings, any_host=any_host, more=host or [])
    if force:
        folder.keep_instead(made)
    else:
        folder.keep_first(made)
    _print_page(settings, as_json=False)
    _say_next("Now make it known to the clients: sekisho ca install, or sekisho env for one terminal.")


@app.command()
def show(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    pem: Annotated[
        bool, typer.Option("--pem", help="Print the certificates clients are to trust, and no more.")
    ] = False,
) -> None:
    """Say what the CA is called, its SHA-256, which hosts it may sign for, when it expires, and who trusts it here."""
    from certificates.folder import AuthorityFolder
    from cli.terminal import write_bytes

    settings = settings_at(config)
    folder = AuthorityFolder(settings.data_dir)
    if folder.current() is None:
        raise Failed(f"There is no CA in {folder.path}. Make one: sekisho ca init")
    if pem:
        write_bytes(folder.trusted.read_bytes())
        return
    _print_page(settings, as_json=as_json)


@app.command()
def rotate(
    config: Config = None,
    any_host: _AnyHost = False,
    host: _Hosts = None,
    at: Annotated[str | None, typer.Option("--at", metavar="DATE", help="Switch on this day (UTC).")] = None,
    switch: Annotated[bool, typer.Option("--switch", help="Sign with the new one from now on.")] = False,
    give_up: Annotated[bool, typer.Option("--give-up", help="Forget the new one.")] = False,
) -> None:
    """Replace the CA without a gap: make the next one, make it known, then switch.

    The first call makes the next CA, which clients are told of beside the one that signs. Once all trust it,
    --switch lets it sign. The former one stays among what clients trust until it expires; its key is destroyed.
    """
    from certificates.folder import AuthorityFolder

    settings = settings_at(config)
    folder = AuthorityFolder(settings.data_dir)
    if folder.current() is None:
        raise Failed(f"There is no CA in {folder.path} to replace. Make one: sekisho ca init")
    waiting = folder.next()
    if switch or give_up:
        if waiting is None:
            raise Failed("There is no next CA. Make it first: sekisho ca rotate")
        if switch:
            folder.switch()
            _say_next("Workers sign with it within seconds; no restart is needed.")
        else:
            folder.give_up_next()
    elif waiting is not None:
        raise Failed("The next CA is made already. Switch to it with --switch, or forget it with --give-up.")
    else:
        folder.keep_next(_made(settings, any_host=any_host, more=host or []), _day(at) if at else None)
        _say_next("Make it known to the clients (sekisho ca install, bundle), then: sekisho ca rotate --switch")
    _print_page(settings, as_json=False)


app.command()(ca_trust.install)
app.command()(ca_trust.bundle)
app.command()(ca_trust.uninstall)


def _made(settings: "Settings", *, any_host: bool, more: list[str]) -> "Authority":
    from certificates.authority import make_authority
    from certificates.readiness import opened_hosts
    from cli.terminal import err
    from settings.hosts import host_pattern

    if any_host and more:
        raise WrongUse("--any-host and --host say opposite things. Give one of them.")
    if any_host:
        err().print(
            "This CA may sign for every host. Whoever gets hold of its key can read and change all TLS traffic of "
            "those who trust it.",
            style="yellow",
        )
        hosts = None
    else:
        try:
            named = [host_pattern(each) for each in more]
        except ValueError as no_host:
            raise WrongUse(f"--host {no_host}.") from None
        if patterns := [each for each in named if "*" in each]:
            raise WrongUse(
                f"--host {patterns[0]} is a pattern. Write {patterns[0].removeprefix('*.')}: it covers all below."
            )
        hosts = [*opened_hosts(settings), *named]
        if not hosts:
            raise Failed("No provider of the settings has a host name. Name the hosts with --host, or give --any-host.")
    return make_authority(hosts, node=settings.node, now=datetime.now(UTC))


def _day(written: str) -> datetime:
    try:
        day = datetime.fromisoformat(written)
    except ValueError:
        raise WrongUse(f"--at {written!r} is no date. Write 2027-01-31.") from None
    return day.astimezone(UTC) if day.tzinfo else day.replace(tzinfo=UTC)


def _print_page(settings: "Settings", *, as_json: bool) -> None:
    import msgspec

    from certificates.standing import standing_of
    from certificates.trust_stores import stores_here
    from cli.ca_page import page
    from cli.terminal import out, write_json

    standing = standing_of(settings.data_dir, datetime.now(UTC), stores_here())
    if as_json:
        write_json(msgspec.json.encode(standing))
        return
    console = out()
    for line in page(standing):
        console.print(line)


def _say_next(sentence: str) -> None:
    from cli.terminal import err

    err().print(sentence)
