"""TLS towards upstreams by the `ssl` module: verification on, sessions taken up again."""

import ssl
import sys
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from mitmproxy import certs
from mitmproxy.connection import Connection


class ResumingContext(ssl.SSLContext):
    """Offers a host's last session in the next handshake (RFC 8446 §2.2): one round trip and a signature less.

    Event loops make their TLS objects by `wrap_bio` and have no parameter for a session, so it is put in here.
    """

    _sessions: dict[str, ssl.SSLSession]

    def remember(self, host: str, secured: ssl.SSLObject | ssl.SSLSocket) -> None:
        """To be called once data came: TLS 1.3 tickets arrive after the handshake."""
        session = secured.session
        if session is not None and session.has_ticket:
            self.__dict__.setdefault("_sessions", {})[host] = session

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        if session is None and isinstance(server_hostname, str):
            session = self.__dict__.get("_sessions", {}).get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def verifying(cafile: str | None = None) -> ResumingContext:
    """A client's context: certificate and name verified, TLS 1.2 or later, HTTP/1.1 by ALPN. `cafile` adds a CA."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if cafile is not None:
        context.load_verify_locations(cafile)
    context.set_alpn_protocols(["http/1.1"])
    return context


class UnreadableCertificate(ValueError):  # noqa: N818 - says what is wrong
    """A peer's chain holds a certificate that OpenSSL took and cryptography cannot read."""


def describe(connection: Connection, secured: Any) -> None:
    """Fill in what mitmproxy tells addons about a connection's TLS. `secured`: the transport's `ssl_object`.

    Raises:
        UnreadableCertificate: left out, it would look like a connection on which none was shown.
    """
    connection.tls = True
    alpn = secured.selected_alpn_protocol()
    connection.alpn = alpn.encode() if alpn else None
    cipher = secured.cipher()
    connection.cipher = cipher[0] if cipher else None
    connection.tls_version = secured.version()
    try:
        connection.certificate_list = [certs.Cert(x509.load_der_x509_certificate(der)) for der in _chain(secured)]
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm) as cannot:
        raise UnreadableCertificate from cannot


def _chain(secured: Any) -> list[bytes]:
    """What the peer sent, in DER, its own certificate first."""
    own: bytes | None = secured.getpeercert(binary_form=True)
    if own is None:
        return []
    # Before 3.13 `ssl` gives the peer's own certificate and no intermediates.
    return list(secured.get_unverified_chain()) if sys.version_info >= (3, 13) else [own]
