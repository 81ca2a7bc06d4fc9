"""One transaction of the writer: all of it, or nothing."""

import contextlib
import sqlite3
from collections.abc import Iterator


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """`begin immediate`: whoever reads first and writes later would else be refused because somebody wrote meanwhile.

    Raises:
        sqlite3.Error: nothing of it was kept.
    """
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
