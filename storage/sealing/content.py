"""Sealed content as it stands in audit.db.

    02 | data key's number, 4 bytes | count, 6 bytes | ciphertext | tag, 16 bytes

The nonce is the count, in 12 bytes. The associated data is what stands before the ciphertext, and the place. The first
byte tells it from what is packed only (storage.packing).
"""

from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MARK: Final = b"\x02"
_HEAD: Final = 11


class Sealer:
    """One data key at work, in the process that made it. It counts what it seals: no nonce comes twice."""

    __slots__ = ("_cipher", "_count", "_head")

    def __init__(self, number: int, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._head = MARK + number.to_bytes(4)
        self._count = 0

    def seal(self, content: bytes, place: bytes) -> bytes:
        """What is to be written there, and nowhere else."""
        self._count += 1  # first, so that a fault after it can only leave a number out
        count = self._count.to_bytes(6)
        head = self._head + count
        return head + self._cipher.encrypt(b"\0\0\0\0\0\0" + count, content, head + place)


class Opener(Protocol):
    """Opens what was sealed."""

    def open(self, blob: bytes, place: bytes) -> bytes:
        """The content of this place.

        Raises:
            SealProblem: it cannot be opened; the message says why.
        """
        ...


def is_sealed(blob: bytes) -> bool:
    return blob[:1] == MARK


def key_number(blob: bytes) -> int:
    """Which data key sealed it."""
    return int.from_bytes(blob[1:5])


def opened(blob: bytes, key: AESGCM, place: bytes) -> bytes:
    """The content.

    Raises:
        cryptography.exceptions.InvalidTag: a bit of it was altered, it belongs elsewhere, or this is not its key.
    """
    head = blob[:_HEAD]
    return key.decrypt(b"\0\0\0\0\0\0" + head[5:], blob[_HEAD:], head + place)


def of_exchange(id_: str, column: str) -> bytes:
    """The place of something that one exchange has: its id, 32 hex digits, and the column."""
    return f"{column} {id_}".encode()


def of_chunk(scope: int, row: int, digest: bytes) -> bytes:
    """The place of a chunk: whose, in which row, under which address."""
    return b"chunk %d %d " % (scope, row) + digest
