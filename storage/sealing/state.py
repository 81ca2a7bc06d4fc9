"""How much is sealed, and by which master key."""

import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from storage.journal.files import journal_dir
from storage.journal.reading import boots
from storage.sealing.journal import sealed_by
from storage.sealing.keyring import is_sealed_dir, reading_keys
from storage.sqlite.driver import audit_path, open_for_reading


@dataclass(slots=True)
class SealState:
    """What a data directory shows without a key."""

    sealed: bool = False  # is there anything sealed
    people: int = 0
    content_keys: int = 0
    masters: dict[str, int] = field(default_factory=dict)  # id of a master key → data keys that it wraps
    journals: dict[str, int] = field(default_factory=dict)  # the same → workers' journals; '' not sealed
    exchanges: dict[str, int] = field(default_factory=dict)  # 'keyed', 'plain', 'off' by index; 'unsealed'


def seal_state(data_dir: Path) -> SealState:
    """Look, and change nothing. Needs no key.

    Raises:
        StoreProblem: something is there, and cannot be read.
    """
    found = SealState(sealed=is_sealed_dir(data_dir))
    if found.sealed:
        with reading_keys(data_dir) as keys:
            found.masters = keys.masters()
            found.people, found.content_keys = keys.people()
    found.journals = dict(Counter(sealed_by(boot) or "" for boot in boots(journal_dir(data_dir))))
    if audit_path(data_dir).exists():
        database = open_for_reading(audit_path(data_dir))
        try:
            found.exchanges = _exchanges(database.conn)
        finally:
            database.close()
    return found


def _exchanges(connection: sqlite3.Connection) -> dict[str, int]:
    if connection.execute("pragma user_version").fetchone()[0] < 6:  # before there was sealing
        return {"unsealed": connection.execute("select count(*) from exchange").fetchone()[0]}
    rows = connection.execute(
        "select coalesce(s.search, 'unsealed'), count(*) from exchange e left join sealed s on s.seq = e.seq group by 1"
    )
    return dict(rows.fetchall())
