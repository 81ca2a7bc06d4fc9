"""python -m benchmarks.files: how long it takes to look through, copy, mend, derive again and export a record.

The record is that of `benchmarks.storage`: conversations of 20–60 turns that send their whole history. Rates are per
second of this process's processor time, so that a busy machine says much the same; the recorder does not run.
"""

import argparse
import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.storage import conversations, journaled, record
from cli.formats import FORMS, Form
from recording.rebuild import rebuild
from storage.sqlite.driver import audit_path, open_for_reading
from storage.sqlite.reading import AuditReader
from storage.upkeep.backup import back_up
from storage.upkeep.damage import known_of
from storage.upkeep.integrity import looked_through
from storage.upkeep.rebuilding import Rebuilding
from storage.upkeep.salvage import salvage


def check(folder: Path) -> int:
    assert all(found is None or found.problem is None for _, found in looked_through(folder))
    return audit_path(folder).stat().st_size


def backup(folder: Path) -> int:
    database = open_for_reading(audit_path(folder))
    target = folder / "copy.db"
    back_up(database.conn, target)
    database.close()
    return target.stat().st_size


def derived_again(folder: Path) -> int:
    writer = Rebuilding(audit_path(folder), reader_version=1)
    rebuild(writer, {"openai": "openai"}, lambda _done, _of: None)
    writer.close()
    return audit_path(folder).stat().st_size


def recovered(folder: Path) -> int:
    """What a bad page in the middle costs: the reading around it."""
    damaged, fresh = folder / "damaged.db", folder / "fresh.db"
    database = open_for_reading(audit_path(folder))
    back_up(database.conn, damaged)
    database.close()
    connection = sqlite3.connect(damaged)
    (page,) = connection.execute("select rootpage from sqlite_schema where name = 'tool_use'").fetchone()
    connection.close()
    with damaged.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    known = known_of(damaged, folder / "heads.txt")
    salvage(damaged, fresh, known, reason="a bad page", kept_as="damaged.db", at=time.time(), seen=lambda _asked: None)
    return fresh.stat().st_size


def exported(name: str) -> Callable[[Path], int]:
    def run(folder: Path) -> int:
        reader = AuditReader(folder)
        form: Form = FORMS[name](reader)  # type: ignore[index] # one of its own keys
        size = len(form.begin())
        size += sum(len(form.add(line) or b"") for _, line in reader.export())
        size += len(form.end())
        reader.close()
        return size

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=20)
    args = parser.parse_args()
    console, rnd = Console(), random.Random(7)
    people = [(i, list(each)) for i, each in enumerate(conversations(args.conversations, rnd))]
    rounds = max(len(each) for _, each in people)
    exchanges = [(i, *each[n]) for n in range(rounds) for i, each in people if n < len(each)]
    table = Table(title=f"{len(exchanges)} exchanges of {args.conversations} conversations", title_justify="left")
    for column in ("what", "seconds of processor", "exchanges/s", "MB of result"):
        table.add_column(column, justify="left" if column == "what" else "right")
    runs: list[tuple[str, Callable[[Path], int]]] = [
        ("db check", check),
        ("db backup", backup),
        *((f"export {name}", exported(name)) for name in FORMS),
        ("db recover, without its rebuild", recovered),
        ("db rebuild", derived_again),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(journaled(folder, exchanges, None))
        record(folder, len(exchanges), "recording conversations", console, None)
        for what, run in track(runs, description="measuring", console=console, transient=True):
            began = time.process_time()
            size = run(folder)
            spent = time.process_time() - began
            table.add_row(what, f"{spent:.2f}", f"{len(exchanges) / spent:,.0f}", f"{size / 1e6:,.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
