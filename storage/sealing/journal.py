"""The journal sealed: by a key of each worker's life, which stands wrapped beside its files.

    journal/<boot>/seal   one line: `sekisho-journal/1 <id of the master key> <wrapped key, hex>`

A row's head is its count (8 bytes) and ciphertext, its body ciphertext alone. Both are bound to file, row number,
exchange and kind, the body to its head by the count. The exchange's id and the kind of the row stay readable: the
recorder sorts by them.
"""

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.journal.files import Entry
from storage.sealing.keyring import new_key
from storage.sealing.master import MasterKeys, SealProblem
from storage.sealing.vault import NOT_SET

_NAME: Final = "seal"
_FORMAT: Final = "sekisho-journal/1"
_HEAD, _BODY = b"head", b"body"  # the first bytes of the nonce; the count follows


class JournalSealer:
    """Seals the rows of one boot. One thread at a time; in the process that made it."""

    def __init__(self, directory: Path, masters: MasterKeys) -> None:
        key = new_key()
        _write(directory, masters, key)
        self._cipher = AESGCM(key)
        self._count = 0

    def sealed(self, rows: list[Entry], file: str, first: int) -> list[Entry]:
        """The rows as they are to be written into this file, from this row number on. A row that is tried again is
        sealed again, under the next count."""
        return [self._sealed(row, file, no) for no, row in enumerate(rows, first)]

    def _sealed(self, row: Entry, file: str, no: int) -> Entry:
        exchange, kind, head, body = row
        self._count += 1
        count = self._count.to_bytes(8)
        place = _place(file, no, exchange, kind, body is not None)
        return (
            exchange,
            kind,
            count + self._cipher.encrypt(_HEAD + count, head, place),
            None if body is None else self._cipher.encrypt(_BODY + count, body, place),
        )


class JournalOpener:
    """Opens the rows of one boot; hands those of a boot that is not sealed through. `masters` None: there is no key."""

    def __init__(self, directory: Path, masters: MasterKeys | None) -> None:
        self._directory = directory
        self._masters = masters
        self._cipher: AESGCM | None = None
        self._asked = False

    def check(self) -> None:
        """Can its rows be opened?

        Raises:
            SealProblem: they are sealed, and by another master key.
        """
        if not self._asked:
            self._cipher = _read(self._directory, self._masters)
            self._asked = True

    def opened(self, file: str, no: int, row: Entry) -> tuple[bytes, bytes | None]:
        """(head, body) of a row.

        Raises:
            SealProblem: the key is another.
            LookupError: the row was altered, or does not belong there.
        """
        self.check()
        exchange, kind, head, body = row
        if self._cipher is None:
            return head, body
        place = _place(file, no, exchange, kind, body is not None)
        count, rest = head[:8], head[8:]
        try:
            return (
                self._cipher.decrypt(_HEAD + count, rest, place),
                None if body is None else self._cipher.decrypt(_BODY + count, body, place),
            )
        except (InvalidTag, ValueError):
            raise LookupError(
                f"row {no} of {file} was altered, or does not belong there: its seal does not hold"
            ) from None


def sealed_by(directory: Path) -> str | None:
    """The id of the master key that wraps this boot's key; None where it is not sealed."""
    found = _line(directory)
    return None if found is None else found[0]


def wrap_again(directory: Path, masters: MasterKeys) -> bool:
    """Wrap this boot's key by the current master key. False where there is nothing to do.

    Raises:
        SealProblem: it cannot be unwrapped.
    """
    if (found := _line(directory)) is None or found[0] == masters.current.id:
        return False
    _write(directory, masters, masters.unwrap(*found, _whose(directory)))
    return True


def _place(file: str, no: int, exchange: bytes, kind: int, has_body: bool) -> bytes:
    return b"%s %d %d %d " % (file.encode(), no, kind, has_body) + exchange


def _whose(directory: Path) -> bytes:
    return f"journal {directory.name}".encode()


def _write(directory: Path, masters: MasterKeys, key: bytes) -> None:
    """On disk before any row is: without it they are lost."""
    wrapped = masters.current.wrap(key, _whose(directory)).hex()
    part = directory / f"{_NAME}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{_FORMAT} {masters.current.id} {wrapped}\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(directory / _NAME)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(directory: Path) -> tuple[str, bytes] | None:
    """(id of the master key, wrapped key)."""
    path = directory / _NAME
    try:
        form, master, wrapped = path.read_text(encoding="ascii").split()
        if form != _FORMAT:
            raise SealProblem(f"{path} was written by a newer Sekisho ({form}). Use that version.")
        return master, bytes.fromhex(wrapped)
    except FileNotFoundError:
        return None
    except (ValueError, UnicodeError):
        raise SealProblem(
            f"{path} was altered: it is no wrapped key. Restore it; the rows beside it cannot be read without it."
        ) from None


def _read(directory: Path, masters: MasterKeys | None) -> AESGCM | None:
    if (found := _line(directory)) is None:
        return None
    if masters is None:
        raise SealProblem(f"The journal {directory} {NOT_SET}")
    return AESGCM(masters.unwrap(*found, _whose(directory)))
