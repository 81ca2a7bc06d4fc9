"""The schema brought up to date: by one process, after a copy of the file was made."""

import logging
import sqlite3
from pathlib import Path

from sqlite_utils import Database

from storage.sqlite.driver import StoreProblem, refuse_newer
from storage.sqlite.migrations import SCHEMA_VERSION, migrations
from storage.sqlite.search import TOKENS_VERSION
from storage.upkeep.backup import back_up

log = logging.getLogger(__name__)


def copy_before(path: Path, version: int) -> Path:
    """Where the file goes as it was before a step was made from this version."""
    return path.with_name(f"{path.name}.schema-{version}")


def bring_up_to_date(path: Path, db: Database) -> None:
    """Make the steps that are missing. The caller holds the recorder's lock, so nobody else does at the same time.

    A file that has a schema already is copied first, to `audit.db.schema-N`; a step that fails leaves no trace and is
    tried again at the next start.

    Raises:
        StoreProblem: the file is of a newer Sekisho, no database, or cannot be copied or changed.
    """
    try:
        version = db.conn.execute("pragma user_version").fetchone()[0]
        begun = db.table("exchange").exists()
        pending = [step.name for step in migrations.pending(db)]
    except sqlite3.DatabaseError as broken:
        raise unusable(path, broken) from broken
    refuse_newer(path, version, SCHEMA_VERSION)
    copy = copy_before(path, version)
    try:
        if begun and pending:
            log.info("The record's schema goes from %d to %d; a copy as it was: %s", version, SCHEMA_VERSION, copy)
            back_up(db.conn, copy)
        migrations.apply(db)
        db.conn.execute(f"pragma user_version={SCHEMA_VERSION}")
        cut = db.conn.execute("select value from meta where name = 'search_tokens'").fetchone()
    except (sqlite3.Error, OSError) as cannot:
        raise StoreProblem(
            f"The schema of {path} cannot be brought up to date ({', '.join(pending) or 'no step'}): {cannot}. Make "
            "room if the disk is full, and start again; the record is as it was before this step."
        ) from cannot
    if cut is None or cut[0] != TOKENS_VERSION:
        raise StoreProblem(f"{path} was indexed in another way (tokens {cut and cut[0]}). Use another data_dir.")


def unusable(path: Path, why: sqlite3.Error) -> StoreProblem:
    return StoreProblem(f"{path} is not a record that can be used: {why}. Move it away to begin a new one.")
