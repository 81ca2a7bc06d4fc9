"""Certificates of our own for opened hosts: strict clients take them, for just that host."""

import datetime
import ssl

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certificates.authority import Authority, make_authority
from lanes.mitm.leaves import Leaves

HOSTS = ("api.openai.com", "api.anthropic.com")


def authority(days: float = 100, hosts: tuple[str, ...] | None = HOSTS) -> Authority:
    return make_authority(hosts, node="test", now=datetime.datetime.now(datetime.UTC), days=days)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """In memory. Raises what the client raises."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there, server_hostname=host)
    answering = server.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return asking


def strict(trusted: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=trusted.root.public_bytes(Encoding.DER))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["h2"])
    return context


def test_a_strict_client_takes_a_certificate_for_just_the_host() -> None:
    made = authority()
    leaves = Leaves(made)
    agreed = handshake(leaves.context("api.openai.com"), strict(made), "api.openai.com")
    shown = agreed.getpeercert() or {}
    assert shown["subjectAltName"] == (("DNS", "api.openai.com"),)
    assert agreed.selected_alpn_protocol() == "h2"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(leaves.context("api.openai.com"), strict(made), "api.anthropic.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(leaves.context("bank.example.com"), strict(made), "bank.example.com")


def test_a_certificate_is_made_once_and_never_outlives_the_ca() -> None:
    made = authority(days=5)
    leaves = Leaves(made)
    assert leaves.context("api.openai.com") is leaves.context("api.openai.com")
    shown = handshake(leaves.context("api.openai.com"), strict(made), "api.openai.com").getpeercert() or {}
    assert ssl.cert_time_to_seconds(str(shown["notAfter"])) <= made.certificate.not_valid_after_utc.timestamp()


def test_a_long_name_has_its_certificate() -> None:
    host = "a" * 60 + ".example.com"
    made = authority(hosts=None)
    shown = handshake(Leaves(made).context(host), strict(made), host).getpeercert() or {}
    assert shown["subjectAltName"] == (("DNS", host),)
