"""Where authorities are kept, and how one follows another."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from certificates.authority import UnusableAuthority
from certificates.folder import AuthorityFolder
from tests.certificates.authorities import limited_to


def trusted(folder: AuthorityFolder) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(folder.trusted.read_bytes())


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path)
    folder.keep_first(limited_to("a.example"))
    assert folder.signing.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in folder.trusted.read_bytes()


def test_of_several_that_start_at_once_the_first_ones_authority_is_everybodys(tmp_path: Path) -> None:
    first, second = limited_to("a.example"), limited_to("a.example")
    assert AuthorityFolder(tmp_path).keep_first(first).root == first.root
    assert AuthorityFolder(tmp_path).keep_first(second).root == first.root


def test_the_next_is_trusted_before_it_signs_and_the_former_after(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path)
    old, new = limited_to("a.example"), limited_to("a.example")
    folder.keep_first(old)

    folder.keep_next(new, None)
    assert _root(folder) == old.root
    assert trusted(folder) == [old.root, new.root]

    folder.switch()
    assert _root(folder) == new.root
    assert trusted(folder) == [new.root, old.root]
    assert folder.next() is None
    assert all(old.pem not in path.read_bytes() for path in folder.path.iterdir()), "the old key is gone"


def test_an_expired_former_one_is_no_longer_among_what_is_trusted(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path)
    folder.keep_first(limited_to("a.example", days=-0.5))
    folder.keep_next(limited_to("a.example"), None)
    folder.switch()
    assert trusted(folder) == [_root(folder)]
    assert len(folder.former()) == 1


def test_a_next_one_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path)
    folder.keep_first(limited_to("a.example"))
    folder.keep_next(limited_to("a.example"), datetime(2027, 1, 31, tzinfo=UTC))
    assert folder.switch_at() == datetime(2027, 1, 31, tzinfo=UTC)
    folder.give_up_next()
    assert (folder.next(), folder.switch_at()) == (None, None)
    assert trusted(folder) == [_root(folder)]


@pytest.mark.parametrize(
    ("name", "asked"),
    [("next-ca.from", "switch_at"), ("former-ca-certs.pem", "former"), ("mitmproxy-ca.pem", "current")],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, asked: str) -> None:
    folder = AuthorityFolder(tmp_path)
    folder.path.mkdir()
    (folder.path / name).write_text("???", encoding="utf-8")
    with pytest.raises(UnusableAuthority, match=name):
        getattr(folder, asked)()


def _root(folder: AuthorityFolder) -> x509.Certificate:
    found = folder.current()
    assert found is not None
    return found.root
