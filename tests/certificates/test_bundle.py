"""The machine's authorities and ours in one file, as clients of every kind read it."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from certificates.authority import pem_of
from certificates.bundle import JAVA_PASSWORD, NoSystemRoots, client_files, system_roots, together
from certificates.folder import AuthorityFolder
from tests.certificates.authorities import limited_to, unlimited


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine that trusts two authorities."""
    path = tmp_path / "system.pem"
    path.write_bytes(b"# a comment\n" + pem_of([unlimited().root, unlimited().root]))
    return path


def test_both_are_in_the_bundle_once(tmp_path: Path, machine: Path) -> None:
    folder = AuthorityFolder(tmp_path)
    ours = folder.keep_first(limited_to("a.example")).root
    files = client_files(folder, machine)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.bundle)
    assert context.cert_store_stats()["x509_ca"] == 3
    assert files.ours.read_bytes() == pem_of([ours])
    assert client_files(folder, files.bundle).bundle.read_bytes().count(b"BEGIN") == 3


def test_java_reads_its_trust_store(tmp_path: Path, machine: Path) -> None:
    if shutil.which("keytool") is None:
        pytest.skip("keytool is not installed")
    folder = AuthorityFolder(tmp_path)
    folder.keep_first(limited_to("a.example"))
    listed = subprocess.run(
        ["keytool", "-list", "-keystore", client_files(folder, machine).java, "-storepass", JAVA_PASSWORD],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert listed.stdout.count("trustedCertEntry") == 3, listed.stdout + listed.stderr


def test_the_machines_authorities_need_not_be_without_fault(tmp_path: Path) -> None:
    _, here = system_roots()
    assert len(together([limited_to("a.example").root], here)) == len(set(here)) + 1


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"nothing", "it holds no certificates")])
def test_a_file_that_is_none_is_said_with_the_remedy(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NoSystemRoots, match=f"roots.pem: {said}.*--roots FILE"):
        system_roots(path)
