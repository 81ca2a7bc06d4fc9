"""Client certificates as a company's own authority makes them, and as others would."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.identities.minting import NOW, ec_key

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
type Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def email(address: str) -> x509.GeneralName:
    return x509.RFC822Name._init_without_validation(address)  # what others write may be no address


def uri(address: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(address)


@dataclass(frozen=True)
class Holder:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def written(self, path: Path, *others: "Holder") -> Path:
        """Certificate, intermediates and key in one file, as TLS libraries load them."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(key + self.pem + b"".join(other.pem for other in others))
        return path


def authority(
    name: str = "Example CA",
    *,
    by: Holder | None = None,
    days: tuple[float, float] = (-30, 365),
    constraints: x509.NameConstraints | None = None,
    depth: int | None = None,
) -> Holder:
    """A certificate authority, its own root or signed `by` another. Same name, same key."""
    key = ec_key(name)
    made = _begun(name, key, by, days)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
    made = made.add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
    if constraints is not None:
        made = made.add_extension(constraints, critical=True)
    return Holder(made.sign(by.key if by else key, hashes.SHA256()), key)


def person(
    *names: x509.GeneralName,
    by: Holder | None,
    days: tuple[float, float] = (-1, 30),
    uses: Sequence[x509.ObjectIdentifier] = (CLIENT,),
    key: Key | None = None,
    common_name: str = "ann",
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    names_authority: bool = True,
) -> Holder:
    """A caller's certificate; by nobody: signed with its own key."""
    key = key or ec_key("caller")
    made = _begun(common_name, key, by, days, names_authority)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=not common_name)
    if uses:
        made = made.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    for extension, critical in more:
        made = made.add_extension(extension, critical)
    return Holder(made.sign(by.key if by else key, hashes.SHA256()), key)


def _begun(
    name: str, key: Key, by: Holder | None, days: tuple[float, float], names_authority: bool = True
) -> x509.CertificateBuilder:
    now = datetime.datetime.fromtimestamp(int(NOW), datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if names_authority:
        signer = (by.key if by else key).public_key()
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    return made


def mtls(folder: Path, *authorities: Holder, **changed: Any) -> dict[str, Any]:
    """Settings of an issuer whose authorities these are."""
    path = folder / f"{changed.get('name', 'people')}.pem"
    path.write_bytes(b"".join(one.pem for one in authorities))
    return {"name": "people", "kind": "mtls", "ca_file": str(path)} | changed
