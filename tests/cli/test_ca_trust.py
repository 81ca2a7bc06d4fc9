"""`sekisho ca install | uninstall | bundle`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from certificates.trust_stores import AnchorFolder
from tests.cli.conftest import Desk


@pytest.fixture
def store(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AnchorFolder:
    """The one trust store of this machine: a folder, and a command that does nothing."""
    folder = desk.folder / "anchors"
    folder.mkdir()
    found = AnchorFolder("Test", folder, ("true",), needs_root=False)
    monkeypatch.setattr("certificates.trust_stores.stores_here", lambda: [found])
    desk.sekisho("ca", "init")
    return found


def test_what_is_installed_is_shown_and_can_be_taken_out_again(desk: Desk, store: AnchorFolder) -> None:
    done = desk.sekisho("ca", "install", "--yes")
    assert done.exit_code == 0, done.stderr
    assert "install -m 644" in done.stderr
    assert len(list(store.folder.iterdir())) == 1
    assert "trusted   Test" in desk.sekisho("ca", "show").stdout
    assert "trusts the CA already" in desk.sekisho("ca", "install").stderr

    done = desk.sekisho("ca", "uninstall", "--yes")
    assert done.exit_code == 0, done.stderr
    assert list(store.folder.iterdir()) == []


def test_the_next_one_is_installed_beside_the_one_that_signs(desk: Desk, store: AnchorFolder) -> None:
    desk.sekisho("ca", "rotate")
    desk.sekisho("ca", "install", "--yes")
    assert len(list(store.folder.iterdir())) == 2
    desk.sekisho("ca", "rotate", "--switch")
    assert desk.sekisho("ca", "show").stdout.count("trusted   Test") == 2
    desk.sekisho("ca", "uninstall", "--yes")
    assert list(store.folder.iterdir()) == []


def test_nothing_is_done_when_nobody_can_be_asked(desk: Desk, store: AnchorFolder) -> None:
    done = desk.sekisho("ca", "install")
    assert (done.exit_code, "Give --yes" in done.stderr) == (1, True)
    assert list(store.folder.iterdir()) == []


def test_a_store_that_did_not_take_it_is_an_error(
    desk: Desk, store: AnchorFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certificates.trust_stores.AnchorFolder.has", lambda *_: False)
    done = desk.sekisho("ca", "install", "--yes")
    assert (done.exit_code, "Test does not have the CA after all" in done.stderr) == (1, True)


def test_a_command_that_fails_is_named_with_what_it_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    found = AnchorFolder("Test", desk.folder / "missing", ("true",), needs_root=False)
    monkeypatch.setattr("certificates.trust_stores.stores_here", lambda: [found])
    desk.sekisho("ca", "init")
    done = desk.sekisho("ca", "install", "--yes")
    assert done.exit_code == 1
    assert "Test: install -m 644" in done.stderr
    assert "No such file or directory" in done.stderr


def test_without_root_the_lines_for_sudo_are_printed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(
        "certificates.trust_stores.stores_here", lambda: [AnchorFolder("Debian", tmp_path, ("update-ca-certificates",))]
    )
    desk.sekisho("ca", "init")
    done = desk.sekisho("ca", "install", "--yes")
    assert done.exit_code == 1
    assert "sudo install -m 644" in done.stderr
    assert "sudo update-ca-certificates" in done.stderr
    assert "Run the lines with sudo yourself for: Debian" in done.stderr


def test_a_machine_without_a_store_is_told_what_to_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certificates.trust_stores.stores_here", list)
    desk.sekisho("ca", "init")
    done = desk.sekisho("ca", "install")
    assert (done.exit_code, "sekisho env" in done.stderr) == (1, True)


def test_the_bundle_is_what_openssl_trusts(desk: Desk) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    desk.sekisho("ca", "init")
    file = desk.folder / "bundle.pem"
    done = desk.sekisho("ca", "bundle", "-o", str(file))
    assert done.exit_code == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o644
    ours = desk.data_dir / "mitmproxy" / "mitmproxy-ca-cert.pem"
    subprocess.run(["openssl", "verify", "-CAfile", file, ours], check=True, capture_output=True)
