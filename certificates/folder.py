"""Where the authorities of an instance lie: `data_dir/mitmproxy`, which is mitmproxy's confdir.

mitmproxy-ca.pem        key and certificate of the authority that signs
mitmproxy-ca-cert.pem   what clients are to trust: its certificate, the next one's, and former ones until they expire
next-ca.pem             the authority that will sign
next-ca.from            from when on (ISO 8601), where a date was named
former-ca-certs.pem     certificates that no longer sign; their keys are gone
"""

import contextlib
import datetime
import os
from pathlib import Path

from cryptography import x509

from certificates.authority import Authority, UnusableAuthority, pem_of, read_authority
from files.whole import write_whole


class AuthorityFolder:
    """The authorities under one data_dir."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "mitmproxy"
        self.signing = self.path / "mitmproxy-ca.pem"
        self.trusted = self.path / "mitmproxy-ca-cert.pem"
        self._next = self.path / "next-ca.pem"
        self._from = self.path / "next-ca.from"
        self._former = self.path / "former-ca-certs.pem"

    def current(self) -> Authority | None:
        """The one that signs.

        Raises:
            UnusableAuthority: it is there and cannot be used.
        """
        return _read(self.signing)

    def next(self) -> Authority | None:
        """The one that will sign after a switch.

        Raises:
            UnusableAuthority: it is there and cannot be used.
        """
        return _read(self._next)

    def switch_at(self) -> datetime.datetime | None:
        """When the next one begins to sign; None: when somebody says so."""
        try:
            return datetime.datetime.fromisoformat(self._from.read_text(encoding="utf-8").strip())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as cannot:
            raise UnusableAuthority(
                f"{self._from} does not say from when on the next CA signs ({cannot}). Remove the file, and "
                "switch with sekisho ca rotate --switch"
            ) from None

    def keep_first(self, made: Authority) -> Authority:
        """Keeps an authority where there is none. Several may try at once: the one that was first is everybody's.

        Returns:
            The one that signs.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = self.signing.with_name(f".first.{os.getpid()}")
        write_whole(beside, made.pem, mode=0o600)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(beside, self.signing)
        finally:
            beside.unlink()
        kept = self.current()
        assert kept is not None
        self._write_trusted()
        return kept

    def keep_instead(self, made: Authority) -> None:
        """Keeps an authority in place of the one that signs, at once. Clients that trust only that one must be told."""
        before = self._readable_root(self.signing)
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self.signing, made.pem, mode=0o600)
        self._retire(before)

    def keep_next(self, made: Authority, switch_at: datetime.datetime | None) -> None:
        """Keeps an authority that signs later; clients are to trust it from now on."""
        self._from.unlink(missing_ok=True)
        write_whole(self._next, made.pem, mode=0o600)
        if switch_at is not None:
            write_whole(self._from, switch_at.isoformat().encode(), mode=0o600)
        self._write_trusted()

    def switch(self) -> None:
        """The next authority signs from now on. The former one's key is gone; its root stays trusted."""
        before = self._readable_root(self.signing)
        self._next.replace(self.signing)
        self._from.unlink(missing_ok=True)
        self._retire(before)

    def give_up_next(self) -> None:
        """Forgets the next authority."""
        self._next.unlink(missing_ok=True)
        self._from.unlink(missing_ok=True)
        self._write_trusted()

    def roots(self) -> list[x509.Certificate]:
        """The roots that clients are to trust: the one that signs, the next, former ones that have not expired."""
        found = [kept.root for kept in (self.current(), self.next()) if kept is not None]
        now = datetime.datetime.now(datetime.UTC)
        return [*found, *(each for each in self.former() if each.not_valid_after_utc > now and each not in found)]

    def former(self) -> list[x509.Certificate]:
        """Roots of authorities that no longer sign, the last first.

        Raises:
            UnusableAuthority: their file holds something else.
        """
        try:
            return x509.load_pem_x509_certificates(self._former.read_bytes())
        except FileNotFoundError:
            return []
        except ValueError as cannot:
            raise UnusableAuthority(
                f"{self._former} holds no certificates ({cannot}). Restore it; or remove it, and clients are no "
                "longer told of former CAs."
            ) from None

    def _retire(self, certificate: x509.Certificate | None) -> None:
        if certificate is not None:
            former = [certificate, *(each for each in self.former() if each != certificate)]
            write_whole(self._former, pem_of(former), mode=0o644)
        self._write_trusted()

    def _write_trusted(self) -> None:
        write_whole(self.trusted, pem_of(self.roots()), mode=0o644)

    @staticmethod
    def _readable_root(path: Path) -> x509.Certificate | None:
        try:
            found = _read(path)
        except UnusableAuthority:
            return None
        return found.root if found is not None else None


def _read(path: Path) -> Authority | None:
    try:
        pem = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as cannot:
        raise UnusableAuthority(f"The CA in {path} cannot be read: {cannot.strerror}.") from None
    return read_authority(pem, path)
