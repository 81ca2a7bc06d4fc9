"""`sekisho seal`, and what the other commands say of what is sealed."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.storage.sealing.conftest import ANSWER, QUESTION, Place, sealed, told


@pytest.fixture
def place(desk: Desk) -> Place:
    found = sealed(desk.folder)
    found.write(told(), told())
    settings(desk, "seal: {key: {file: KEYS/master.key}}")
    return found


def settings(desk: Desk, storage: str) -> None:
    written = storage.replace("KEYS", str(desk.folder))
    desk.config.write_text(f"data_dir: {desk.data_dir}\nstorage:\n  {written}\n", encoding="utf-8")


def test_a_new_key_can_be_used_and_no_two_are_the_same(desk: Desk) -> None:
    first, second = desk.sekisho("seal", "new-key").stdout, desk.sekisho("seal", "new-key").stdout
    assert first != second
    (desk.folder / "mine.key").write_text(first, encoding="ascii")
    settings(desk, "seal: {key: {file: KEYS/mine.key}}")

    assert desk.sekisho("check").exit_code == 0


def test_with_the_key_everything_is_shown(desk: Desk, place: Place) -> None:
    id_ = place.records()[0]["id"]

    assert QUESTION[:20] in desk.sekisho("show", id_).stdout
    assert ANSWER in desk.sekisho("show", id_, "--raw", "response").stdout
    assert len(desk.sekisho("search", "顧客名簿", "--json").stdout.splitlines()) == 2
    assert len(desk.sekisho("export").stdout.splitlines()) == 2
    assert len(desk.sekisho("tail", "--no-follow", "--json").stdout.splitlines()) == 2
    assert "holds over 2 records" in desk.sekisho("verify").stdout


@pytest.mark.parametrize(
    ("storage", "says"),
    [
        ("flush_after: 1 s", "is sealed, and storage.seal is not set"),
        ("seal: {key: {env: SEKISHO_NO_SUCH_KEY}}", "SEKISHO_NO_SUCH_KEY, which is not set"),
        ("seal: {key: {file: KEYS/other.key}}", "storage.seal.key is not the key that this is sealed with"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["show", "ID"], ["show", "ID", "--json"], ["show", "ID", "--raw", "request"], ["search", "顧客名簿"],
        ["search", "user:ann@example.com"], ["export"], ["tail", "--no-follow"], ["replay", "ID"],
    ],
)  # fmt: skip
def test_without_the_right_key_nothing_reads(
    desk: Desk, place: Place, command: list[str], storage: str, says: str
) -> None:
    sealed(desk.folder, key="other.key")
    id_ = place.records()[0]["id"]
    settings(desk, storage)
    done = desk.sekisho(*[id_ if word == "ID" else word for word in command])

    assert done.exit_code == 1
    assert says in done.stderr.replace("\n", " ")
    assert done.stdout == ""


def test_verify_checks_the_chain_without_the_key_and_says_what_it_left_out(desk: Desk, place: Place) -> None:
    settings(desk, "flush_after: 1 s")
    done = desk.sekisho("verify")

    assert done.exit_code == 0
    assert "holds over 2 records" in done.stdout
    assert "What 2 sealed records say was not looked at" in done.stdout


def test_verify_says_which_exchange_was_altered(desk: Desk, place: Place) -> None:
    connection = place.connection()
    connection.execute("update body set request = cast(request || x'00' as blob) where seq = 2")
    connection.close()
    done = desk.sekisho("verify")

    assert done.exit_code == 1
    assert "record 2 cannot be opened" in done.stdout


@pytest.mark.parametrize(
    ("storage", "says"),
    [
        ("flush_after: 1 s", "is sealed, and storage.seal is not set"),
        ("seal: {key: {file: KEYS/other.key}}", "storage.seal.key is not the key"),
    ],
)
def test_settings_that_cannot_write_here_are_settings_errors(desk: Desk, place: Place, storage: str, says: str) -> None:
    sealed(desk.folder, key="other.key")
    settings(desk, storage)
    for command in ("check", "serve"):
        done = desk.sekisho(command)
        assert done.exit_code == 2
        assert says in done.stderr.replace("\n", " ")


def test_status_counts_what_is_sealed_and_what_is_not(desk: Desk) -> None:
    Place(desk.data_dir, None).write(told())
    assert "storage.seal is not set" in desk.sekisho("seal", "status").stdout
    sealed(desk.folder).write(told(), told())
    settings(desk, "seal: {key: {file: KEYS/master.key}}")
    done = desk.sekisho("seal", "status")
    found = json.loads(desk.sekisho("seal", "status", "--json").stdout)

    assert done.exit_code == 0
    assert "2 sealed (2 with an index that is keyed), 1 not" in done.stdout
    assert found["exchanges"] == {"keyed": 2, "unsealed": 1}
    assert found["masters"] == {found["key"]: 3}
    assert found["problem"] is None


def test_rotation_from_settings_to_settings(desk: Desk, place: Place) -> None:
    sealed(desk.folder, key="new.key")
    settings(desk, "seal: {key: {file: KEYS/new.key}}")
    assert desk.sekisho("seal", "rotate").exit_code == 1  # the one before is not named
    assert desk.sekisho("seal", "status").exit_code == 1

    settings(desk, "seal: {key: {file: KEYS/new.key}, old_keys: [{file: KEYS/master.key}]}")
    done = desk.sekisho("seal", "rotate")
    assert done.exit_code == 0, done.stderr
    assert "3 data keys and 0 journals" in done.stdout

    settings(desk, "seal: {key: {file: KEYS/new.key}}")
    assert desk.sekisho("seal", "status").exit_code == 0
    assert len(desk.sekisho("export").stdout.splitlines()) == 2


def test_an_index_that_is_off_says_so_on_the_command_line(desk: Desk, place: Place) -> None:
    settings(desk, "seal: {key: {file: KEYS/master.key}, index: off}")
    done = desk.sekisho("search", "顧客")

    assert done.exit_code == 1
    assert "Search for words is off" in done.stderr


def test_a_tool_cannot_be_guessed_at_in_a_keyed_index(desk: Desk, place: Place) -> None:
    assert len(desk.sekisho("search", "tool:ship_parcel", "--json").stdout.splitlines()) == 2
    done = desk.sekisho("search", "tool:ship*")

    assert done.exit_code == 1
    assert "Write the whole name" in done.stderr


def test_no_key_is_ever_said(desk: Desk, place: Place) -> None:
    key = (desk.folder / "master.key").read_text().strip()
    settings(desk, f"seal: {{key: {key}}}")
    done = desk.sekisho("check")

    assert done.exit_code == 2
    assert key not in done.stderr
    assert Path(desk.folder / "master.key").exists()
