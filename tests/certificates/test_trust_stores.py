"""The commands that put an authority into a real store and take it out again."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from certificates.authority import pem_of
from certificates.trust_stores import AnchorFolder, NssDatabase, TrustStore, stores_here
from tests.certificates.authorities import limited_to, unlimited

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def debian(folder: Path) -> AnchorFolder:
    """Debian's own program on folders of a test's own."""
    for name in ("local", "etc", "hooks"):
        (folder / name).mkdir()
    (folder / "conf").touch()
    (folder / "local" / "another.crt").write_bytes(pem_of([unlimited().root]))  # it writes no empty bundle
    refresh = ("update-ca-certificates", "--localcertsdir", folder / "local", "--etccertsdir", folder / "etc",
               "--certsconf", folder / "conf", "--hooksdir", folder / "hooks")  # fmt: skip
    return AnchorFolder("Debian", folder / "local", tuple(map(str, refresh)), ("--fresh",))


def nss(folder: Path) -> NssDatabase:
    database = folder / "nss"
    database.mkdir()
    subprocess.run(["certutil", "-N", "-d", f"sql:{database}", "--empty-password"], check=True, capture_output=True)
    return NssDatabase("Firefox", database)


@pytest.mark.parametrize(("made", "program"), [(debian, "update-ca-certificates"), (nss, "certutil")])
def test_an_authority_is_put_in_and_taken_out(made: Callable[[Path], TrustStore], program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    store = made(tmp_path)
    ours, other = limited_to("api.openai.com").root, limited_to("api.openai.com").root
    file = tmp_path / "ours.crt"
    file.write_bytes(pem_of([ours]))

    assert not store.has(ours)
    for command in store.adding(ours, file):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert store.has(ours)
    assert not store.has(other)
    if isinstance(store, AnchorFolder):
        assert pem_of([ours]).strip() in (tmp_path / "etc" / "ca-certificates.crt").read_bytes()

    for command in store.removing(ours):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert not store.has(ours)
    if isinstance(store, AnchorFolder):
        assert pem_of([ours]).strip() not in (tmp_path / "etc" / "ca-certificates.crt").read_bytes()


@pytest.mark.parametrize(
    ("platform", "installed", "names"),
    [
        ("linux", {"update-ca-certificates", "certutil"}, ["Debian", "Chromium", "Firefox, abc.default"]),
        ("linux", {"update-ca-certificates"}, ["Debian"]),
        ("linux", set(), []),
        ("darwin", {"certutil"}, ["macOS system keychain", "Chromium", "Firefox, abc.default"]),
    ],
)
def test_only_stores_that_can_be_changed_are_named(
    tmp_path: Path, platform: str, installed: set[str], names: list[str]
) -> None:
    for database in (".pki/nssdb", ".mozilla/firefox/abc.default"):
        (tmp_path / database).mkdir(parents=True)
        (tmp_path / database / "cert9.db").touch()
    found = stores_here(
        platform=platform,
        home=tmp_path,
        linux=(
            AnchorFolder("Debian", tmp_path, ("update-ca-certificates",)),
            AnchorFolder("Fedora", tmp_path, ("no",)),
        ),
        which=lambda program: program if program in installed else None,
    )
    assert [each.name for each in found] == names
