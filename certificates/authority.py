"""A certificate authority that may speak for the providers' hosts and for nobody else (RFC 5280 §4.2.1.10)."""

import datetime
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 730
"""How long an authority is good for."""

_SKEW = datetime.timedelta(days=1)  # clocks of clients may be behind
_NOWHERE = "invalid"  # a name that is never given out (RFC 6761 §6.4): limited to it is limited to nothing
_NO_ADDRESSES = [
    x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
    x509.IPAddress(ipaddress.ip_network("::/0")),
]

type Signer = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class UnusableAuthority(Exception):  # noqa: N818 - said to a person
    """An authority cannot be read, or cannot sign; the message names the file and the remedy."""


@dataclass(frozen=True)
class Authority:
    """What signs: a key, and its certificate with those above it, the root last. A root may sign by itself."""

    key: Signer
    chain: tuple[x509.Certificate, ...]

    @property
    def certificate(self) -> x509.Certificate:
        """The one that signs for hosts."""
        return self.chain[0]

    @property
    def root(self) -> x509.Certificate:
        """The one that clients are to trust."""
        return self.chain[-1]

    @property
    def pem(self) -> bytes:
        """Key, then the chain: a secret, as mitmproxy reads it."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem_of(self.chain)


def pem_of(certificates: Iterable[x509.Certificate]) -> bytes:
    """Certificates one after the other, as trust is given to files of them."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def make_authority(hosts: Iterable[str] | None, *, node: str, now: datetime.datetime, days: float = DAYS) -> Authority:
    """A new authority: a root and one below it that signs, both EC P-256, for TLS servers only.

    There are two because some clients (Java) do not look at the limits of what they trust, only at those of what is
    signed by it. The root's key signs the one certificate below it and is forgotten: nothing can sign as the root
    again.

    Args:
        hosts: the names it may sign for, each with all below it (a constraint has no other form); None: any host.
            With a limit it signs for no address either.
        node: stands in its name, so that people know whose it is.
    """
    limit = None
    if hosts is not None:
        # Names alone would leave addresses free: a constraint binds the kinds of name that stand in it.
        limit = x509.NameConstraints([x509.DNSName(_ascii(h)) for h in sorted(set(hosts)) or [_NOWHERE]], _NO_ADDRESSES)
    # Each has a name of its own: while two are trusted, clients that look issuers up by name must find the right one.
    called = f"Sekisho CA {node[:32]} {now:%Y-%m-%d} {secrets.token_hex(2)}"
    span = (now - _SKEW, now + datetime.timedelta(days=days))
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, name = _named(called), _named(f"{called} signing")
    root_builder = _builder(root_name, root_key, path_length=1, limit=limit, span=span)
    root = root_builder.issuer_name(root_name).sign(root_key, hashes.SHA256())
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    signing = (
        _builder(name, key, path_length=0, limit=limit, span=span)
        .issuer_name(root_name)
        .add_extension(issued_by, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return Authority(key, (signing, root))


def _named(common_name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Sekisho"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def _builder(
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    path_length: int,
    limit: x509.NameConstraints | None,
    span: tuple[datetime.datetime, datetime.datetime],
) -> x509.CertificateBuilder:
    """All of an authority's certificate but who issued it."""
    usage = dict.fromkeys(
        ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"], False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder if limit is None else builder.add_extension(limit, critical=True)


def read_authority(pem: bytes, where: object) -> Authority:
    """The authority in a file's bytes, `where` naming the file: a key, its certificate, and those above it.

    Raises:
        UnusableAuthority: there is no key with its certificate in it, or no authority's.
    """
    try:
        key = load_pem_private_key(pem, None)
        chain = tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, TypeError) as cannot:
        raise UnusableAuthority(
            f"The CA in {where} cannot be read ({cannot}). Restore the file, or make a new CA: sekisho ca init --force"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        why = "has a key that is neither EC nor RSA"
    elif key.public_key() != chain[0].public_key():
        why = "has a key that is not its first certificate's"
    elif not _is_authority(chain[0]):
        why = "has a certificate that may not sign others"
    else:
        return Authority(key, chain)
    raise UnusableAuthority(f"The CA in {where} {why}. Restore the file, or make a new CA: sekisho ca init --force")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...] | None:
    """The hosts an authority is limited to; None: it may sign for any."""
    try:
        limit = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    if limit.permitted_subtrees is None:
        return None
    return tuple(
        name.value for name in limit.permitted_subtrees if isinstance(name, x509.DNSName) and name.value != _NOWHERE
    )


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Would clients believe this authority about this host? A permitted name stands for all below it, too."""
    limit = hosts_of(certificate)
    host = _ascii(host)
    return limit is None or any(host == name or host.endswith(f".{name}") for name in limit)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, in upper-case hex, as browsers show it without the colons."""
    return certificate.fingerprint(hashes.SHA256()).hex().upper()


def days_left(certificate: x509.Certificate, now: datetime.datetime) -> float:
    """Until it runs out; below 0: it did."""
    return (certificate.not_valid_after_utc - now) / datetime.timedelta(days=1)


def _ascii(host: str) -> str:
    """A host as certificates write it (A-labels, RFC 5890)."""
    return host if host.isascii() else host.encode("idna").decode()
