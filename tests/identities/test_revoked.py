"""Who passes no more, before their token's time is over."""

import asyncio
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from identities.certificate import fingerprint
from identities.own_token import mint
from identities.private_file import UnusableKey
from identities.revoked import Revocation, RevokedFile, admit_again, revocations, revoke, revoked_path
from tests.identities.client_certificates import authority, email, person
from tests.identities.minting import token

ANN = Revocation("person", "ann@example.com", 1, "laptop stolen")


def test_whoever_is_revoked_stands_in_the_file_until_they_are_admitted_again(tmp_path: Path) -> None:
    assert revocations(tmp_path) == ()
    assert revoke(tmp_path, ANN) is True
    assert revoke(tmp_path, ANN) is False
    assert revoke(tmp_path, Revocation("token", "t-1", 2)) is True
    assert revocations(tmp_path) == (ANN, Revocation("token", "t-1", 2))
    assert revoked_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert admit_again(tmp_path, "person", "ann@example.com") is True
    assert admit_again(tmp_path, "person", "ann@example.com") is False
    assert admit_again(tmp_path, "person", "t-1") is False
    assert revocations(tmp_path) == (Revocation("token", "t-1", 2),)


def revoke_number(folder: Path, number: int) -> None:
    revoke(folder, Revocation("token", str(number), number))


def test_administrators_who_revoke_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(revoke_number, [tmp_path] * 20, range(20)))
    assert {one.value for one in revocations(tmp_path)} == {str(number) for number in range(20)}


BROKEN = [
    b"",
    b"[]",
    b"{}",
    b'{"revoked": {}}',
    b'{"revoked": ["ann"]}',
    b'{"revoked": [{"kind": "machine", "value": "x", "at": 1, "reason": ""}]}',
    b'{"revoked": [{"kind": "person", "value": 7, "at": 1, "reason": ""}]}',
    b'{"revoked": [], "revoked": []}',
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_file_that_cannot_be_read_stops_the_start_and_is_not_written_over(tmp_path: Path, content: bytes) -> None:
    revoked_path(tmp_path).parent.mkdir()
    revoked_path(tmp_path).write_bytes(content)
    for attempt in (
        lambda: RevokedFile(tmp_path, lambda _: None),
        lambda: revoke(tmp_path, ANN),
        lambda: admit_again(tmp_path, "person", "x"),
    ):
        with pytest.raises(UnusableKey, match=r"revoked\.json"):
            attempt()
    assert revoked_path(tmp_path).read_bytes() == content


async def test_a_running_worker_hears_of_it_and_keeps_what_it_knew_when_the_file_breaks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[list[str]] = []

    def hear(listed: Sequence[Revocation]) -> None:
        heard.append([one.value for one in listed])

    async def until(expected: list[list[str]]) -> None:
        async with asyncio.timeout(10):
            while heard != expected:
                await asyncio.sleep(0.01)

    revoke(tmp_path, ANN)
    one = RevokedFile(tmp_path, hear, look_s=0.02)
    assert heard == [["ann@example.com"]], "before anybody passes"
    await one.start()
    try:
        revoke(tmp_path, Revocation("token", "t-1", 2))
        await until([["ann@example.com"], ["ann@example.com", "t-1"]])
        whole = revoked_path(tmp_path).read_bytes()
        with caplog.at_level(logging.ERROR):
            revoked_path(tmp_path).write_bytes(b"{")
            await asyncio.sleep(0.2)
        assert [record.levelname for record in caplog.records] == ["ERROR"], "said once"
        assert len(heard) == 2, "whoever was revoked stays so"
        revoked_path(tmp_path).write_bytes(whole)
        admit_again(tmp_path, "person", "ann@example.com")
        await until([["ann@example.com"], ["ann@example.com", "t-1"], ["t-1"]])
    finally:
        await one.stop()


# -- the command line -------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, given: str | None = None) -> Result:
    (folder / "config.yaml").write_text(
        f"profile: gateway\ndata_dir: {folder / 'data'}\nidentity:\n  domains: [example.com]\n"
        "  issuers: [{name: own, kind: own_token}]\n",
        encoding="utf-8",
    )
    environment = {"SEKISHO_CONFIG": str(folder / "config.yaml"), "NO_COLOR": "1", "COLUMNS": "200"}
    return CliRunner().invoke(app, ["identity", *arguments], input=given, env=environment)


def listed(folder: Path) -> list[tuple[str, str, str]]:
    lines = run(folder, "revoked", "--json").stdout.splitlines()
    return [(one["kind"], one["value"], one["reason"]) for one in map(json.loads, lines)]


def test_a_person_a_token_or_a_certificate_is_revoked_by_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shown = person(email("ann@example.com"), by=authority())
    held = mint(tmp_path / "data", email="ann@example.com", days=1)
    path = str(shown.written(tmp_path / "ann.pem"))
    assert "The person ann@example.com is revoked" in run(tmp_path, "revoke", "--person", "Ann@Example.com").stderr
    assert run(tmp_path, "revoke", "--certificate", path, "--reason", "laptop 盗難").exit_code == 0
    done = run(tmp_path, "revoke", "--token", "@-", given=f"{held}\n")
    assert (done.exit_code, held in done.output) == (0, False)
    first, second, third = listed(tmp_path)
    assert first == ("person", "ann@example.com", "")
    assert second == ("token", fingerprint(shown.der).hex(), "laptop 盗難")
    assert (third[0], len(third[1])) == ("token", 36)
    assert "laptop 盗難" in run(tmp_path, "revoked").stdout
    assert "was revoked already" in run(tmp_path, "revoke", "--person", "ann@example.com").stderr
    assert "may pass again" in run(tmp_path, "revoke", "--undo", "--person", "ann@example.com").stderr
    assert "was not revoked" in run(tmp_path, "revoke", "--undo", "--person", "ann@example.com").stderr
    assert len(listed(tmp_path)) == 2


def test_identity_test_says_what_the_gate_would_say_to_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    header = f"Authorization: Bearer {mint(tmp_path / 'data', email='ann@example.com', days=1)}\n"
    assert run(tmp_path, "test", "--header", "@-", given=header).exit_code == 0
    run(tmp_path, "revoke", "--person", "ann@example.com")
    refused = run(tmp_path, "test", "--header", "@-", given=header)
    assert refused.exit_code == 1
    assert "For the record: the token or its person is revoked." in refused.stdout


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        ([], None, "one of --person, --token and --certificate"),
        (["--person", "a", "--token", "b"], None, "one of --person, --token and --certificate"),
        (["--person", " "], None, "names nobody"),
        (["--token", token()], None, "Pipe it in"),
        (["--token", "@-"], "sk-1", "no token"),
        (["--token", "@-"], token(), "has no id (jti)"),
    ],
)
def test_wrong_use_revokes_nobody_and_says_no_token_again(
    tmp_path: Path, arguments: list[str], given: str | None, said: str
) -> None:
    done = run(tmp_path, "revoke", *arguments, given=given)
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert token() not in done.output
    assert "Nobody is revoked." in run(tmp_path, "revoked").stderr
