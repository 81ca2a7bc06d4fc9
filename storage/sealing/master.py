"""The master key: it wraps the keys that seal content, and says at once when it is the wrong one."""

import base64
import binascii
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from settings.sealing import Seal
from storage.problem import StoreProblem

KEY_BYTES: Final = 32
_WORDS: Final = b"sekisho seal/1 "


class SealProblem(StoreProblem):
    """What is sealed cannot be opened, or must not be written; the message says what to do."""


@dataclass(frozen=True)
class MasterKey:
    """256 bits. `id` names it without giving it away: where it stands, another key is known to be wrong at once."""

    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")

    def __repr__(self) -> str:
        return f"MasterKey({self.id})"

    @cached_property
    def id(self) -> str:
        """16 hex digits, derived one way (HKDF-Expand, RFC 5869)."""
        return self._derived(b"id", 8).hex()

    def wrap(self, key: bytes, whose: bytes) -> bytes:
        """A key, wrapped (RFC 3394: 8 bytes longer). `whose` says which: as another's it does not unwrap."""
        return aes_key_wrap(self._derived(b"wrap " + whose, 32), key)

    def unwrap(self, wrapped: bytes, whose: bytes) -> bytes:
        """The key again.

        Raises:
            SealProblem: it was altered, or is another's.
        """
        try:
            return aes_key_unwrap(self._derived(b"wrap " + whose, 32), wrapped)
        except (InvalidUnwrap, ValueError):
            raise SealProblem(
                f"A wrapped key does not open ({whose.decode('utf-8', 'replace')}): it was altered. Restore seal.db "
                "from a backup; what that key sealed cannot be read without it."
            ) from None

    def _derived(self, what: bytes, length: int) -> bytes:
        return HKDFExpand(SHA256(), length, _WORDS + what).derive(self.key)


class MasterKeys:
    """The current master key, which wraps, and those it followed, which only unwrap."""

    def __init__(self, current: MasterKey, *old: MasterKey) -> None:
        self.current = current
        self._known = {each.id: each for each in (*old, current)}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all of them."""
        return tuple(self._known)

    def __contains__(self, id_: str) -> bool:
        return id_ in self._known

    def unwrap(self, id_: str, wrapped: bytes, whose: bytes) -> bytes:
        """A key that the master key of this id wrapped.

        Raises:
            SealProblem: that master key is not here; or what is wrapped was altered.
        """
        if (master := self._known.get(id_)) is None:
            raise wrong_key(id_, self.current.id)
        return master.unwrap(wrapped, whose)


def wrong_key(needed: str, given: str) -> SealProblem:
    """What to say where another key is needed. Both are ids."""
    return SealProblem(
        f"storage.seal.key is not the key that this is sealed with: {needed} is needed, {given} is given. Set the "
        "right one; after a rotation, name the one before under storage.seal.old_keys and run `sekisho seal rotate`."
    )


def master_keys(seal: Seal) -> MasterKeys:
    """The keys that these settings name, read now.

    Raises:
        SealProblem: one cannot be read, or is no key. The message holds no part of it.
    """
    named = {"storage.seal.key": seal.key, **{f"storage.seal.old_keys[{i}]": k for i, k in enumerate(seal.old_keys)}}
    found: list[MasterKey] = []
    for path, source in named.items():
        try:
            found.append(MasterKey(_decoded(source.read())))
        except ValueError as cannot:
            raise SealProblem(f"{path} {cannot}.") from None
    return MasterKeys(*found)


def written(key: bytes) -> str:
    """A master key as it stands in a file or the environment."""
    return base64.b64encode(key).decode()


def _decoded(text: str) -> bytes:
    """Base64, in either alphabet, or hex digits.

    Raises:
        ValueError: it is neither, or too short.
    """
    try:
        if re.fullmatch(r"[0-9a-fA-F]{64}", text):
            key = bytes.fromhex(text)
        else:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"is no master key: {KEY_BYTES} random bytes in base64 or hex are wanted. `sekisho seal new-key` prints one"
        )
    return key
