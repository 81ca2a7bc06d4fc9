"""The hash chain: every record commits to the one before. Pure; altering, removing or reordering a record shows.

Only what was observed is linked, with keyed digests of the bodies in place of the bodies: what is derived may be
derived again, and content may be erased together with its salt, and the chain still verifies.
"""

import hashlib
import hmac
from dataclasses import asdict

import msgspec

from exchange.record import Seen

GENESIS = "s1:" + "0" * 64
"""What the first record of a node links to. `s1` names this way of hashing."""

NOT_KEPT = "off"
"""In place of a digest, where content was never to be kept: what is not there cannot be guessed at."""

_canonical = msgspec.json.Encoder(order="sorted").encode


def digest(salt: bytes, body: bytes) -> str:
    """HMAC-SHA-256 of a body under the record's own salt: nobody without the salt can test a guess against it."""
    return hmac.digest(salt, body, "sha256").hex()


def link(previous: str, seen: Seen, request_digest: str, response_digest: str) -> str:
    """The hash of a record that follows `previous`."""
    content = _canonical([previous, asdict(seen), request_digest, response_digest])
    return "s1:" + hashlib.sha256(content).hexdigest()
