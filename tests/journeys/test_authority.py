"""The CA of a running instance is replaced without a restart, and without a caller who fails."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certificates.authority import Authority
from certificates.folder import AuthorityFolder
from tests.journeys.forwarding import HOST, ForwardInstance
from tests.journeys.provider import Provider


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[ForwardInstance]:
    with Provider() as provider, ForwardInstance(tmp_path, provider.url) as instance:
        yield instance


def signs(instance: ForwardInstance, authority: Authority, trusted: ssl.SSLContext) -> bool:
    """Did this authority sign what a caller is shown, who trusts these?"""
    knocked, _ = instance.knocks(f"{HOST}:443")
    with trusted.wrap_socket(knocked, server_hostname=HOST) as secured:
        shown = secured.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).issuer == authority.certificate.subject


def ca(instance: ForwardInstance, *arguments: str) -> None:
    done = instance.sekisho("ca", *arguments)
    assert done.returncode == 0, done.stderr


def test_the_next_ca_signs_after_a_switch_and_who_was_told_of_both_does_not_notice(laptop: ForwardInstance) -> None:
    folder = AuthorityFolder(laptop.data_dir)
    old = folder.current()
    ca(laptop, "rotate")
    new = folder.next()
    assert old is not None
    assert new is not None
    told = laptop.trusting()
    assert signs(laptop, old, told)

    ca(laptop, "rotate", "--switch")
    laptop.wait_until(lambda: signs(laptop, new, told))

    stale = ssl.create_default_context()
    stale.load_verify_locations(cadata=old.root.public_bytes(Encoding.DER))
    with pytest.raises(ssl.SSLCertVerificationError):
        signs(laptop, new, stale)


def test_a_damaged_ca_changes_nothing_for_those_who_call(laptop: ForwardInstance) -> None:
    folder = AuthorityFolder(laptop.data_dir)
    old = folder.current()
    assert old is not None
    told = laptop.trusting()
    folder.signing.write_text("???", encoding="utf-8")
    laptop.wait_until(lambda: "the former one signs on" in laptop.log.read_text(encoding="utf-8"))
    assert signs(laptop, old, told)
