"""What stands in an authority's certificate, and what is said of one that cannot be used."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from mitmproxy.certs import CertStore

from certificates.authority import UnusableAuthority, covers, hosts_of, make_authority, pem_of, read_authority
from certificates.folder import AuthorityFolder
from tests.certificates.authorities import NOW, limited_to, unlimited


@pytest.mark.parametrize(("place", "path_length"), [(0, 0), (1, 1)], ids=["signing", "root"])
def test_it_may_sign_leaves_for_servers_of_its_hosts_only_for_two_years(place: int, path_length: int) -> None:
    made = limited_to("api.openai.com").chain[place]
    extension = made.extensions.get_extension_for_class

    assert isinstance(made.public_key(), ec.EllipticCurvePublicKey)
    assert extension(x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=path_length)
    assert extension(x509.NameConstraints).critical
    assert made.not_valid_after_utc - NOW.replace(microsecond=0) == timedelta(days=730)


@pytest.mark.parametrize(
    ("hosts", "asked", "answer"),
    [
        (["api.openai.com"], "api.openai.com", True),
        (["api.openai.com"], "eu.api.openai.com", True),
        (["api.openai.com"], "openai.com", False),
        (["api.openai.com"], "evilapi.openai.com", False),
        (["api.openai.com", "api.anthropic.com"], "api.anthropic.com", True),
        ([], "api.openai.com", False),
        (None, "bank.example", True),
    ],
)
def test_it_covers_its_hosts_and_all_below_them(hosts: list[str] | None, asked: str, answer: bool) -> None:
    made = make_authority(hosts, node="関所", now=NOW)
    assert covers(made.certificate, asked) is answer
    assert hosts_of(made.certificate) == (None if hosts is None else tuple(sorted(hosts)))


def test_mitmproxy_signs_with_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    data_dir = tmp_path_factory.mktemp("data")
    folder = AuthorityFolder(data_dir)
    folder.keep_first(limited_to("api.openai.com"))
    store = CertStore.from_store(folder.path, "mitmproxy", 2048)
    leaf = store.get_cert("api.openai.com", [x509.DNSName("api.openai.com")]).cert.to_cryptography()

    current = folder.current()
    assert current is not None
    leaf.verify_directly_issued_by(current.certificate)


def test_nothing_can_sign_as_the_root_again() -> None:
    made = limited_to("api.openai.com")
    made.certificate.verify_directly_issued_by(made.root)
    assert made.root.public_key() != made.key.public_key()


def _certificate_alone() -> bytes:
    return pem_of(unlimited().chain)


def _of_two() -> bytes:
    return unlimited().pem.split(b"-----BEGIN CERT")[0] + _certificate_alone()


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (b"", "cannot be read"),
        (_certificate_alone(), "cannot be read"),
        (_of_two(), "a key that is not its first certificate's"),
    ],
    ids=["empty", "no key", "of two"],
)
def test_what_is_no_authority_is_said_with_the_remedy(pem: bytes, said: str) -> None:
    with pytest.raises(UnusableAuthority, match=f"the.pem.*{said}.*make a new CA: sekisho ca init"):
        read_authority(pem, "the.pem")
