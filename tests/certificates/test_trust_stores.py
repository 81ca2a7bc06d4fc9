"""The commands that put an authority into a real store and take it out again."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from certificates.authority import pem_of
from certificates.bundle import JAVA_PASSWORD
from certificates.trust_stores import AnchorFolder, JavaStore, NssDatabase, TrustStore, stores_here
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


def java(folder: Path) -> JavaStore:
    """A Java of a test's own: the machine's, with a store that trusts one authority. As Java 18 and later bring theirs,
    without a password: one that is not read without it would trust nobody."""
    home, another = folder / "java", folder / "another.crt"
    (home / "lib" / "security").mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "bin" / "keytool").symlink_to(str(shutil.which("keytool")))
    another.write_bytes(pem_of([unlimited().root]))
    bare = ("-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE", "-J-Dkeystore.pkcs12.macAlgorithm=NONE")
    subprocess.run(
        [home / "bin" / "keytool", *bare, "-importcert", "-noprompt", "-alias", "another", "-file", another,
         "-keystore", home / "lib/security/cacerts", "-storetype", "PKCS12", "-storepass", JAVA_PASSWORD],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return JavaStore("Java", home)


@pytest.mark.parametrize(
    ("made", "program"), [(debian, "update-ca-certificates"), (nss, "certutil"), (java, "keytool")]
)
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


def test_what_debian_put_into_javas_store_is_taken_out_there_too(tmp_path: Path) -> None:
    """Its own hook adds, and leaves what is gone."""
    if shutil.which("keytool") is None:
        pytest.skip("keytool is not installed")
    cacerts = java(tmp_path).home / "lib/security/cacerts"
    folder = AnchorFolder("Debian", tmp_path, ("true",), java=cacerts)
    ours, file = limited_to("api.openai.com").root, tmp_path / "ours.crt"
    file.write_bytes(pem_of([ours]))
    reading = ["keytool", "-keystore", str(cacerts), "-storepass", JAVA_PASSWORD]
    for command in folder.adding(ours, file):
        subprocess.run(command, check=True, capture_output=True)
    assert not [each for each in folder.removing(ours) if each[0] == "keytool"], "it is not there yet"
    (kept,) = tmp_path.glob("sekisho-*.crt")
    alias = f"debian:{kept.stem}.pem"  # as the hook of ca-certificates-java calls it
    subprocess.run(
        [*reading, "-importcert", "-noprompt", "-alias", alias, "-file", file], check=True, capture_output=True
    )  # fmt: skip
    for command in folder.removing(ours):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    listed = subprocess.run([*reading, "-list"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert alias not in listed
    assert listed.count("trustedCertEntry") == 1, "the other one stays"


def test_javas_store_is_read_without_a_password_afterwards(tmp_path: Path) -> None:
    """Java opens its own so; what it cannot read, it takes for empty."""
    if shutil.which("keytool") is None:
        pytest.skip("keytool is not installed")
    store, ours, file = java(tmp_path), limited_to("api.openai.com").root, tmp_path / "ours.crt"
    file.write_bytes(pem_of([ours]))
    for command in store.adding(ours, file):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    listed = subprocess.run(
        [store.home / "bin" / "keytool", "-list", "-keystore", store.home / "lib/security/cacerts"],
        input="\n", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert listed.stdout.count("trustedCertEntry") == 2, listed.stdout


@pytest.mark.parametrize("by", ["command", "JAVA_HOME"])
@pytest.mark.parametrize("own", [True, False], ids=["a store of its own", "the system's"])
def test_a_java_is_named_where_it_keeps_a_store_of_its_own(tmp_path: Path, own: bool, by: str) -> None:
    home, store = tmp_path / "jdk", tmp_path / "jdk/lib/security/cacerts"
    store.parent.mkdir(parents=True)
    (home / "bin").mkdir()
    for program in ("java", "keytool"):
        (home / "bin" / program).touch()
    (tmp_path / "cacerts").touch()
    store.touch() if own else store.symlink_to(tmp_path / "cacerts")
    (tmp_path / "java").symlink_to(home / "bin" / "java")
    found = stores_here(
        platform="linux",
        linux=(),
        which={"java": str(tmp_path / "java")}.get if by == "command" else lambda _: None,
        environment={"JAVA_HOME": str(home)} if by == "JAVA_HOME" else {},
    )
    assert found == ([JavaStore(f"Java, {home}", home, needs_root=False)] if own else [])


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
        environment={},
    )
    assert [each.name for each in found] == names
