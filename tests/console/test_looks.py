"""The page of the looks: of one person, at one exchange, and from each to what was looked at."""

from urllib.parse import quote

import pytest

from storage.access import Spans, ranges, write_access
from tests.cli.records import chat
from tests.console.conftest import Room


@pytest.fixture
def looked(room: Room) -> list[str]:
    ids = room.store(*[chat(f"{i}", "b") for i in range(4)])
    for who, seqs in (("bob (console)", [1, 2, 3]), ("carl", [3]), ("bob (console)", [4])):
        write_access(room.data_dir, action="show", asked={"id": who[:3]}, exchanges=ranges(seqs), reason=None, who=who)
    return ids


@pytest.mark.parametrize(
    ("asked", "shown", "hidden"),
    [
        ("", ["bob", "carl"], []),
        ("who=carl", ["carl"], ["bob (console)</a></td>"]),
        (f"who={quote('bob (console)')}", ["bob"], ["carl</a></td>"]),
        ("place=3", ["bob", "carl"], []),
        ("place=4", ["bob"], ["carl</a></td>"]),
        ("place=9", ["Nothing was found."], ["bob (console)</a></td>"]),
        ("place=x", ["bob", "carl"], []),
    ],
)
def test_looks_of_one_person_or_at_one_exchange(
    room: Room, looked: list[str], asked: str, shown: list[str], hidden: list[str]
) -> None:
    assert looked
    page = room.get(f"/access?{asked}").text
    assert [each for each in shown if each not in page] == []
    assert [each for each in hidden if each in page] == []


def test_numbers_in_the_log_lead_to_the_exchanges(room: Room, looked: list[str]) -> None:
    page = room.get("/access").text
    assert '<a href="/exchanges/1">1</a>-<a href="/exchanges/3">3</a>' in page
    answer = room.get("/exchanges/3")
    assert (answer.status, answer.headers["location"].replace("-", "")) == (303, f"/exchanges/{looked[2]}")
    assert room.get("/exchanges/9").status == 404


def test_an_exchange_says_who_looked_at_it(room: Room, looked: list[str]) -> None:
    assert 'href="/access?place=2"' in room.get(f"/exchanges/{looked[1]}").text


@pytest.mark.parametrize(
    ("written", "within", "without"), [("3-7,12", [3, 7, 12], [2, 8, 13]), ("5-", [5, 900], [4]), ("", [], [0, 1])]
)
def test_ranges_are_read_as_they_were_written(written: str, within: list[int], without: list[int]) -> None:
    assert [number in Spans(written) for number in (*within, *without)] == [
        *(True for _ in within),
        *(False for _ in without),
    ]
