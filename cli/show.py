"""`sekisho show`: one exchange, or a whole thread, for reading; or its record, or its exact bytes."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.failure import Failed, WrongUse
from cli.looking import Look, Reason
from cli.options import AsJson, Config, Id, settings_at

if TYPE_CHECKING:
    from storage.sqlite.reading import AuditReader, RawBody
    from wire.conversation.record import ShownRecord

Side = Literal["request", "response"]


def show(
    exchange: Id,
    config: Config = None,
    as_json: AsJson = False,
    raw: Annotated[
        Side | None,
        typer.Option("--raw", metavar="request|response", help="The exact bytes, as they came over the wire."),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where --raw goes instead of stdout.")] = None,
    reason: Reason = None,
) -> None:
    """Show one exchange: who, what, the decision, how it ended, and the conversation.

    The id of a thread shows its conversation once, with a line for each exchange; with --json, all its records. Control
    characters in what was said are made visible.
    """
    from cli.exchange_page import exchange_page
    from cli.terminal import out, write_json
    from cli.thread_page import thread_page
    from storage.sqlite.reading import AuditReader
    from wire.conversation.record import read_record

    if to is not None and raw is None:
        raise WrongUse("--to names where --raw goes. Add --raw request or --raw response.")
    if as_json and raw is not None:
        raise WrongUse("--json and --raw are two different views. Choose one.")
    settings = settings_at(config)
    look = Look(settings, "show", reason, id=exchange, raw=raw)
    reader = AuditReader(settings.data_dir, settings.storage.seal)
    try:
        lines = found(reader, exchange)
        look.at(read_record(line).seq for line in lines)
        if raw is not None:
            _write(kept_bytes(reader, lines, exchange, raw), raw, to)
            return
    finally:
        reader.close()
    if as_json:
        for line in lines:
            write_json(line)
        return
    records = [read_record(line) for line in lines]
    page = exchange_page(records[0]) if is_exchange(records, exchange) else thread_page(records)
    console = out()
    for paragraph in page:
        console.print(paragraph, overflow="ignore")


def is_exchange(records: "list[ShownRecord]", given: str) -> bool:
    """Is this the id of an exchange? A thread's is never one of its exchanges', even where there is only one."""
    return len(records) == 1 and records[0].id.replace("-", "").startswith(given.replace("-", "").lower())


def found(reader: "AuditReader", given: str) -> list[bytes]:
    """The records of this id, as lines of JSON.

    Raises:
        StoreProblem: it is no id, or fits several exchanges.
        Failed: there is none.
    """
    lines = reader.find(given)
    if not lines:
        raise Failed(f"There is no exchange {given}. Copy an id from `sekisho tail`.")
    return lines


def kept_bytes(reader: "AuditReader", lines: list[bytes], given: str, side: Side) -> "RawBody":
    """One exchange's exact bytes.

    Raises:
        Failed: they are not kept, or `given` names a thread of several exchanges.
    """
    from wire.conversation.record import read_record

    if len(lines) > 1:
        raise Failed(f"{given} is a thread of {len(lines)} exchanges. Name one of them.")
    record = read_record(lines[0])
    body = reader.raw(record.id, side)
    if body.state != "kept":
        raise Failed(f"The exact bytes of this exchange are not there any more: raw is {body.state}.")
    return body


def _write(body: "RawBody", side: Side, to: Path | None) -> None:
    from cli.terminal import err, is_plain, write_bytes

    if not body.content:
        err().print(f"The {side} had no body.")
    if to is not None:
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(body.content)
        return
    if sys.stdout.isatty() and not is_plain(body.content):
        coding = f" ({body.content_encoding})" if body.content_encoding else ""
        raise Failed(f"These bytes{coding} are not for a terminal. Send them elsewhere with --to FILE, or a pipe.")
    write_bytes(body.content)
