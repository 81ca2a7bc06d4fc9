"""The two ends of sealing: the recorder's, which makes keys and seals, and everybody's, which opens."""

import hashlib
import logging
from collections import OrderedDict
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.principal import Principal
from settings.sealing import Seal
from storage.sealing.content import Sealer, key_number, opened
from storage.sealing.index import KeyedIndex
from storage.sealing.keyring import (
    KeyFile,
    Kind,
    check_master,
    is_sealed_dir,
    keys_missing,
    last_number,
    new_key,
    reading_keys,
    seal_path,
    writing_keys,
)
from storage.sealing.master import MasterKeys, SealProblem, master_keys

log = logging.getLogger(__name__)

_DAY: Final = 86_400_000_000  # microseconds
_AT_HAND: Final = 50_000  # keys; one that was put aside is not fetched again, a new one is made

Index = Literal["keyed", "plain", "off"]

NOT_SET: Final = (
    "is sealed, and storage.seal is not set. Name its master key under storage.seal.key; without it nothing is read."
)


def masters_for_writing(data_dir: Path, seal: Seal | None) -> MasterKeys | None:
    """The master keys with which this data_dir may be written to; None where nothing is to be sealed. Called by every
    process before it writes.

    Raises:
        SealProblem: the directory is sealed and no key is set, or another one.
    """
    sealed = is_sealed_dir(data_dir)
    if not sealed and last_number(data_dir):
        raise keys_missing(data_dir)
    if seal is None:
        if sealed:
            raise SealProblem(f"{data_dir} {NOT_SET} To record unsealed, use another data_dir.")
        return None
    masters = master_keys(seal)
    if sealed:
        with reading_keys(data_dir) as keys:
            check_master(masters, keys)
    return masters


class Altered(SealProblem):
    """It is not what was sealed for this place."""


class KeyGone(SealProblem):
    """The key was destroyed, and with it what it sealed."""


def unsealed_among_sealed(what: str) -> Altered:
    """Whoever can write to the file, and has no key, could put anything there."""
    return Altered(f"The record was altered: {what} belongs to a sealed exchange, and is not sealed itself.")


class Locked:
    """Opens nothing: nobody gave a key."""

    def open(self, blob: bytes, place: bytes) -> bytes:
        """Says so.

        Raises:
            SealProblem: always.
        """
        del blob, place
        raise SealProblem(f"The record {NOT_SET}")


class PersonSeal:
    """What seals a person's content of one day."""

    __slots__ = ("_address_key", "seal")

    def __init__(self, sealer: Sealer, address_key: bytes) -> None:
        self.seal = sealer.seal
        self._address_key = address_key

    def address(self, content: bytes) -> bytes:
        """16 bytes by which the same content of this person is found again: keyed BLAKE2b (a MAC, RFC 7693, 2.9).
        Nobody without the key can try a guess against it, or see that two people sent the same."""
        return hashlib.blake2b(content, digest_size=16, key=self._address_key).digest()


class Vault:
    """The recorder's end. Not thread-safe."""

    def __init__(self, data_dir: Path, masters: MasterKeys, index: Index) -> None:
        self.index: Index = index
        self._masters = masters
        self._keys: KeyFile = writing_keys(data_dir)
        self._seals: OrderedDict[tuple[str, str, int], PersonSeal] = OrderedDict()
        self.reading = SealedReading(data_dir, None, masters)
        try:
            if (needed := last_number(data_dir)) > self._keys.highest():
                raise SealProblem(
                    f"{seal_path(data_dir)} is older than the record: key {needed} is not in it. Restore the newest "
                    "copy of it; what was sealed since cannot be read without."
                )
            if needed and self._keys.lasting(masters, "index") is None:
                log.error(
                    "%s lacks the key of the search index, though content is sealed: it was altered. Restore its "
                    "newest copy, or search and threads find nothing older. A new key is made; what was recorded "
                    "before is found by it after `sekisho db rebuild`.",
                    seal_path(data_dir),
                )
            self.keyed = KeyedIndex(self._lasting("index"))
            self._keys.commit()
        except BaseException:
            self._keys.close()
            raise

    def close(self) -> None:
        self._keys.close()

    def of(self, who: Principal | None, started_at: int) -> PersonSeal:
        """What seals the content of this person (None: nobody known) at this time, in microseconds since 1970."""
        issuer, subject = (who.issuer, who.subject) if who else ("", "")
        day = started_at // _DAY
        if (known := self._seals.get((issuer, subject, day))) is not None:
            self._seals.move_to_end((issuer, subject, day))
            return known
        key = new_key()
        number = self._keys.add(self._masters.current, key, "content", issuer, subject, day)
        made = PersonSeal(Sealer(number, key), self._lasting("address", issuer, subject))
        self._seals[(issuer, subject, day)] = made
        if len(self._seals) > _AT_HAND:
            self._seals.popitem(last=False)
        return made

    def persist(self) -> None:
        """Wait until the disk has every key that was made. Only then may be kept what they sealed.

        Raises:
            sqlite3.Error: it has not; those keys are given up.
        """
        try:
            self._keys.commit()
        except BaseException:
            self._seals.clear()
            raise

    def renew(self, issuer: str, subject: str) -> int:
        """From now on seal this person's content by new keys. Returns the number of the last one used."""
        for key in [key for key in self._seals if key[:2] == (issuer, subject)]:
            del self._seals[key]
        return self._keys.last(issuer, subject)

    def destroy(self, issuer: str, subject: str, last: int) -> None:
        """Destroy this person's keys up to the one of this number: what they sealed is never read again, here or in a
        copy of the record.

        Raises:
            sqlite3.Error: they are still there.
        """
        self.persist()
        self._keys.destroy(issuer, subject, last)
        self.renew(issuer, subject)
        self.reading.forget()

    def _lasting(self, kind: Kind, issuer: str = "", subject: str = "") -> bytes:
        key = self._keys.lasting(self._masters, kind, issuer, subject)
        if key is None:
            key = new_key()
            self._keys.add(self._masters.current, key, kind, issuer, subject, 0)
        return key


class SealedReading:
    """Everybody's end: opens what was sealed. The master key is asked for when something sealed is met, not before.

    `seal` None: nothing sealed can be read, and whoever tries is told so; unless the master keys are given themselves.
    """

    def __init__(self, data_dir: Path, seal: Seal | None, masters: MasterKeys | None = None) -> None:
        self._data_dir = data_dir
        self._seal = seal
        self._masters = masters
        self._ciphers: OrderedDict[int, AESGCM] = OrderedDict()

    @property
    def index(self) -> Index | None:
        """How words of sealed content are found; None where nothing is sealed."""
        if not is_sealed_dir(self._data_dir):
            return None
        if self._seal is None:
            raise SealProblem(f"{self._data_dir} {NOT_SET}")
        return self._seal.index

    def index_key(self) -> bytes:
        """The instance's key for search and threads.

        Raises:
            SealProblem: it cannot be had.
        """
        masters = self.masters()
        with reading_keys(self._data_dir) as keys:
            key = keys.lasting(masters, "index")
        if key is None:
            raise SealProblem("The key of the search index is gone. Restore seal.db from a backup.")
        return key

    def open(self, blob: bytes, place: bytes) -> bytes:
        """The content that was sealed for this place.

        Raises:
            SealProblem: it cannot be opened; the message says why.
        """
        number = key_number(blob)
        if (cipher := self._ciphers.get(number)) is None:
            cipher = self._ciphers[number] = self._cipher(number)
            if len(self._ciphers) > _AT_HAND:
                self._ciphers.popitem(last=False)
        try:
            return opened(blob, cipher, place)
        except (InvalidTag, ValueError):
            raise Altered(
                "The record holds something that was altered, or stands where it does not belong: its seal does not "
                f"hold ({place.split(b' ')[0].decode()}). `sekisho verify` says which exchange it is."
            ) from None

    def forget(self) -> None:
        """Keys were destroyed: what was fetched of them goes too."""
        self._ciphers.clear()

    def _cipher(self, number: int) -> AESGCM:
        masters = self.masters()
        with reading_keys(self._data_dir) as keys:
            key = keys.key(masters, number)
        if key is None:
            raise KeyGone(f"The key of this content (number {number}) was destroyed: the content was erased.")
        return AESGCM(key)

    def masters(self) -> MasterKeys:
        """The master keys, asked for now and held against the record.

        Raises:
            SealProblem: they cannot be had, or are others.
        """
        if self._masters is None:
            if self._seal is None:
                raise SealProblem(f"{self._data_dir} {NOT_SET}")
            masters = master_keys(self._seal)
            with reading_keys(self._data_dir) as keys:
                check_master(masters, keys)
            self._masters = masters
        return self._masters
