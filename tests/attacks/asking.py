"""Sending raw bytes, piece by piece, and reading what is answered meanwhile."""

import json
import select
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """`seconds` until the first answer was whole; `raw` is everything that came."""

    raw: bytes
    seconds: float
    ended: bool  # the other side closed

    @property
    def statuses(self) -> list[int]:
        """Of each answer on the connection."""
        return [int(head.split(b" ")[1]) for head, _ in self._messages()]

    @property
    def code(self) -> str | None:
        """The code of the first answer, when it is a refusal in JSON."""
        for head, body in self._messages():
            if b"content-type: application/json" not in head.lower():
                return None
            try:
                said = json.loads(body)
            except ValueError:
                return None
            return str(said["error"]["code"]) if isinstance(said, dict) and "error" in said else None
        return None

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        left = self.raw
        while left.startswith(b"HTTP/1.") and b"\r\n\r\n" in left:
            head, _, left = left.partition(b"\r\n\r\n")
            size = _length(head)
            yield head, left[:size]
            left = left[size:]


def ask(port: int, pieces: Iterable[bytes], *, answers: int = 1, patience: float = 5.0) -> Answer:
    """Send until the pieces are gone or the answers are here."""
    began = time.monotonic()
    got, pending, ended = b"", b"", False
    seconds = 0.0
    left = iter(pieces)
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.setblocking(False)
        more = True
        while not ended and time.monotonic() - began < patience + 2:
            if not pending and more:
                pending = next(left, b"")
                more = bool(pending)
            readable, writable, _ = select.select([connection], [connection] if pending else [], [], 0.05)
            if readable:
                try:
                    data = connection.recv(65536)
                except OSError:
                    data = b""
                got += data
                ended = not data
                if not seconds and len(Answer(got, 0, ended).statuses) >= 1:
                    seconds = time.monotonic() - began
                if len(Answer(got, 0, ended).statuses) >= answers and _whole(got):
                    break
            if writable and not ended:
                try:
                    pending = pending[connection.send(pending) :]
                except OSError:
                    pending, more = b"", False
    return Answer(got, seconds or time.monotonic() - began, ended)


def _whole(got: bytes) -> bool:
    while b"\r\n\r\n" in got:
        head, _, rest = got.partition(b"\r\n\r\n")
        size = _length(head)
        if len(rest) < size:
            return False
        got = rest[size:]
    return not got


def _length(head: bytes) -> int:
    low = head.lower()
    if b"content-length:" not in low:
        return 0
    return int(low.partition(b"content-length:")[2].split(b"\r\n")[0])
