"""A whole copy of audit.db while the recorder goes on writing."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from storage.sqlite.driver import StoreProblem

_PAGES: Final = 1024  # copied at a time: 4 MiB

type Copied = Callable[[int, int], None]
"""Told now and then: pages copied, pages in all."""


def back_up(source: sqlite3.Connection, target: Path, copied: Copied = lambda _done, _of: None) -> None:
    """Copy the database as it is now. `target` has its name only once the copy is whole and was looked through; only
    its owner may read it.

    Raises:
        StoreProblem: the copy is damaged, so the source is.
        OSError, sqlite3.Error: it cannot be written, or the source cannot be read.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        copy = sqlite3.connect(part, isolation_level=None)
        try:
            # One read transaction over all of it: the copy is of one moment, and never begins anew because of a commit.
            source.execute("begin")
            source.execute("select 1 from sqlite_schema").fetchone()
            try:
                source.backup(copy, pages=_PAGES, progress=lambda _state, left, of: copied(of - left, of))
            finally:
                source.execute("rollback")
            copy.execute("pragma journal_mode=delete")  # one file, nothing beside it
            wrong = copy.execute("pragma quick_check(1)").fetchone()[0]
        finally:
            copy.close()
        if wrong != "ok":
            raise StoreProblem(f"The copy is damaged, and so is what was copied: {wrong}. Run `sekisho db recover`.")
        _to_disk(part)
        part.replace(target)
        _to_disk(target.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
