"""The hash chain: every record commits to the one before. Pure; altering, removing or reordering a record shows.

Only what was observed is linked, with keyed digests in place of the bodies, and of path, query and name of the client:
what is derived may be derived again, and content may be erased together with its salt, and the chain still verifies.
"""

import hashlib
import hmac
from dataclasses import asdict, replace
from typing import Literal

import msgspec

from exchange.record import Seen

GENESIS = "s1:" + "0" * 64
"""What the first record of a node links to."""

Way = Literal["s1", "s2"]
"""How a record is hashed: `s1` over what was observed as it stands in its row (sealed, where it is sealed), `s2` with
digests under the record's salt in place of path, query and user agent. A hash begins with its way."""

NOT_KEPT = "off"
"""In place of a digest, where content was never to be kept: what is not there cannot be guessed at."""

_canonical = msgspec.json.Encoder(order="sorted").encode


def digest(salt: bytes, body: bytes) -> str:
    """HMAC-SHA-256 of a body under the record's own salt: nobody without the salt can test a guess against it."""
    return hmac.digest(salt, body, "sha256").hex()


def digest_text(salt: bytes, text: str) -> str:
    """The same of a text."""
    return digest(salt, text.encode("utf-8", "surrogatepass"))


def in_digests(seen: Seen, salt: bytes) -> Seen:
    """The same with keyed digests in place of what may hold content: so that it can be erased like the bodies."""
    return replace(
        seen,
        path=digest_text(salt, seen.path),
        query=None if seen.query is None else digest_text(salt, seen.query),
        user_agent=None if seen.user_agent is None else digest_text(salt, seen.user_agent),
    )


def link(previous: str, seen: Seen, request_digest: str, response_digest: str, way: Way = "s1") -> str:
    """The hash of a record that follows `previous`. In the way `s2`, `seen` is as `in_digests` gives it."""
    content = _canonical([previous, asdict(seen), request_digest, response_digest])
    return f"{way}:{hashlib.sha256(content).hexdigest()}"
