"""The recorder's lock: whoever holds it is the one writer of audit.db."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from storage.journal.files import hold_lock
from storage.sqlite.driver import StoreProblem, audit_path


def lock_path(data_dir: Path) -> Path:
    return audit_path(data_dir).with_name("audit.db.lock")


@contextlib.contextmanager
def in_place_of_the_recorder(data_dir: Path) -> Iterator[None]:
    """Be the one writer, for a command that changes the record by hand.

    Raises:
        StoreProblem: the recorder runs.
    """
    try:
        descriptor = hold_lock(lock_path(data_dir))
    except BlockingIOError:
        raise StoreProblem(
            f"Sekisho is recording into {data_dir}, and nobody else may write there meanwhile. Stop it, run this "
            "again, and start it after that."
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)
