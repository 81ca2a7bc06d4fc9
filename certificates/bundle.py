"""Files that clients read: the machine's own authorities and ours together."""

import base64
import re
import ssl
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

from certificates.authority import pem_of
from certificates.folder import AuthorityFolder
from files.whole import write_whole

SYSTEM_BUNDLES: Final = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Ubuntu, Alpine, Arch
    Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),  # RHEL, Fedora
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
    Path("/etc/ssl/cert.pem"),  # macOS, BSD
)

JAVA_PASSWORD: Final = "changeit"  # noqa: S105 - Java's own; the store holds nothing secret


class NoSystemRoots(Exception):  # noqa: N818 - said to a person
    """The machine's authorities cannot be found or read; the message has the remedy."""


type Der = bytes
"""A certificate's bytes. The machine's are not parsed: oddities in one of them are not our matter."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s(.+?)-----END CERTIFICATE-----", re.DOTALL)


def system_roots(given: Path | None = None) -> tuple[Path, list[Der]]:
    """The machine's authorities, and the file they were in: the one given, else the usual one of this system.

    Raises:
        NoSystemRoots: there is no such file, or it holds something else.
    """
    # $SSL_CERT_FILE is not asked: it may name a bundle that we made, with an authority that has been removed since.
    path = given or next((each for each in SYSTEM_BUNDLES if each.exists()), None)
    if path is None:
        path = Path(ssl.get_default_verify_paths().openssl_cafile)
    try:
        found = [base64.b64decode(each, validate=False) for each in _PEM.findall(path.read_bytes())]
        why = "" if found else "it holds no certificates"
    except OSError as cannot:
        why = cannot.strerror or "it cannot be read"
    except ValueError as cannot:
        why = f"it is damaged ({cannot})"
    if why:
        raise NoSystemRoots(
            f"The machine's authorities cannot be read from {path}: {why}. Name their file with --roots FILE."
        )
    return path, found


def together(ours: Iterable[x509.Certificate], others: Iterable[Der]) -> list[Der]:
    """All of them once, the machine's first."""
    return list(dict.fromkeys([*others, *(each.public_bytes(Encoding.DER) for each in ours)]))


def pem_bundle(certificates: Iterable[Der]) -> bytes:
    """For SSL_CERT_FILE and the like."""
    return b"".join(ssl.DER_cert_to_PEM_cert(each).encode() for each in certificates)


def java_store(certificates: Iterable[Der]) -> bytes:
    """A PKCS #12 trust store for Java 8u301 and later, with JAVA_PASSWORD.

    Raises:
        NoSystemRoots: one of them is not well-formed.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of oddities that Java itself puts up with
            parsed = [x509.load_der_x509_certificate(each) for each in certificates]
    except ValueError as cannot:
        raise NoSystemRoots(
            f"One of the machine's authorities is not well-formed, and Java would refuse all: {cannot}."
        ) from None
    entries = [
        pkcs12.PKCS12Certificate(each, f"{number:03} {each.subject.rfc4514_string()}".encode())
        for number, each in enumerate(parsed)
    ]
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(JAVA_PASSWORD.encode()))


@dataclass(frozen=True)
class ClientFiles:
    """What variables of clients name. All are readable by everybody who may enter their folder; none is secret."""

    ours: Path
    """Our authorities alone, PEM: for clients that add to what they trust."""
    bundle: Path
    """The machine's and ours, PEM: for clients that take one file and nothing beside it."""
    java: Path
    """The same as a PKCS #12 trust store, with JAVA_PASSWORD."""

    def in_directory(self, directory: Path) -> "ClientFiles":
        """The same files where they were copied to."""
        return ClientFiles(directory / self.ours.name, directory / self.bundle.name, directory / self.java.name)


def client_files(
    folder: AuthorityFolder, roots: Path | None = None, *, into: Path | None = None, also: Iterable[Path] = ()
) -> ClientFiles:
    """Writes them anew, beside the authority or into another directory, with the machine's authorities as they are now
    (`roots`: from that file) and those in the files `also`.

    Raises:
        NoSystemRoots: others' authorities cannot be read.
        UnusableAuthority: ours cannot.
        OSError: they cannot be written.
    """
    others = [der for path in (roots, *also) for der in system_roots(path)[1]]
    everybody = together(folder.roots(), others)
    files = ClientFiles(*(((into or folder.path) / name).absolute() for name in _NAMES))
    write_whole(files.ours, pem_of(folder.roots()), mode=0o644)
    write_whole(files.bundle, pem_bundle(everybody), mode=0o644)
    write_whole(files.java, java_store(everybody), mode=0o644)
    return files


_NAMES: Final = ("mitmproxy-ca-cert.pem", "bundle.pem", "trust.p12")
