"""How a person is named on the command line: by address or subject, or by one identity."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.failure import WrongUse

if TYPE_CHECKING:
    from storage.sqlite.people import Identity, Who

Person = Annotated[
    str | None,
    typer.Option("--person", metavar="ADDRESS", help="Who: their address, or subject, whoever vouches for it."),
]
Issuer = Annotated[
    str | None, typer.Option("--issuer", metavar="NAME", help="With --subject: this one identity, by its issuer.")
]
Subject = Annotated[str | None, typer.Option("--subject", metavar="SUBJECT", help="With --issuer: the subject there.")]
Why = Annotated[str, typer.Option("--reason", metavar="WHY", help="Why; it stays on record with who asked and when.")]


def named(person: str | None, issuer: str | None, subject: str | None) -> dict[str, str]:
    """The arguments of a command on this person.

    Raises:
        WrongUse: nobody is named, or in both ways.
    """
    if person and not issuer and not subject:
        return {"person": person}
    if issuer and subject and not person:
        return {"issuer": issuer, "subject": subject}
    raise WrongUse("Name a person: --person ann@example.com, or --issuer NAME with --subject SUBJECT.")


def who(arguments: dict[str, Any]) -> "Who":
    from storage.sqlite.people import Who

    return Who(**arguments)


def line(identity: "Identity") -> str:
    """One identity, for reading."""
    from cli.terminal import one_line

    emails = ", ".join(identity.emails) or "no address"
    name = f"{one_line(identity.issuer)} / {one_line(identity.subject)} ({one_line(emails)})"
    if not identity.exchanges:
        return f"{name}: no exchange"
    first, last = (identity.first_at or "")[:10], (identity.last_at or "")[:10]
    return f"{name}: {identity.exchanges} exchanges, {first} to {last}"
