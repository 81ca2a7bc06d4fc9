"""Orders that take something away wait for a second person, where the settings say so; nobody is their own second."""

import json

import pytest

from storage.commands import Commands, NotYours, is_same_person
from tests.cli.conftest import Desk
from tests.cli.records import chat

ERASE = ("erase", "--person", "ann@example.com", "--reason", "she asked for it", "--yes")


@pytest.fixture
def two(desk: Desk) -> Desk:
    desk.config.write_text(f"data_dir: {desk.data_dir}\naccess: {{two_people: true}}\n", "utf-8")
    desk.store(chat("秘密鑰匙", "はい"))
    return desk


def asked_by(desk: Desk, actor: str) -> str:
    commands = Commands(desk.data_dir)
    try:
        return commands.ask("erase", {"person": "ann@example.com"}, actor=actor, reason="asked", two_people=True)
    finally:
        commands.close()


def still_there(desk: Desk) -> bool:
    return "秘密鑰匙" in desk.sekisho("search", "秘密鑰匙").stdout


def test_an_erasure_waits_and_whoever_asked_cannot_approve_it(two: Desk) -> None:
    done = two.sekisho(*ERASE, "--json")
    order = json.loads(done.stdout)["order"]
    assert "orders approve" in done.stderr

    refused = two.sekisho("orders", "approve", order)
    assert refused.exit_code == 1
    assert "second person" in refused.stderr
    assert "proposed" in two.sekisho("orders", "list").stdout
    assert still_there(two)


def test_a_second_person_approves_and_both_stand_in_the_record(two: Desk) -> None:
    order = asked_by(two, "bob")
    done = two.sekisho("orders", "approve", order)
    assert done.exit_code == 0, done.stderr
    assert "done" in done.stdout
    assert not still_there(two)
    assert two.sekisho("verify").exit_code == 0
    (listed,) = map(json.loads, two.sekisho("orders", "list", "--json").stdout.splitlines())
    assert (listed["actor"], listed["state"]) == ("bob", "done")
    assert listed["approver"] not in (None, "bob")


def test_what_is_declined_is_over(two: Desk) -> None:
    order = asked_by(two, "bob")
    assert two.sekisho("orders", "decline", order).exit_code == 0
    assert "does not wait" in two.sekisho("orders", "approve", order).stderr
    assert still_there(two)


def test_a_hold_is_in_time_and_its_end_waits(two: Desk) -> None:
    held = two.sekisho("hold", "add", "--person", "ann@example.com", "--reason", "a lawsuit")
    assert "Hold 1 stands" in held.stdout, held.stderr
    assert "second person" in two.sekisho("hold", "remove", "1", "--reason", "over").stdout
    assert "a lawsuit" in two.sekisho("hold", "list").stdout


def test_the_recorder_carries_out_nothing_that_nobody_approved(two: Desk) -> None:
    commands = Commands(two.data_dir)
    uid = commands.ask("erase", {"person": "ann@example.com"}, actor="bob", reason="past the door")
    two.sekisho("retain")  # where no recorder runs, this carries out all that waits
    assert commands.get(uid).state == "failed"
    assert "second person" in str(commands.get(uid).outcome)
    commands.close()
    assert still_there(two)


def test_commands_of_before_there_was_approval_are_read(desk: Desk) -> None:
    desk.data_dir.mkdir()
    commands = Commands(desk.data_dir)
    for column in ("approver", "approved_at"):
        commands._connection.execute(f"alter table command drop column {column}")
    commands.close()
    again = Commands(desk.data_dir)
    uid = again.ask("retain", {}, actor="bob", reason=None)
    assert again.get(uid).order.approver is None
    again.close()


@pytest.mark.parametrize("unknown", ["approve", "decline"])
def test_an_order_that_is_not_there_is_said(two: Desk, unknown: str) -> None:
    done = two.sekisho("orders", unknown, "0" * 32)
    assert done.exit_code == 1
    assert "There is no order" in done.stderr


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ann", "ann", True),
        ("ann", "Ann@example.com (console)", True),
        ("root (sudo: ann)", "ann@example.com (console)", True),
        ("ann (console)", "ann", True),
        ("ann@example.com (console)", "bob@example.com (console)", False),
        ("root (sudo: ann)", "root (sudo: bob)", False),
    ],
)
def test_one_person_under_two_names_is_no_second_person(desk: Desk, one: str, other: str, same: bool) -> None:
    assert is_same_person(one, other) is same
    desk.data_dir.mkdir()
    commands = Commands(desk.data_dir)
    uid = commands.ask("erase", {"person": "x"}, actor=one, reason="r", two_people=True)
    if same:
        with pytest.raises(NotYours):
            commands.approve(uid, other)
    else:
        commands.approve(uid, other)
    assert commands.get(uid).state == ("proposed" if same else "waiting")
    commands.close()
