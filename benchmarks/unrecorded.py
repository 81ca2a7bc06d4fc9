"""Sekisho with a journal that says yes at once and keeps nothing: what recording costs. For benchmarks alone.

Started in place of run_proxy.py, by benchmarks.variants; no setting of the product does this.
"""

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # run as a script, this folder would come first, and it has a storage.py too

import cli.supervisor  # noqa: E402
import run_proxy  # noqa: E402
from storage.journal.rows import Row  # noqa: E402
from storage.journal.writing import Journal  # noqa: E402

cli.supervisor._LAUNCHER = ROOT / "benchmarks" / "unrecorded.py"


def _commit(self: Journal, _exchange: bytes, _row: Row, _body: bytes | None = None) -> "asyncio.Future[None]":
    future = self._loop.create_future()
    future.set_result(None)
    return future


def _append(_self: Journal, _exchange: bytes, _row: Row, _body: bytes | None = None) -> None:
    return


Journal.commit = _commit  # type: ignore[method-assign, assignment]
Journal.append = _append  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    run_proxy.main()
