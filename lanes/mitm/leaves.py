"""The certificates that forward mode shows: one for each opened host, signed by our CA."""

import datetime
import ssl
import tempfile
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certificates.authority import Authority, pem_of

_DAYS: Final = 30
_RENEW: Final = datetime.timedelta(days=1)
_SKEW: Final = datetime.timedelta(days=2)  # clocks of callers may be behind


class Leaves:
    """TLS contexts by host, each with a certificate for just that name. One key for all of a worker's, in memory."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: dict[str, tuple[datetime.datetime, ssl.SSLContext]] = {}

    def sign_with(self, authority: Authority) -> bool:
        """From now on this one signs; certificates that the former one signed are not shown to new connections.

        Returns:
            Whether it is another than before.
        """
        if authority.certificate == self._authority.certificate:
            return False
        self._authority = authority
        self._contexts.clear()
        return True

    def context(self, host: str) -> ssl.SSLContext:
        """For the server's side of a handshake: TLS 1.2 or later, HTTP/2 and HTTP/1.1 by ALPN. Made within some
        milliseconds for a host that is new, renewed before it runs out."""
        now = datetime.datetime.now(datetime.UTC)
        known = self._contexts.get(host)
        if known is not None and now < known[0]:
            return known[1]
        leaf, until = self._leaf(host, now)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_alpn_protocols(["h2", "http/1.1"])
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # `ssl` takes nothing but files
            file.write(self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.write(pem_of([leaf, *self._authority.chain]))
            file.flush()
            made.load_cert_chain(file.name)
        self._contexts[host] = (until - _RENEW, made)
        return made

    def _leaf(self, host: str, now: datetime.datetime) -> tuple[x509.Certificate, datetime.datetime]:
        issuer = self._authority.certificate
        until = min(now + datetime.timedelta(days=_DAYS), issuer.not_valid_after_utc)
        try:
            known_as = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            issued_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known_as)
        except x509.ExtensionNotFound:
            issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority.key.public_key())
        named = [x509.NameAttribute(NameOID.COMMON_NAME, host)] if len(host) < 64 else []
        usage = dict.fromkeys(
            ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
             "crl_sign", "encipher_only", "decipher_only"], False,
        )  # fmt: skip
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(named))
            .issuer_name(issuer.subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - _SKEW, issuer.not_valid_before_utc))
            .not_valid_after(until)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=not named)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(issued_by, critical=False)
            .sign(self._authority.key, hashes.SHA256())
        )
        return leaf, until
