"""What signing in has left of a person, taken out: sessions, tokens of their own, terminals (storage.book)."""

import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from identities.revoked import Revocation, revoke_all
from storage.book import Book

_CLOCKS: Final = 60  # seconds beyond its end that a revocation is kept, for clocks that differ


def forget_person(data_dir: Path, book: Book, command: str, addresses: Collection[str], asked_at: int) -> None:
    """Forget whoever has these addresses, as this command (its uid) asked at that time (microseconds since 1970).

    What is still open ends: nobody could end it any more. Whoever may sign in does so anew. May be begun again.

    Raises:
        sqlite3.Error, OSError, UnusableKey: it cannot be done; nothing is forgotten that is not revoked.
    """
    held = book.held(addresses, asked_at / 1e6)
    now = int(time.time())
    revoke_all(data_dir, [Revocation("token", number, now, "erased", ends + _CLOCKS) for number, ends in held.open])
    book.forget(command, held)
