"""Bodies in audit.db: content-addressed chunks, scoped to one person, and a manifest for each body.

Scope: nobody learns from a shared row that two people sent the same text, and a person's chunks can be removed as they
are. A manifest lists literals and chunks; a chunk is a manifest itself where a long string was cut out of it.
"""

import hashlib
import sqlite3
from collections import OrderedDict
from typing import Final

import msgspec

from storage.chunks import LONG_STRING, SMALLEST, Span, elements, strings
from storage.packing import Packer

_REMEMBERED: Final = 50_000  # chunks whose row is known without asking
_DEEPEST: Final = 3  # a body, its elements, their strings

type _Part = bytes | int

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes | int]).decode


class BodyWriter:
    """Takes bodies apart. Used by the recorder, inside its transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._packer = Packer()
        self._known: OrderedDict[tuple[int, bytes], int] = OrderedDict()

    def put(self, scope: int, body: bytes) -> bytes:
        """Keep this body; returns its manifest, to be kept in its row."""
        return self._manifest(scope, body, elements(body), 1)

    def forget(self) -> None:
        """After a transaction that was rolled back: rows that were thought of as written are not there."""
        self._known.clear()

    def _manifest(self, scope: int, content: bytes, spans: list[Span], depth: int) -> bytes:
        parts: list[_Part] = []
        position = last = 0
        for start, end in spans:
            if start > position:
                parts.append(content[position:start])
            row = self._chunk(scope, content[start:end], depth)
            parts.append(row - last)  # neighbours were mostly written one after the other: small numbers pack well
            position, last = end, row
        if position < len(content) or not parts:
            parts.append(content[position:])
        return self._packer.pack(_encode(parts))

    def _chunk(self, scope: int, content: bytes, depth: int) -> int:
        digest = hashlib.blake2b(content, digest_size=16).digest()
        key = (scope, digest)
        if (row := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return row
        found = self._connection.execute("select id from chunk where scope = ? and digest = ?", key).fetchone()
        if found is not None:
            row = int(found[0])
        else:
            inner = strings(content) if depth < _DEEPEST - 1 and len(content) >= LONG_STRING + SMALLEST else []
            blob = self._manifest(scope, content, inner, depth + 1)
            written = self._connection.execute(
                "insert into chunk (scope, digest, content) values (?, ?, ?)", (scope, digest, blob)
            ).lastrowid
            assert written is not None
            row = written
        self._known[key] = row
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return row


class BodyReader:
    """Puts bodies together again."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._packer = Packer()

    def get(self, manifest: bytes | None) -> bytes:
        """The body of this manifest, byte for byte; empty for None.

        Raises:
            ValueError: the manifest cannot be read.
            LookupError: one of its chunks is gone.
        """
        if manifest is None:
            return b""
        try:
            parts = _decode(self._packer.unpack(manifest))
        except msgspec.DecodeError as broken:
            raise ValueError(f"a body's manifest cannot be read: {broken}") from broken
        if len(parts) == 1 and isinstance(parts[0], bytes):
            return parts[0]
        pieces: list[bytes] = []
        row = 0
        for part in parts:
            if isinstance(part, bytes):
                pieces.append(part)
            else:
                row += part
                pieces.append(self._chunk(row))
        return b"".join(pieces)

    def add_chunks(self, manifest: bytes | None, to: set[int]) -> None:
        """Add the rows of all chunks that this manifest leads to."""
        if manifest is None:
            return
        row = 0
        for part in _decode(self._packer.unpack(manifest)):
            if isinstance(part, bytes):
                continue
            row += part
            if row not in to:
                to.add(row)
                found = self._connection.execute("select content from chunk where id = ?", (row,)).fetchone()
                self.add_chunks(found[0] if found else None, to)

    def _chunk(self, row: int) -> bytes:
        found = self._connection.execute("select content from chunk where id = ?", (row,)).fetchone()
        if found is None:
            raise LookupError(f"chunk {row} is gone")
        return self.get(found[0])
