"""`sekisho doctor` finds what is broken, and says what to type."""

import json
import shlex
import shutil
import socket
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

import cli.status
from certificates.authority import make_authority, pem_of
from certificates.bundle import client_files, system_roots
from certificates.folder import AuthorityFolder
from cli.checkup import may_lose_commits
from tests.cli.conftest import Desk
from tests.cli.records import chat
from tests.journeys.provider import Answer, Provider

FORWARD = "listen: [{address: '127.0.0.1:1'}, {address: '127.0.0.1:2', mode: forward}]\n"


@pytest.fixture
def forward(desk: Desk) -> Desk:
    with desk.config.open("a", encoding="utf-8") as file:
        file.write(FORWARD)
    assert desk.sekisho("ca", "init").exit_code == 0
    return desk


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with Python, and curl where it is installed, alone: others take seconds each."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python3").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    (folder / "python3").chmod(0o755)
    for program in ("curl", "openssl"):
        if found := shutil.which(program):
            (folder / program).symlink_to(found)
    return folder


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """How full the disk of this machine is must not decide what is found."""
    monkeypatch.setattr(cli.status, "_disk_free", lambda _: 0.5)


def test_a_disk_that_fills_is_found_before_it_is_full(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signs(desk, 0)[f"50 % of the disk under {desk.data_dir} is free"]["state"] == "well"
    monkeypatch.setattr(cli.status, "_disk_free", lambda _: 0.09)
    assert signs(desk, 1)[f"9 % of the disk under {desk.data_dir} is free"]["state"] == "wrong"


def signs(desk: Desk, code: int, **environment: str) -> dict[str, dict[str, Any]]:
    """What was found, by its first words."""
    done = desk.sekisho("doctor", "--json", **environment)
    assert done.exit_code == code, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["well"] is (code == 0)
    return {each["what"].split(":")[0]: each for each in found["findings"]}


def trusting(programs: Path, bundle: Path) -> dict[str, str]:
    """An environment whose programs trust these authorities and no other."""
    named = dict.fromkeys(["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"], str(bundle))
    return {"PATH": str(programs), "SSL_CERT_DIR": "/none", **named}


def test_a_bundle_with_our_ca_is_well_and_one_without_is_found(forward: Desk, programs: Path, tmp_path: Path) -> None:
    bundle = client_files(AuthorityFolder(forward.data_dir)).bundle
    environment = trusting(programs, bundle)
    found = signs(forward, 0, **environment)
    assert "Python ssl trusts the CA" in found
    assert "Node is not installed" in found
    if (programs / "openssl").exists():  # judged without the variables, and whoever sets them can do without
        assert found["system store (OpenSSL) does not trust the CA"]["state"] == "note"

    # What a bundle becomes when somebody makes it anew from the machine's authorities.
    broken = tmp_path / "broken.pem"
    broken.write_bytes(system_roots()[0].read_bytes())
    found = signs(forward, 1, **{**environment, "SSL_CERT_FILE": str(broken)})
    assert found["Python ssl does not trust the CA"]["state"] == "wrong"
    assert found["Python ssl does not trust the CA"]["advice"] == 'Type: eval "$(sekisho env python)"'
    if (programs / "curl").exists():
        assert "curl trusts the CA" in found


def test_a_java_without_a_compiler_is_not_taken_for_one_that_distrusts_us(forward: Desk, programs: Path) -> None:
    java = shutil.which("java")
    if java is None:
        pytest.skip("java is not installed")
    (programs / "java").write_text(f'#!/bin/sh\nexec {java} --limit-modules java.base "$@"\n', encoding="utf-8")
    (programs / "java").chmod(0o755)
    environment = trusting(programs, client_files(AuthorityFolder(forward.data_dir)).bundle)
    found = signs(forward, 0, **environment)["Java could not be asked"]
    assert found["state"] == "note"
    assert "without a compiler" in found["what"]


def test_a_bundle_with_a_former_ca_alone_is_found(forward: Desk, programs: Path, tmp_path: Path) -> None:
    folder = AuthorityFolder(forward.data_dir)
    old = tmp_path / "old.pem"
    old.write_bytes(pem_of(folder.roots()))
    environment = trusting(programs, old)
    signs(forward, 0, **environment)
    forward.sekisho("ca", "init", "--force")
    assert "Python ssl does not trust the CA" in signs(forward, 1, **environment)


def test_a_ca_that_ends_soon_or_does_not_cover_a_host_is_not_well(desk: Desk) -> None:
    with desk.config.open("a", encoding="utf-8") as file:
        file.write(FORWARD)
    hosts = ["api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com"]
    folder = AuthorityFolder(desk.data_dir)
    folder.keep_first(make_authority(hosts, node="x", now=datetime.now(UTC), days=12))
    assert "expires in 12 days" in desk.sekisho("doctor", "--no-clients").stdout
    assert "expires in 12 days" in desk.sekisho("status").stdout
    folder.keep_instead(make_authority(hosts[:1], node="x", now=datetime.now(UTC)))
    said = desk.sekisho("doctor", "--no-clients")
    assert (said.exit_code, "may not sign for api.anthropic.com" in said.stdout) == (1, True)


def test_a_clock_that_went_back_is_found(desk: Desk) -> None:
    desk.store(chat("a", "b"))
    record = sqlite3.connect(desk.data_dir / "audit.db")
    later = (datetime.now(UTC) + timedelta(hours=1)).timestamp()
    with record:
        record.execute("update exchange set started_at = ?", (int(later * 1e6),))
    record.close()
    said = desk.sekisho("doctor")
    assert (said.exit_code, "s in the future" in said.stdout, "NTP" in said.stdout) == (1, True, True)


@pytest.mark.parametrize(
    ("off_s", "code", "said"),
    [
        (0, 0, "this machine's clock and openai's agree"),
        (-120, 1, "s ahead of openai's"),
        (120, 1, "s behind openai's"),
    ],
)
def test_the_clock_is_compared_with_the_providers_when_asked_to(desk: Desk, off_s: int, code: int, said: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=off_s), usegmt=True)
    with Provider() as provider:
        provider.answer = Answer(status=401, fields=(("date", date),), sized=True)
        with desk.config.open("a", encoding="utf-8") as file:
            file.write(f"providers: {{openai: {{upstream: '{provider.url}'}}}}\n")
        assert desk.sekisho("doctor").exit_code == 0
        assert provider.received == []
        done = desk.sekisho("doctor", "--online")
        assert (done.exit_code, said in done.stdout) == (code, True), done.stdout
        assert [each.method for each in provider.received] == ["HEAD"]
    done = desk.sekisho("doctor", "--online")
    assert (done.exit_code, "is not reached: Connection refused" in done.stdout) == (1, True), done.stdout


def test_a_port_that_nobody_answers_on_is_found(desk: Desk) -> None:
    from cli.checkup import processes
    from cli.status import Status
    from settings.reading import parse_settings

    with socket.create_server(("127.0.0.1", 0)) as open_:
        port = open_.getsockname()[1]
        settings = parse_settings(
            f"listen: [{{address: '127.0.0.1:{port}'}}, {{address: '127.0.0.1:1'}}]\nworkers: 2\n"
        )
        found = Status(True, True, 1, 0, 0, 0, 0.0, None, 0.5, [], [])
        said = {sign.what.split(":")[0]: sign.state for sign in processes(settings, found)}
        states = [sign.state for sign in processes(settings, found)]
    assert "1 of 2 workers run" in said
    assert states == ["wrong", "well", "wrong", "well", "well"]


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False),
        ((3, 50, 6), True), ((3, 50, 7), False), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 53, 4), False),
    ],
)  # fmt: skip
def test_sqlite_with_the_wal_reset_bug_is_known(version: tuple[int, int, int], affected: bool) -> None:
    assert may_lose_commits(version) is affected
