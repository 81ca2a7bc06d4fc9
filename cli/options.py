"""The options that many commands have, and the settings they lead to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from settings.schema import Settings


def _or_the_one_before_the_command(ctx: typer.Context, given: Path | None) -> Path | None:
    """`sekisho --config X tail` is `sekisho tail --config X`."""
    return given if given is not None else ctx.find_root().params.get("config")


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="The settings file. Default: $SEKISHO_CONFIG, else config.yaml.",
        show_default=False,
        callback=_or_the_one_before_the_command,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, as in the export.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The exchange's id; its first characters will do.")]


def settings_at(config: Path | None, *, secrets: bool = False) -> "Settings":
    """The settings of this command. Most of them show no secret to anybody, and people who read the record need not
    have the providers' keys: they are asked for with `secrets` only, which also takes
    the way out.

    Raises:
        SettingsProblems: they cannot be used.
    """
    from settings.reading import read_settings, settings_path

    settings = read_settings(settings_path(config), secrets=secrets)
    if secrets:
        take_the_way_out(settings)
    return settings


def take_the_way_out(settings: "Settings") -> None:
    """What this process asks of others leaves through the company's proxy, if the settings name one.

    Raises:
        SettingsProblems: its password cannot be read.
    """
    from outbound.way_out import leave_through
    from settings.reading import SettingsProblems

    try:
        leave_through(settings.upstream_proxy.resolved() if settings.upstream_proxy is not None else None)
    except ValueError as unread:
        raise SettingsProblems("the settings", [f"upstream_proxy.password {unread}"]) from None


def serving_settings_at(config: Path | None) -> "Settings":
    """The settings, looked at as serving does: what issuers need of secrets and files, certificates, and the key that
    content is sealed with, can be used, too.

    Raises:
        SettingsProblems: they cannot be used.
    """
    from datetime import UTC, datetime

    from certificates.readiness import authority_problems
    from identities.entries import UnusableEntries, entries_from
    from settings.certificates import certificate_problems
    from settings.reading import SettingsProblems, settings_path
    from storage.sealing.master import SealProblem
    from storage.sealing.vault import masters_for_writing

    settings = settings_at(config, secrets=True)
    problems = certificate_problems(settings) + authority_problems(settings, datetime.now(UTC))
    try:
        masters_for_writing(settings.data_dir, settings.storage.seal)
    except SealProblem as sealed:
        problems.append(str(sealed))
    try:
        entries_from(settings.identity, data_dir=settings.data_dir, profile=settings.profile)
    except UnusableEntries as unusable:
        problems += unusable.problems
    if problems:
        raise SettingsProblems(str(settings_path(config)), problems)
    return settings
