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
from storage.sealing.content import Opener, is_sealed, of_chunk
from storage.sealing.vault import Locked, PersonSeal, unsealed_among_sealed

_REMEMBERED: Final = 50_000  # chunks whose row is known without asking
_DEEPEST: Final = 3  # a body, its elements, their strings
_LAST_ROW: Final = (1 << 63) - 1  # SQLite's

type _Part = bytes | int

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes | int]).decode


class BodyWriter:
    """Takes bodies apart. Used by the recorder, inside its transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._packer = Packer()
        self._known: OrderedDict[tuple[int, bytes], int] = OrderedDict()
        self._last_row = 0  # of the chunks, where they are sealed

    def put(self, scope: int, body: bytes, seal: PersonSeal | None = None, place: bytes = b"") -> bytes:
        """Keep this body; returns its manifest, to be kept in its row. With `seal` both are sealed, the manifest for
        this place."""
        return self._manifest(scope, body, elements(body), 1, seal, place)

    def forget(self) -> None:
        """After a transaction that was rolled back: rows that were thought of as written are not there."""
        self._known.clear()
        self._last_row = 0

    def _manifest(
        self, scope: int, content: bytes, spans: list[Span], depth: int, seal: PersonSeal | None, place: bytes
    ) -> bytes:
        parts: list[_Part] = []
        position = last = 0
        for start, end in spans:
            if start > position:
                parts.append(content[position:start])
            row = self._chunk(scope, content[start:end], depth, seal)
            parts.append(row - last)  # neighbours were mostly written one after the other: small numbers pack well
            position, last = end, row
        if position < len(content) or not parts:
            parts.append(content[position:])
        packed = self._packer.pack(_encode(parts))
        return packed if seal is None else seal.seal(packed, place)

    def _chunk(self, scope: int, content: bytes, depth: int, seal: PersonSeal | None) -> int:
        digest = hashlib.blake2b(content, digest_size=16).digest() if seal is None else seal.address(content)
        key = (scope, digest)
        if (row := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return row
        found = self._connection.execute("select id from chunk where scope = ? and digest = ?", key).fetchone()
        if found is not None:
            row = int(found[0])
        else:
            inner = strings(content) if depth < _DEEPEST - 1 and len(content) >= LONG_STRING + SMALLEST else []
            row = self._insert(scope, digest, content, inner, depth + 1, seal)
        self._known[key] = row
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return row

    def _insert(
        self, scope: int, digest: bytes, content: bytes, inner: list[Span], depth: int, seal: PersonSeal | None
    ) -> int:
        execute = self._connection.execute
        if seal is None:
            blob = self._manifest(scope, content, inner, depth, None, b"")
            written = execute("insert into chunk (scope, digest, content) values (?, ?, ?)", (scope, digest, blob))
            assert written.lastrowid is not None
            return written.lastrowid
        row = self._next_row()  # a part of what is sealed, so it must be known before
        blob = self._manifest(scope, content, inner, depth, seal, of_chunk(scope, row, digest))
        execute("insert into chunk (id, scope, digest, content) values (?, ?, ?, ?)", (row, scope, digest, blob))
        return row

    def _next_row(self) -> int:
        """Nobody else inserts here."""
        if not self._last_row:
            found = self._connection.execute("select coalesce(max(id), 0) from chunk").fetchone()
            self._last_row = int(found[0])
        self._last_row += 1
        return self._last_row


class BodyReader:
    """Puts bodies together again. `opener` opens what is sealed; without one, whoever meets it is told so."""

    def __init__(self, connection: sqlite3.Connection, opener: Opener = Locked()) -> None:  # noqa: B008 - it holds nothing
        self._connection = connection
        self.opener = opener
        self._packer = Packer()

    def get(self, manifest: bytes | None, place: bytes = b"") -> bytes:
        """The body of this manifest, byte for byte; empty for None. `place` is where the manifest stands.

        Raises:
            ValueError: the manifest cannot be read.
            LookupError: one of its chunks is gone.
            SealProblem: it is sealed, and cannot be opened.
        """
        return self._get(manifest, place, 1)

    def _get(self, manifest: bytes | None, place: bytes, depth: int) -> bytes:
        if manifest is None:
            return b""
        if depth > _DEEPEST:
            raise ValueError("its pieces lead to each other without an end")
        if sealed := is_sealed(manifest):
            manifest = self.opener.open(manifest, place)
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
                pieces.append(self._chunk(row, depth, sealed=sealed))
        return b"".join(pieces)

    def opened(self, blob: bytes, place: bytes) -> bytes:
        """What stands there, opened where it is sealed."""
        return self.opener.open(blob, place) if is_sealed(blob) else blob

    def add_chunks(self, manifest: bytes | None, to: set[int], place: bytes = b"") -> None:
        """Add the rows of all chunks that this manifest leads to. `place` is where the manifest stands. One that cannot
        be read (a failing disk) leads nowhere: nobody can put its body together, and `verify` names it."""
        if manifest is None:
            return
        if sealed := is_sealed(manifest):
            manifest = self.opener.open(manifest, place)
        try:
            parts = _decode(self._packer.unpack(manifest))
        except (ValueError, msgspec.DecodeError):
            return
        row = 0
        for part in parts:
            if isinstance(part, bytes):
                continue
            row += part
            if row not in to:
                to.add(row)
                found = self._row(row)
                if found is not None:
                    self.add_chunks(found[0], to, of_chunk(found[1], row, found[2]) if sealed else b"")

    def _row(self, row: int) -> tuple[bytes, int, bytes] | None:
        if not 0 < row <= _LAST_ROW:
            return None
        found: tuple[bytes, int, bytes] | None = self._connection.execute(
            "select content, scope, digest from chunk where id = ?", (row,)
        ).fetchone()
        return found

    def _chunk(self, row: int, depth: int, *, sealed: bool) -> bytes:
        found = self._row(row)
        if found is None:
            raise LookupError(f"chunk {row} is gone")
        content, scope, digest = found
        if sealed and not is_sealed(content):
            raise unsealed_among_sealed(f"chunk {row}")
        return self._get(content, of_chunk(scope, row, digest) if sealed else b"", depth + 1)
