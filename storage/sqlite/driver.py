"""How a connection to audit.db is opened. The only place that says so: two SQLite libraries on one file break it."""

import sqlite3
from pathlib import Path

from sqlite_utils import Database

from storage.problem import StoreProblem as StoreProblem
from storage.sqlite.migrations import SCHEMA_VERSION


def audit_path(data_dir: Path) -> Path:
    return data_dir / "audit.db"


def open_for_writing(path: Path) -> Database:
    """For the recorder. Plugins of sqlite-utils would run inside it: none is loaded.

    A commit does not wait for the disk: until `AuditWriter.persist`, the journal holds what a power cut could take
    from here, and the cursor that goes with it. Waiting here would make the workers' commits wait on the same disk.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        connection.execute("pragma auto_vacuum=incremental")
    except sqlite3.DatabaseError:
        connection.close()
        raise
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=normal")
    connection.execute("pragma wal_autocheckpoint=4000")
    connection.execute("pragma foreign_keys=on")
    connection.execute("pragma secure_delete=fast")  # what is deleted leaves no copy of itself on its page
    connection.execute(f"pragma journal_size_limit={64 << 20}")
    connection.execute(f"pragma cache_size={-(32 << 10)}")
    return Database(connection, execute_plugins=False)


def open_for_reading(path: Path) -> Database:
    """For everybody else.

    Raises:
        StoreProblem: there is no record here yet, it cannot be read, or it is of a newer Sekisho.
    """
    none_yet = StoreProblem(f"There is no record at {path} yet. It begins when Sekisho has run with this data_dir.")
    if not path.exists():
        raise none_yet
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)
    try:
        connection.execute("pragma query_only=on")
        begun = connection.execute("select 1 from sqlite_schema where name = 'exchange'").fetchone()
        version = connection.execute("pragma user_version").fetchone()[0]
    except sqlite3.Error as cannot:
        connection.close()
        raise StoreProblem(f"{path} cannot be read: {cannot}.") from cannot
    if begun is None:
        connection.close()
        raise none_yet
    try:
        refuse_newer(path, version, SCHEMA_VERSION)
    except StoreProblem:
        connection.close()
        raise
    return Database(connection, execute_plugins=False)


def open_current(path: Path) -> Database:
    """For whoever reads exchanges: with all the tables that this code knows.

    Raises:
        StoreProblem: as open_for_reading; or the record is of an older Sekisho and nobody has started this one yet.
    """
    database = open_for_reading(path)
    version = database.conn.execute("pragma user_version").fetchone()[0]
    if version < SCHEMA_VERSION:
        database.close()
        raise StoreProblem(
            f"{path} was written by an older Sekisho (schema {version}, this one reads {SCHEMA_VERSION}). "
            "Start this one once (sekisho serve): it copies the file and brings it up to date."
        )
    return database


def refuse_newer(path: Path, version: int, known: int) -> None:
    """Older code would read a newer file wrongly, or write into it what the newer one does not expect.

    Raises:
        StoreProblem: the file's schema is newer than what is known here.
    """
    if version > known:
        raise StoreProblem(
            f"{path} was written by a newer Sekisho (schema {version}, this one knows {known}). Use that version, or "
            "another data_dir."
        )
