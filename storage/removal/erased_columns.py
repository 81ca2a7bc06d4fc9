"""What may hold content outside the bodies, once it is erased: digests under a salt that is gone stand in its place.

The chain is over these digests (storage.chain, `s2`), so that it verifies as before. Records of an earlier way (`s1`),
and sealed ones, are left as they are: there the chain is over the text itself, or over what its key sealed.
"""

import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from exchange.record import Seen
from storage.chain import digest_text, in_digests

_MARK: Final = "erased:"


def erase_columns(connection: sqlite3.Connection, seq: int) -> None:
    """Put digests in place of path, query and user agent, within the caller's transaction. The salt is still there."""
    asked = "select hash, salt, path, query, user_agent from exchange where seq = ?"
    hash_, salt, *texts = connection.execute(asked, (seq,)).fetchone()
    if not hash_.startswith("s2:") or salt is None:
        return
    connection.execute(
        "update exchange set path = ?, query = ?, user_agent = ? where seq = ?",
        (*(None if text is None else _MARK + digest_text(salt, text) for text in texts), seq),
    )


def gone_columns(seen: Seen) -> Seen:
    """The same of an exchange that is recorded when its person is erased already: under a salt that nobody keeps."""
    digests = in_digests(seen, secrets.token_bytes(16))
    query, agent = digests.query, digests.user_agent
    return replace(
        seen,
        path=_MARK + digests.path,
        query=None if query is None else _MARK + query,
        user_agent=None if agent is None else _MARK + agent,
    )


def erased_columns(seen: Seen) -> Seen:
    """What the chain is over: the digests that stand in the row."""

    def bare(text: str | None) -> str | None:
        return None if text is None else text.removeprefix(_MARK)

    return replace(seen, path=bare(seen.path) or "", query=bare(seen.query), user_agent=bare(seen.user_agent))


def shown_columns(row: Mapping[str, Any]) -> dict[str, str | None]:
    """What a record shows of them in place of the digests. A path begins with a slash: no caller can write the mark."""
    return {"path": "", "query": None, "user_agent": None} if str(row["path"]).startswith(_MARK) else {}
