"""`sekisho erase`: what a person said, and was answered, taken out of the record for good."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.failure import Failed, WrongUse
from cli.options import Config, settings_at
from cli.people import Issuer, Person, Subject, Why, line, named, who

if TYPE_CHECKING:
    from settings.schema import Settings
    from storage.book import Held
    from storage.sqlite.people import Identity


def erase(
    reason: Why,
    config: Config = None,
    person: Person = None,
    issuer: Issuer = None,
    subject: Subject = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was erased as JSON. Needs --yes.")] = False,
) -> None:
    """Erase a person's content from the record, for good: requests, replies, search index, journals.

    Lists every identity it finds first. The rows stay (who, when, what was decided, sizes) with a tombstone that says
    who asked, when and why, and the chain still verifies. What a hold keeps stays. At the chat fronts their sessions,
    and the tokens that they made there, end and are forgotten.
    """
    import msgspec

    from cli.ordering import carried_out, proposed
    from cli.orders import tell_second
    from cli.terminal import err, write_json

    arguments = named(person, issuer, subject)
    if as_json and not yes:
        raise WrongUse("--json asks nothing, so say --yes with it.")
    if not reason.strip():
        raise WrongUse('Say why: --reason "…". It stays on record.')
    settings = settings_at(config)
    found, at_fronts = _found(settings, arguments)
    if not as_json:
        err().print(f"Found {len(found)} {'identity' if len(found) == 1 else 'identities'} of {who(arguments)}:")
        for each in found:
            err().print(f"  {line(each)}")
        if at_fronts:
            sessions, tokens = _count(len(at_fronts.sessions), "session"), _count(len(at_fronts.tokens), "token")
            err().print(f"At the chat fronts: {sessions} and {tokens}. What is still open of it ends.")
    if not yes:
        _ask(sum(each.exchanges for each in found))
    if (order := proposed(settings, "erase", arguments, reason)) is not None:
        tell_second(order, as_json=as_json)
        return
    outcome = carried_out(settings, "erase", arguments, reason)
    if as_json:
        write_json(msgspec.json.encode(outcome))
        return
    typer.echo(_said(outcome))
    err().print("Copies made by hand are not reached: exports, `sekisho db backup`, backups of the disk.")


def _found(settings: "Settings", arguments: dict[str, Any]) -> "tuple[list[Identity], Held]":
    """Who that is, on record by now, and what the fronts know of them. What only a journal knows is recorded first,
    where nobody else does it."""
    import sqlite3
    import time

    from cli.ordering import recorded_first
    from storage.book import BookReader, Held, book_path
    from storage.sqlite.driver import audit_path, open_current
    from storage.sqlite.people import addresses_of, identities_of

    recorded_first(settings)
    database = open_current(audit_path(settings.data_dir))
    try:
        found = identities_of(database.conn, who(arguments))
    finally:
        database.close()
    at_fronts, book = Held(), book_path(settings.data_dir)
    if book.exists():
        try:
            at_fronts = BookReader(settings.data_dir).held(addresses_of(who(arguments), found), time.time())
        except sqlite3.Error as cannot:
            raise Failed(f"{book} cannot be read: {cannot}. If it is damaged, move it away.") from cannot
    if not found and not at_fronts:
        raise Failed(f"Nobody called {who(arguments)} is on record, or their content was erased already.")
    return found, at_fronts


def _ask(exchanges: int) -> None:
    if not sys.stdin.isatty():
        raise WrongUse("Nobody is there to be asked whether it is meant. Add --yes.")
    if not typer.confirm(f"Erase the content of {exchanges} exchanges? It cannot be brought back.", err=True):
        raise Failed("Nothing was erased.")


def _said(outcome: dict[str, Any]) -> str:
    pieces = f"{outcome['chunks']} pieces of bodies ({outcome['chunk_bytes']} bytes packed)"
    lines = [
        f"Erased the content of {outcome['exchanges']} exchanges: {pieces}, {outcome['index_entries']} index entries.",
        "Searched for it afterwards: nothing is found.",
    ]
    if (at_fronts := outcome.get("fronts")) is not None:
        sessions, tokens = _count(at_fronts["sessions"], "session"), _count(at_fronts["tokens"], "token")
        lines.append(
            f"At the chat fronts: {sessions} and {tokens} of theirs ended and forgotten; looked for afterwards."
        )
    if outcome["held"]:
        lines.append(f"{outcome['held']} exchanges are held and stay as they are: `sekisho hold list`.")
    if outcome["running"]:
        lines.append(f"{outcome['running']} exchanges still run. They are recorded without content when they end.")
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
