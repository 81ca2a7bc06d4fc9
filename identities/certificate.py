"""A client certificate becomes a principal in one step, or it does not.

The TLS layer proves that the caller holds the certificate's key, and nothing else: mitmproxy lets any certificate pass.
The path is verified here (RFC 5280 §6.1, as CA/B profile by `cryptography.x509.verification`): signatures, times, EKU
clientAuth, name constraints, path length. What it accepts and we do not is refused beside it (measured on
cryptography 48): a leaf without EKU, an RSA-1024 leaf. What it refuses without need, a certificate without
authorityKeyIdentifier, passes. The subject's common name is never read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
    VerifiedClient,
)

from identities.domain import Admission
from identities.issuer import Person
from identities.refusal import IdentityRefused
from identities.token import Proof

type Names = Sequence[x509.GeneralName]
"""The subject alternative names of a certificate (RFC 5280 §4.2.1.6)."""

_LONGEST_CHAIN = 8
_LARGEST = 64 << 10  # bytes of all certificates of a chain together: anybody can send one
_SHORTEST_RSA = 2048
_IN_WORDS = {
    # Parts of cryptography's messages, which may end in the certificate's own words.
    "no interior errors": "it does not lead to a CA in ca_file; are the intermediates sent along?",
    "required EKU": "a CA on its way is not for client authentication (EKU clientAuth)",
    "no clientAuth": "it is not for client authentication (EKU clientAuth)",
    "2.5.29.37": "it has no extended key usage (EKU clientAuth)",
    "2.5.29.17": "it has no subject alternative name",
    "not valid at validation time": "it, or a CA on its way, is not valid at this time",
    "name constraint": "a CA on its way may not certify this name",
    "path length": "its way to the CA is longer than a CA on it allows",
    "must be asserted in a CA": "a certificate on its way is not a CA's",
    "must not be asserted in an EE": "it is a CA's own",
    "X509v3": "it is of an old kind without extensions (X.509 v1)",
}
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises over what callers send: not all of it is a ValueError."""


@dataclass(frozen=True, slots=True)
class Authority:
    """One `mtls` entry, ready to judge certificates. `person` raises IdentityRefused. `generation` is that of
    `roots`, which are read once."""

    name: str
    roots: Store
    max_ttl_s: int
    person: Callable[[Names], Person]
    map: Mapping[str, str] = field(default_factory=dict)
    generation: int = 0


def roots_in(path: Path) -> Store:
    """The certificate authorities in a file, one PEM after the other. An intermediate may be one: the path ends there.

    Raises:
        ValueError: the file cannot be read, or holds something else; the message is to be read after its path.
    """
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as problem:
        raise ValueError(f"cannot be read: {problem.strerror}") from None
    except ValueError:
        raise ValueError("holds no certificates. Write each CA's as PEM, one after the other") from None
    for one in found:
        if not _is_authority(one):
            raise ValueError("holds a certificate that is no CA's, so nothing it signed could pass. Name the CA's own")
    return Store(found)


def chain_in(pem: bytes) -> list[bytes]:
    """The certificates in a PEM text, as DER, in the order written.

    Raises:
        ValueError: there are none.
    """
    return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(pem)]


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def fingerprint(certificate: bytes) -> bytes:
    """SHA-256 of a certificate in DER."""
    return sha256(certificate).digest()


def proof_from(chain: Sequence[bytes], authority: Authority, admission: Admission, now: float) -> Proof:
    """What the certificate that comes first in this chain proves: path, use, times, lifetime, person, domain.

    `chain` is DER, the caller's own certificate first, intermediates in any order; `now` is Unix time in seconds.
    The proof ends with the certificate on its way that ends first, without any skew; its number is the fingerprint.

    Raises:
        IdentityRefused: invalid_token, expired_token, token_lifetime_too_long, domain_not_allowed,
            subject_not_allowed.
    """
    if len(chain) > _LONGEST_CHAIN or sum(map(len, chain)) > _LARGEST:
        raise _invalid("the chain is too long")
    try:
        leaf, *others = [x509.load_der_x509_certificate(one) for one in chain]
        _check_key(leaf)
        verified = _verified(leaf, others, authority, datetime.fromtimestamp(now, UTC))
        names = verified.subjects or ()
        life = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds()
        ends = min(one.not_valid_after_utc for one in verified.chain).timestamp()
    except _UNREADABLE:
        raise _invalid("the certificate cannot be read") from None
    if life > authority.max_ttl_s:
        raise IdentityRefused("token_lifetime_too_long", f"longer than max_ttl_s ({authority.max_ttl_s})")
    principal = admission.principal(authority.person(names), authority.map, authority.name)
    return Proof(principal, ends, fingerprint(chain[0]).hex())


def _check_key(leaf: x509.Certificate) -> None:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _SHORTEST_RSA:
        raise _invalid("the certificate's key is too short")


def _verified(
    leaf: x509.Certificate, others: list[x509.Certificate], authority: Authority, at: datetime
) -> VerifiedClient:
    for_ca, for_leaf = _profiles()
    policy = PolicyBuilder().store(authority.roots).time(at).max_chain_depth(_LONGEST_CHAIN)
    verifier = policy.extension_policies(ca_policy=for_ca, ee_policy=for_leaf).build_client_verifier()
    try:
        return verifier.verify(leaf, others)
    except VerificationError as problem:
        if leaf.not_valid_after_utc < at:
            raise IdentityRefused("expired_token", "the certificate's time is over") from None
        raise _invalid(_in_words(str(problem))) from None


@cache
def _profiles() -> tuple[ExtensionPolicy, ExtensionPolicy]:
    """For CAs and for callers: the web's, with EKU required and authorityKeyIdentifier not (OpenSSL before 3.0 wrote
    none; it helps to find a path and proves nothing). A rule set here replaces the library's own for that extension."""
    no_need = x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, None
    for_leaf = ExtensionPolicy.webpki_defaults_ee().may_be_present(*no_need)
    return (
        ExtensionPolicy.webpki_defaults_ca().may_be_present(*no_need),
        for_leaf.require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_use),
    )


def _check_use(policy: Policy, _: x509.Certificate, uses: x509.ExtendedKeyUsage) -> None:
    if policy.extended_key_usage not in uses:
        raise ValueError("no clientAuth")


def _in_words(message: str) -> str:
    # What follows describes the certificate, in the words of whoever made it.
    bare = message.partition(" (encountered processing")[0].removeprefix("validation failed: ")
    return next((words for part, words in _IN_WORDS.items() if part in bare), bare)


def _invalid(reason: str) -> IdentityRefused:
    return IdentityRefused("invalid_token", f"client certificate: {reason}")
