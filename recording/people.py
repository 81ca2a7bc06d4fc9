"""The people's side of an erasure: what fronts.db has of somebody. The process of the fronts takes it out, as the one
who writes there; where none runs, we do in its place."""

import os
import sqlite3
import time
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from identities.private_file import UnusableKey
from signin.forgetting import forget_person
from storage.book import Book, BookReader, Held, book_lock, book_path
from storage.journal.files import hold_lock
from storage.removal.tombstones import Order

_PATIENCE: Final = 15.0  # seconds
_LOOK: Final = 0.1


class StillThere(Exception):  # noqa: N818 - said to a person
    """It could not be taken out; the message says of which file, and what to do."""


def known(data_dir: Path, addresses: Collection[str], order: Order) -> Held:
    """What is known of these addresses at the fronts.

    Raises:
        StillThere: fronts.db cannot be read.
    """
    if not book_path(data_dir).exists():
        return Held()
    try:
        return BookReader(data_dir).held(addresses, order.asked_at / 1e6)
    except sqlite3.Error as cannot:
        raise _unusable(data_dir, cannot) from cannot


def forgotten(
    data_dir: Path, addresses: Collection[str], order: Order, meanwhile: Callable[[], None]
) -> dict[str, Any] | None:
    """See to it that it is gone, and look. Returns how many sessions, tokens and devices it was; None where nobody
    ever signed in here, or has no address.

    Args:
        meanwhile: called while the process of the fronts is waited for. What it raises is passed on.

    Raises:
        StillThere: it is not gone.
    """
    if not addresses or not book_path(data_dir).exists():
        return None
    reader = BookReader(data_dir)
    until = time.monotonic() + _PATIENCE
    try:
        while (found := reader.erasure(order.uid)) is None:
            _in_its_place(data_dir, addresses, order)
            if time.monotonic() > until:
                raise StillThere(f"{book_path(data_dir)}, whose process does not answer: restart Sekisho")
            meanwhile()
            time.sleep(_LOOK)
        left = reader.held(addresses, order.asked_at / 1e6)
    except (sqlite3.Error, OSError, UnusableKey) as cannot:
        raise _unusable(data_dir, cannot) from cannot
    if left:
        raise StillThere(f"{book_path(data_dir)}, where something of theirs is still found")
    return asdict(found)


def _in_its_place(data_dir: Path, addresses: Collection[str], order: Order) -> None:
    """Where no process of the fronts runs."""
    try:
        lock = hold_lock(book_lock(data_dir))
    except BlockingIOError:
        return
    try:
        forget_person(data_dir, Book(data_dir), order.uid, addresses, order.asked_at)
    finally:
        os.close(lock)


def _unusable(data_dir: Path, cannot: Exception) -> StillThere:
    return StillThere(f"{book_path(data_dir)}, which cannot be used ({cannot}): move it away if it is damaged")
