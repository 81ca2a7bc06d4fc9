"""Which rows share one wait for the disk."""

import asyncio
import time
from pathlib import Path

from storage.journal.files import Entry
from storage.journal.rows import Arrivals, Piece
from storage.journal.writing import Journal

ROW = Piece(None, Arrivals([], []))


def watched(tmp_path: Path, *, slow: float = 0.0) -> tuple[Journal, list[int]]:
    """A journal, and how many rows each of its commits had."""
    journal = Journal(tmp_path, durable=True, file_limit=64 << 20, limit=1 << 30)
    write = journal.disk.write
    sizes: list[int] = []

    def noted(rows: list[Entry]) -> str | None:
        if rows:
            sizes.append(len(rows))
            time.sleep(slow)
        return write(rows)

    journal.disk.write = noted  # type: ignore[method-assign]
    return journal, sizes


async def test_rows_of_one_turn_of_the_loop_share_one_commit(tmp_path: Path) -> None:
    journal, sizes = watched(tmp_path)
    await asyncio.gather(*[journal.commit(b"%016d" % i, ROW) for i in range(20)])
    journal.close()

    assert sizes == [20]


async def test_what_comes_while_the_disk_is_busy_is_the_next_commit(tmp_path: Path) -> None:
    journal, sizes = watched(tmp_path, slow=0.03)
    first = journal.commit(b"a" * 16, ROW)
    await asyncio.sleep(0.015)
    later = [journal.commit(b"%016d" % i, ROW) for i in range(5)]
    began = time.monotonic()
    await asyncio.gather(first, *later)
    journal.close()

    assert sizes == [1, 5]
    assert time.monotonic() - began < 0.2  # nobody had to wait for the next look at the disk


async def test_no_row_is_forgotten_however_commits_and_rows_nobody_waits_for_meet(tmp_path: Path) -> None:
    journal, sizes = watched(tmp_path)

    async def caller(i: int) -> None:
        for k in range(50):
            await journal.commit(b"%08d%08d" % (i, k), ROW)
            journal.append(b"%08d%08d" % (i, k), ROW)
            if k % 7 == i % 7:
                await asyncio.sleep(0)

    began = time.monotonic()
    await asyncio.gather(*[caller(i) for i in range(16)])
    spent = time.monotonic() - began
    journal.close()

    assert sum(sizes) == 16 * 50 * 2
    assert spent < 5
