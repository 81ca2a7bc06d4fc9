"""`sekisho demo --data`: a month is written to a journal, as workers do, and the recorder makes the record of it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from cli.demo_month import Journaled, month
from cli.failure import Failed
from cli.progress import progress
from recording.recorder import Recorder
from settings.schema import Settings
from storage.journal.writing import Journal
from storage.sqlite.driver import audit_path

_FILE = 64 << 20  # bytes of a journal file


def fill(folder: Path) -> int:
    """Make the record, and settings to look at it with. Returns how many exchanges it has.

    Raises:
        Failed: there is a record already: what people really said is never mixed with this.
    """
    data_dir = folder / "data"
    if audit_path(data_dir).exists():
        raise Failed(f"There is a record in {data_dir} already. Name a folder that is new.")
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "config.yaml").write_text(f"data_dir: {data_dir.absolute()}\n", encoding="utf-8")
    made = list(month(datetime.now(tz=UTC)))
    asyncio.run(_journal(data_dir, made))
    recorder = Recorder(data_dir)
    done = 0
    try:
        with progress("record", len(made)) as upto:
            while stored := recorder.step():
                done += stored
                upto(done)
        recorder.tidy()
    finally:
        recorder.close()
    return len(made)


async def _journal(data_dir: Path, made: list[Journaled]) -> None:
    journal = Journal(data_dir, durable=False, file_limit=_FILE, limit=Settings().storage.journal_limit)
    try:
        for each in made:
            journal.append(each.id, each.intent, each.request)
            journal.append(each.id, each.closing, each.reply)
    finally:
        journal.close()
