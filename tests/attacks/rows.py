"""One row of the table: what an attacker sends, and the answers that are acceptable.

Numbers are those of the study of attacks (D identity channel, E destination, F framing, G body, H availability).
TOKEN stands for Ann's token, BOB for a colleague's, EVE for one of a domain that is not admitted, FORGED for Ann's with
another address in it, UNSIGNED for hers with `alg: none`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

type Pieces = Callable[[], Iterator[bytes]]
"""Sent piece by piece until the answer is here."""

HEAD_LIMIT = 64 << 10
BODY_LIMIT = 1 << 20
HEAD_TIME = 2.0
GOOD = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}).encode()
DENIED = GOOD.replace(b"gpt-4o", b"o3")
NO_READ = ("bad_request", "bad_header")
"""A head with two readings: refused as unreadable, or as read and not acceptable."""


@dataclass(frozen=True, slots=True)
class Row:
    """`statuses` and `codes` are alternatives. Without codes the request may pass; then the upstream must get exactly
    `body`, and none of `absent` (lower-case). `closed`: ending the connection without a word is acceptable too.
    `recorded`: its head could be read, so the refusal is owed to the export. `after`: what follows on the connection
    is answered so, each in turn.
    """

    number: str
    name: str
    sent: bytes | Pieces
    statuses: tuple[int, ...] = (400,)
    codes: tuple[str, ...] = ()
    recorded: bool = True
    closed: bool = False
    body: bytes | None = None
    absent: tuple[bytes, ...] = ()
    after: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.number} {self.name}"

    @property
    def passes(self) -> bool:
        return not self.codes


def post(
    body: bytes = GOOD,
    *fields: bytes | str,
    line: bytes | str = b"POST /v1/chat/completions HTTP/1.1",
    auth: bytes | str = b"Bearer TOKEN",
    kind: bytes = b"application/json",
    host: bytes = b"checkpoint",
    framed: bytes | None = None,
) -> bytes:
    """One request. `framed` is a body that comes with its own framing fields; an empty `auth` or `kind` is left out."""
    lines = [_bytes(line), b"Host: " + host, *(_bytes(one) for one in fields)]
    lines += [b"Content-Type: " + kind] if kind else []
    lines += [b"Authorization: " + _bytes(auth)] if auth else []
    lines += [b"Content-Length: %d" % len(body)] if framed is None else []
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body if framed is None else framed)


def chunked(*pieces: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + last


def marked(sent: bytes, name: str) -> bytes:
    """With a user agent by which its record is found. Of several requests the first is marked."""
    first, rest = sent.split(b"\r\n", 1) if b"\r\n" in sent else (sent, b"")
    return first + b"\r\nUser-Agent: " + name.encode() + b"\r\n" + rest


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
