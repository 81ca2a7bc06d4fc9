"""`sekisho replay`: a reply again, at the pace at which it came."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failed
from cli.looking import Look, Reason
from cli.options import Config, Id, settings_at

if TYPE_CHECKING:
    from storage.sqlite.reading import RawBody


def replay(
    exchange: Id,
    config: Config = None,
    speed: Annotated[float, typer.Option("--speed", min=0.01, metavar="X", help="X times as fast.")] = 1.0,
    raw: Annotated[bool, typer.Option("--raw", help="The exact bytes in place of the words.")] = False,
    reason: Reason = None,
) -> None:
    """Play a reply back at its original pace: the words as they came.

    Of several choices, the first is played. `--raw` gives the exact bytes, compressed if they came so.
    """
    from cli.show import found, kept_bytes
    from cli.terminal import err, is_plain, visible, write_bytes
    from storage.sqlite.reading import AuditReader
    from wire.conversation.record import read_record
    from wire.conversation.spoken import Spoken

    settings = settings_at(config)
    look = Look(settings, "replay", reason, id=exchange)
    reader = AuditReader(settings.data_dir, settings.storage.seal)
    try:
        lines = found(reader, exchange)
        body = kept_bytes(reader, lines, exchange, "response")
    finally:
        reader.close()
    record = read_record(lines[0])
    look.at([record.seq])
    if not body.content:
        err().print("This exchange has no reply.")
        return
    if raw and sys.stdout.isatty() and not is_plain(body.content):
        raise Failed("These bytes are not for a terminal. Send them through a pipe, or leave --raw out.")
    if record.capture_truncated:
        err().print("The copy of this reply is not whole; the caller got all of it.")
    spoken = Spoken(
        operation=record.operation,
        status=record.status or 200,
        content_type=body.media_type,
        content_encoding=body.content_encoding,
        streamed=record.stream,
    )
    said = False
    for piece in _paced(body, speed):
        if raw:
            write_bytes(piece)
        elif words := visible(spoken.feed(piece)):
            said = True
            write_bytes(words.encode())
    if raw:
        return
    rest = spoken.close()
    if not rest and not said:  # no stream, or none that has words: what the reply says as a whole
        rest = "\n".join(turn.text for turn in record.turns() if turn.role == "assistant")
    write_bytes(visible(rest).encode() + b"\n")
    if record.end_state != "complete":
        err().print(f"It ended here: {record.end_state}.")


def _paced(body: "RawBody", speed: float) -> Iterator[bytes]:
    """The pieces as they arrived, each at its time. What has no arrival time comes last, at once."""
    begun = time.monotonic()
    at = 0
    for offset, length in body.arrivals:
        wait = begun + offset / 1e6 / speed - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        yield body.content[at : at + length]
        at += length
    if at < len(body.content):
        yield body.content[at:]
