"""What may hold content outside the bodies: path, query and name of the client, as text in their columns."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from exchange.record import Seen
from storage.sealing.content import Opener, of_exchange
from storage.sealing.vault import PersonSeal

SEALED: Final = ("path", "query", "user_agent")
_MARK: Final = "sealed:"


def seal_columns(seen: Seen, seal: PersonSeal) -> Seen:
    """The same with these sealed. The chain commits to them as they stand in the row: so it verifies without a key,
    and nobody without one can try a guess against it."""

    def sealed(column: str, text: str | None) -> str | None:
        if text is None:
            return None
        blob = seal.seal(text.encode("utf-8", "surrogatepass"), of_exchange(seen.id, column))
        return _MARK + base64.b64encode(blob).decode()

    return replace(
        seen,
        path=sealed("path", seen.path) or "",
        query=sealed("query", seen.query),
        user_agent=sealed("user_agent", seen.user_agent),
    )


def open_columns(row: Mapping[str, object], opener: Opener) -> dict[str, str | None]:
    """SEALED of a row of a sealed exchange, opened.

    Raises:
        SealProblem: they cannot be.
    """
    found: dict[str, str | None] = {}
    for column in SEALED:
        given = row[column]
        found[column] = None if given is None else _opened(str(given), opener, of_exchange(str(row["id"]), column))
    return found


def _opened(text: str, opener: Opener, place: bytes) -> str:
    try:
        blob = base64.b64decode(text.removeprefix(_MARK), validate=True)
    except ValueError:
        blob = b""  # altered: what opens it says so
    return opener.open(blob, place).decode("utf-8", "surrogatepass")
