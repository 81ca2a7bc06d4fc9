"""Every look at content is on record before anything is shown; what cannot be written is not shown."""

import json

import pytest

from recording.anchors import Anchors
from settings.storage import Heads
from storage.access import access_path, read_access
from tests.cli.conftest import Desk
from tests.cli.records import chat, streamed

COMMANDS = [
    ("search", ["search", "見積"], "1-2"),
    ("show", ["show", "ID"], "1"),
    ("show", ["show", "ID", "--json"], "1"),
    ("show", ["show", "ID", "--raw", "request"], "1"),
    ("replay", ["replay", "ID"], "1"),
    ("export", ["export"], "1-2"),
    ("tail", ["tail", "--no-follow"], "1-"),
]


def prepared(desk: Desk, arguments: list[str]) -> list[str]:
    ids = desk.store(chat("見積を", "はい"), chat("見積は", "いいえ"))
    return [ids[0] if each == "ID" else each for each in arguments]


@pytest.mark.parametrize(("action", "arguments", "exchanges"), COMMANDS)
def test_every_look_is_on_record(desk: Desk, action: str, arguments: list[str], exchanges: str) -> None:
    done = desk.sekisho(*prepared(desk, arguments), "--reason", "ticket 7")
    (look,) = read_access(desk.data_dir, 10)

    assert done.exit_code == 0
    assert done.stdout
    assert (look.action, look.exchanges, look.reason) == (action, exchanges, "ticket 7")


@pytest.mark.parametrize(("action", "arguments", "exchanges"), COMMANDS)
def test_without_a_place_to_write_it_nothing_is_shown(
    desk: Desk, action: str, arguments: list[str], exchanges: str
) -> None:
    given = prepared(desk, arguments)
    access_path(desk.data_dir).mkdir()
    done = desk.sekisho(*given)

    assert (done.exit_code, done.stdout) == (1, "")
    assert "nothing is shown" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("action", "arguments", "exchanges"), COMMANDS)
def test_where_a_reason_is_required_nothing_is_shown_without(
    desk: Desk, action: str, arguments: list[str], exchanges: str
) -> None:
    given = prepared(desk, arguments)
    desk.config.write_text(desk.config.read_text() + "access: {reason: required}\n")

    refused = desk.sekisho(*given)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--reason" in refused.stderr
    assert list(read_access(desk.data_dir, 10)) == []
    assert desk.sekisho(*given, SEKISHO_REASON="ticket 8").exit_code == 0
    assert [look.reason for look in read_access(desk.data_dir, 10)] == ["ticket 8"]


def test_on_a_laptop_looks_are_written_silently(desk: Desk) -> None:
    desk.store(streamed(["a", "b"]))

    assert desk.sekisho("tail", "--no-follow").stderr == ""


def test_access_says_who_looked_for_what(desk: Desk) -> None:
    ids = desk.store(chat("見積を", "はい"))
    assert "Nobody" in desk.sekisho("access").stderr
    desk.sekisho("search", "見積 user:ann@example.com")
    desk.sekisho("show", ids[0], "--reason", "ticket 7")
    page = desk.sekisho("access").stdout
    first, second = (json.loads(line) for line in desk.sekisho("access", "--json").stdout.splitlines())

    assert "見積 user:ann@example.com" in page
    assert "because: ticket 7" in page
    assert first["asked"] == {"query": "見積 user:ann@example.com"}
    assert (second["asked"], second["reason"]) == ({"id": ids[0]}, "ticket 7")


def test_verify_holds_the_looks_too(desk: Desk) -> None:
    desk.store(chat("見積を", "はい"))
    desk.sekisho("search", "見積")
    assert "access.db holds over 1 looks" in desk.sekisho("verify").stdout

    import sqlite3

    connection = sqlite3.connect(access_path(desk.data_dir), isolation_level=None)
    connection.execute("update access set actor = 'somebody else'")
    connection.close()
    said = desk.sekisho("verify")
    assert said.exit_code == 1
    assert "access.db: look 1 was altered" in said.stdout
    assert json.loads(desk.sekisho("verify", "--json").stdout)["access"]["broken"] == "look 1 was altered"


def test_a_damaged_access_db_does_not_hide_whether_the_record_holds(desk: Desk) -> None:
    desk.store(chat("見積を", "はい"))
    access_path(desk.data_dir).write_bytes(b"no database at all, for longer than a header would be" * 20)
    verified, listed = desk.sekisho("verify"), desk.sekisho("access")

    assert (verified.exit_code, listed.exit_code) == (1, 1)
    assert "The chain holds over 1 records" in verified.stdout
    assert "BROKEN: access.db: it cannot be read" in verified.stdout
    assert "access.db cannot be read" in listed.stderr.replace("\n", "")


def test_a_damaged_commands_db_is_named_and_not_the_record(desk: Desk) -> None:
    desk.store(chat("見積を", "はい"))
    (desk.data_dir / "commands.db").write_bytes(b"no database at all, for longer than a header would be" * 20)
    refused = desk.sekisho("retain")

    assert refused.exit_code == 1
    assert "commands.db cannot be used" in refused.stderr.replace("\n", "")
    assert "move it away" in refused.stderr.replace("\n", " ")


def test_a_line_that_is_no_signed_head_does_not_hide_whether_the_record_holds(desk: Desk) -> None:
    elsewhere = desk.folder / "heads of ours.txt"
    desk.config.write_text(f"{desk.config.read_text()}storage: {{heads: {{file: '{elsewhere}'}}}}\n")
    elsewhere.write_bytes(b"sekisho/1 gw-1 4 s1:00")
    desk.store(chat("見積を", "はい"))
    anchors = Anchors(desk.data_dir, Heads(file=elsewhere))
    desk.sekisho("search", "見積")
    anchors.publish({})
    said = desk.sekisho("verify")

    assert said.exit_code == 1
    assert "The chain holds over 1 records" in said.stdout
    assert "1 of 1 signed heads match." in said.stdout
    assert f"BROKEN: {elsewhere}: line 1 is no signed head." in said.stdout
    assert json.loads(desk.sekisho("verify", "--json").stdout)["heads_broken"] == [
        f"{elsewhere}: line 1 is no signed head"
    ]
