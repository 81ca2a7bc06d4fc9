"""A store that already has many exchanges. A thousand are recorded as ever; the rest are copies of their rows.

Copies make the tables, their indexes and the full text index as large as real ones would be; only their hash chain and
the contents of their chunks are not real, and no request looks at either.
"""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

from benchmarks.storage import journaled, short
from recording.recorder import Recorder

_REAL = 1000
_STEP = 20_000


def fill(data: Path, total: int, advance: Callable[[int], None]) -> None:
    """Make `data` a store of this many exchanges; `advance` hears how many came in."""
    exchanges = [(i % 50, *each) for i, each in enumerate(short(random.Random(7), min(total, _REAL)))]
    data.mkdir(parents=True, exist_ok=True)
    asyncio.run(journaled(data, exchanges, None))
    recorder = Recorder(data)
    while recorder.step():
        pass
    recorder.close()
    advance(len(exchanges))
    connection = sqlite3.connect(data / "audit.db", isolation_level=None)
    connection.execute("pragma synchronous = off")
    try:
        _copy(connection, len(exchanges), total, advance)
    finally:
        connection.close()


def _copy(connection: sqlite3.Connection, have: int, total: int, advance: Callable[[int], None]) -> None:
    real = have
    texts = [" ".join(f"word{n * k % 5000}" for k in range(30)) for n in range(1, 200)]
    statements = [_copying(connection, table, real) for table in ("exchange", "body", "raw_reply", "chunk")]
    while have < total:
        count = min(_STEP, total - have)
        last = connection.execute("select max(seq) from exchange").fetchone()[0]
        connection.execute("begin")
        for statement in statements:
            connection.execute(statement, {"count": count, "last": last})
        connection.executemany(
            "insert into search (rowid, user_text, answer_text, tool_text) values (?, ?, ?, '')",
            [(last + 1 + i, texts[i % len(texts)], texts[(i * 7) % len(texts)]) for i in range(count)],
        )
        connection.execute("commit")
        have += count
        advance(count)


def _copying(connection: sqlite3.Connection, table: str, real: int) -> str:
    """Row i of a step is a copy of real row 1 + i mod `real`, under the next seq and an identity of its own."""
    columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
    key = "id" if table == "chunk" else "seq"
    own = {"seq": ":last + 1 + n.i", "digest": "randomblob(16)"}
    if table == "chunk":
        columns.remove("id")
    else:
        own["id"] = "lower(hex(randomblob(16)))"
    values = ", ".join(own.get(column, f"t.{column}") for column in columns)
    return (
        f"insert into {table} ({', '.join(columns)}) "
        "with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < :count) "
        f"select {values} from n join {table} t on t.{key} = 1 + n.i % {real}"
    )
