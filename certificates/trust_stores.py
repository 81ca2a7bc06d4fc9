"""Where a machine keeps whom its programs trust, and the commands that put an authority in and take it out.

Nothing here changes a store: the commands are shown to a person first.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cryptography import x509

from certificates.authority import fingerprint
from certificates.bundle import JAVA_PASSWORD

type Command = tuple[str, ...]

_PATIENCE_S: Final = 60.0
_CACERTS: Final = "lib/security/cacerts"


class TrustStore(Protocol):
    """One store of trusted authorities."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def needs_root(self) -> bool:
        """Can only the administrator change it?"""

    def has(self, certificate: x509.Certificate) -> bool:
        """Is this authority trusted there?"""

    def adding(self, certificate: x509.Certificate, file: Path) -> list[Command]:
        """What puts it in; `file` holds it in PEM."""

    def removing(self, certificate: x509.Certificate) -> list[Command]:
        """What takes it out."""


@dataclass(frozen=True)
class AnchorFolder:
    """A folder of PEM files and a command that reads it: how Linux distributions do it. What most programs there use:
    OpenSSL, curl, git, Python's `ssl`, Go. With `forgetting` it leaves no link to a file that is gone. `java`: a
    store of Java's that the command fills as well; Debian's takes nothing out of it that is gone."""

    name: str
    folder: Path
    refresh: Command
    forgetting: Command = ()
    needs_root: bool = True
    java: Path | None = None

    def has(self, certificate: x509.Certificate) -> bool:
        try:
            return certificate in x509.load_pem_x509_certificates(self._file(certificate).read_bytes())
        except (OSError, ValueError):
            return False

    def adding(self, certificate: x509.Certificate, file: Path) -> list[Command]:
        return [("install", "-m", "644", str(file), str(self._file(certificate))), self.refresh]

    def removing(self, certificate: x509.Certificate) -> list[Command]:
        commands: list[Command] = [("rm", "-f", str(self._file(certificate))), (*self.refresh, *self.forgetting)]
        if self.java is not None and _asked(_keytool("keytool", self.java, "-exportcert", *self._alias(certificate))):
            commands.append(_keytool("keytool", self.java, "-delete", *self._alias(certificate)))
        return commands

    def _alias(self, certificate: x509.Certificate) -> Command:
        return ("-alias", f"debian:{self._file(certificate).stem}.pem")  # the name of its link in /etc/ssl/certs

    def _file(self, certificate: x509.Certificate) -> Path:
        return self.folder / f"sekisho-{fingerprint(certificate)[:16].lower()}.crt"


@dataclass(frozen=True)
class Keychain:
    """macOS's system keychain (security(1)): Safari, Chrome, curl, Go, and whatever uses the system's verifier."""

    name: str = "macOS system keychain"
    keychain: str = "/Library/Keychains/System.keychain"
    needs_root: bool = True

    def has(self, certificate: x509.Certificate) -> bool:
        found = _asked(("security", "find-certificate", "-a", "-Z", self.keychain))
        return f"SHA-256 hash: {fingerprint(certificate)}" in found

    def adding(self, certificate: x509.Certificate, file: Path) -> list[Command]:
        del certificate
        return [("security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", self.keychain, str(file))]

    def removing(self, certificate: x509.Certificate) -> list[Command]:
        return [("security", "delete-certificate", "-t", "-Z", fingerprint(certificate), self.keychain)]


@dataclass(frozen=True)
class NssDatabase:
    """A database of NSS: Firefox has one in each profile, Chromium on Linux one for each person."""

    name: str
    folder: Path
    needs_root: bool = False

    def has(self, certificate: x509.Certificate) -> bool:
        listed = _asked(self._certutil("-L", "-a", "-n", _nickname(certificate)))
        try:
            return certificate in x509.load_pem_x509_certificates(listed.encode())
        except ValueError:
            return False

    def adding(self, certificate: x509.Certificate, file: Path) -> list[Command]:
        # C: trusted to sign servers' certificates; not for mail, not for code.
        return [self._certutil("-A", "-t", "C,,", "-n", _nickname(certificate), "-i", str(file))]

    def removing(self, certificate: x509.Certificate) -> list[Command]:
        return [self._certutil("-D", "-n", _nickname(certificate))]

    def _certutil(self, *arguments: str) -> Command:
        return ("certutil", "-d", f"sql:{self.folder}", *arguments)


@dataclass(frozen=True)
class JavaStore:
    """What one Java trusts (keytool(1)), where it keeps a store of its own: one that was unpacked, or came with another
    program. `home` is its java.home. The Java of a Linux distribution reads what the system's store writes."""

    name: str
    home: Path
    needs_root: bool = True

    def has(self, certificate: x509.Certificate) -> bool:
        listed = _asked(self._command("-exportcert", "-rfc", "-alias", _nickname(certificate)))
        try:
            return certificate in x509.load_pem_x509_certificates(listed.encode())
        except ValueError:
            return False

    def adding(self, certificate: x509.Certificate, file: Path) -> list[Command]:
        return [self._command("-importcert", "-noprompt", "-alias", _nickname(certificate), "-file", str(file))]

    def removing(self, certificate: x509.Certificate) -> list[Command]:
        return [self._command("-delete", "-alias", _nickname(certificate))]

    def _command(self, *arguments: str) -> Command:
        return _keytool(str(self.home / "bin" / "keytool"), self.home / _CACERTS, *arguments)


def _keytool(program: str, store: Path, *arguments: str) -> Command:
    return (program, *arguments, "-keystore", str(store), "-storepass", JAVA_PASSWORD)


def _nickname(certificate: x509.Certificate) -> str:
    return f"sekisho-{fingerprint(certificate)[:16].lower()}"


def _asked(command: Command) -> str:
    """What a command prints; nothing when it cannot be run or fails."""
    try:
        done = subprocess.run(  # noqa: S603 - commands of this file
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


_LINUX: Final = (
    AnchorFolder(
        "Debian, Ubuntu",
        Path("/usr/local/share/ca-certificates"),
        ("update-ca-certificates",),
        ("--fresh",),
        java=Path("/etc/ssl/certs/java/cacerts"),
    ),
    AnchorFolder("RHEL, Fedora", Path("/etc/pki/ca-trust/source/anchors"), ("update-ca-trust",)),
    AnchorFolder("SUSE", Path("/etc/pki/trust/anchors"), ("update-ca-certificates",)),
    AnchorFolder("Arch", Path("/etc/ca-certificates/trust-source/anchors"), ("update-ca-trust",)),
)


def stores_here(
    *,
    platform: str = sys.platform,
    home: Path | None = None,
    linux: tuple[AnchorFolder, ...] = _LINUX,
    which: Callable[[str], str | None] = shutil.which,
    environment: Mapping[str, str] = os.environ,
) -> list[TrustStore]:
    """The stores of this machine and this person that can be changed with what is installed."""
    found: list[TrustStore] = []
    if platform == "darwin":
        found.append(Keychain())
    else:
        found += [each for each in linux if each.folder.is_dir() and which(each.refresh[0])][:1]
    found += _java_stores(which("java"), environment.get("JAVA_HOME"))
    if which("certutil"):
        home = home or Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() fails without a home
        profiles = [
            home / ".mozilla/firefox",
            home / "snap/firefox/common/.mozilla/firefox",
            home / "Library/Application Support/Firefox/Profiles",
        ]
        chromium = home / ".pki/nssdb"
        if (chromium / "cert9.db").exists():
            found.append(NssDatabase("Chromium", chromium))
        found += [
            NssDatabase(f"Firefox, {database.parent.name}", database.parent)
            for profile in profiles
            for database in sorted(profile.glob("*/cert9.db"))
        ]
    return found


def _java_stores(command: str | None, java_home: str | None) -> list[TrustStore]:
    """Of the Java that is found as a command, and of the one that is named."""
    homes = [Path(java_home)] if java_home else []
    if command is not None:
        homes.append(Path(command).resolve().parent.parent)
    found: list[TrustStore] = []
    for home in dict.fromkeys(each.resolve() for each in homes):
        store = home / _CACERTS
        # A link to elsewhere: the system's store keeps that one.
        if (home / "bin" / "keytool").exists() and store.is_file() and store.resolve().is_relative_to(home):
            found.append(JavaStore(f"Java, {home}", home, needs_root=not os.access(store, os.W_OK)))
    return found
