"""`sekisho verify`: is the record what was recorded?"""

import itertools
import json
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.failure import Failed, WrongUse
from cli.options import Config, settings_at
from cli.progress import progress

if TYPE_CHECKING:
    from recording.comparing import Compared
    from settings.schema import Settings
    from storage.access import AccessVerdict
    from storage.heads import Head
    from storage.sealing.vault import SealedReading
    from storage.sqlite.verifying import Verdict

_RANGES: Final = 20  # of records that are gone, in one line


def verify(
    config: Config = None,
    heads: Annotated[
        Path | None,
        typer.Option("--heads", metavar="FILE", help="Signed heads, kept elsewhere. Default: storage.heads.file."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="BASE64", help="The key that verifies them. Default: keys/heads.pub of data_dir."
        ),
    ] = None,
    derived: Annotated[
        bool,
        typer.Option("--derived", help="Derive everything again from the exact bytes, too, and compare: slower."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Recompute every hash of the record and of access.db, and hold signed heads against them.

    Names the first record that was altered, removed, put in another order or cut off. Exits 1 when there is one. Heads
    and key prove something against whoever can write here only when they come from elsewhere. What is derived (the
    reply as an object, usage, how it ended) is in no hash: --derived makes it again.
    """
    from storage.access import NODE, verify_access
    from storage.sealing.keyring import is_sealed_dir
    from storage.sealing.vault import SealedReading
    from storage.sqlite.driver import audit_path, open_current
    from storage.sqlite.verifying import verify as check

    settings = settings_at(config)
    data_dir = settings.data_dir
    opener = None
    if settings.storage.seal is not None and is_sealed_dir(data_dir):
        opener = SealedReading(data_dir, settings.storage.seal)
        opener.masters()  # a wrong key is no broken record
    signed, unsigned = _heads(data_dir, heads, settings.storage.heads.file or data_dir / "heads.txt", key)
    database = open_current(audit_path(data_dir))
    try:
        database.conn.row_factory = sqlite3.Row
        of_record = [head for head in signed if head.node != NODE]
        total = database.conn.execute("select count(*) from exchange").fetchone()[0]
        with progress("verify", total) as upto:
            number = itertools.count(1)
            verdict = check(database.conn, of_record, seen_one=lambda: upto(next(number)), opener=opener)
        found = _compared(database.conn, settings, opener) if derived and verdict.broken is None else None
    finally:
        database.close()
    looks = verify_access(data_dir, [(head.seq, head.hash) for head in signed if head.node == NODE])
    if as_json:
        whole = {**asdict(verdict), "access": asdict(looks), "heads_broken": unsigned}
        whole["derived"] = None if found is None else asdict(found)
        typer.echo(json.dumps(whole, ensure_ascii=False))
    else:
        lines = [_said(verdict, len(signed), looks), *(f"BROKEN: {each}." for each in unsigned)]
        if found is not None:
            lines.append(_said_of_derived(found))
        typer.echo("\n".join(lines))
    if verdict.broken is not None or looks.broken is not None or unsigned or (found is not None and found.other):
        raise typer.Exit(1)


def _compared(connection: sqlite3.Connection, settings: "Settings", opener: "SealedReading | None") -> "Compared":
    from recording.comparing import compared
    from storage.sealing.vault import Locked

    dialects = {name: provider.dialect for name, provider in settings.providers.items() if provider.dialect}
    last = connection.execute("select coalesce(max(seq), 0) from exchange").fetchone()[0]
    with progress("derive", last) as upto:
        return compared(connection, dialects, opener or Locked(), upto)


def _said_of_derived(found: "Compared") -> str:
    lines = [
        f"BROKEN: of record {seq}, {', '.join(names)} is not what its exact bytes say." for seq, names in found.other
    ]
    if found.other:
        lines.append("`sekisho db rebuild` derives it again.")
    lines.append(f"What is derived of {found.same} records is what their exact bytes say.")
    if found.left_out:
        why = "their bytes are not kept, they came over a WebSocket, or another version read them"
        lines.append(f"Of {found.left_out} it cannot be said: {why}.")
    return "\n".join(lines)


def _heads(data_dir: Path, given: Path | None, usual: Path, key: str | None) -> tuple[list["Head"], list[str]]:
    """The signed heads, and what is wrong with lines that are none."""
    from storage.heads import public_key, read_heads

    path = given or usual
    if given is None and not path.exists():
        return [], []
    try:
        heads, problems = read_heads(path.read_text(encoding="utf-8", errors="replace"), key or public_key(data_dir))
    except FileNotFoundError as missing:
        raise WrongUse(f"{missing.filename} does not exist.") from None
    except (ValueError, OSError) as wrong:
        raise Failed(f"{path} cannot be used: {wrong}.") from None
    return heads, [f"{path}: {each}" for each in problems]


def _said(verdict: "Verdict", heads: int, looks: "AccessVerdict") -> str:
    if verdict.broken is not None:
        lines = [f"BROKEN: {verdict.broken}."]
    elif not verdict.records:
        lines = ["The record is empty."]
    else:
        lines = [f"The chain holds over {verdict.records} records, seq {verdict.first_seq} to {verdict.last_seq}."]
    lines += [f"{said[0].upper()}{said[1:]}." for said in verdict.breaks]
    if verdict.pruned:
        shown = ", ".join(verdict.pruned[:_RANGES]) + (", …" if len(verdict.pruned) > _RANGES else "")
        lines.append(f"Retention let go of records {shown}; the chain holds over them.")
    if verdict.erased:
        lines.append(f"{verdict.erased} records were erased; the chain of {verdict.tombstones} tombstones says why.")
    if verdict.unopened:
        lines.append(f"What {verdict.unopened} sealed records say was not looked at: storage.seal is not set.")
    matched = verdict.heads_matched + looks.heads_matched
    lines.append(f"{matched} of {heads} signed heads match." if heads else "No signed heads to hold against it.")
    if looks.broken is not None:
        lines.append(f"BROKEN: access.db: {looks.broken}.")
    elif looks.records:
        lines.append(f"The chain of access.db holds over {looks.records} looks at content.")
    return "\n".join([*lines, *verdict.gaps])
