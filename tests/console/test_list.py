"""What stands around the list: how many were found, the times to narrow it down to, in whose zone."""

import re
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.cli.records import chat, refused
from tests.console.conftest import Room
from tests.console.test_counting import HOUR, at


@pytest.mark.parametrize(
    ("query", "said"),
    [("", "3 found"), ("東京", "2 found"), ("decision:deny", "1 found"), ("zebra", None), ("exact:東京", None)],
)
def test_the_list_says_how_many_were_found_where_that_is_known(room: Room, query: str, said: str | None) -> None:
    room.store(chat("東京の天気", "晴れ"), chat("東京", "b"), refused())
    found = re.search(r"[^<>]* found</p>", room.get(f"/exchanges?q={quote(query)}").text)
    assert (found[0].removesuffix("</p>") if found else None) == said


def test_of_very_many_it_says_more_than(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.exchanges._COUNTED", 2)
    room.store(*[chat("東京", "b") for _ in range(3)])
    assert "more than 2 found" in room.get(f"/exchanges?q={quote('東京')}").text


@pytest.mark.parametrize(
    ("query", "week"),
    [
        ("東京", "東京 after:7d"),
        ("東京 after:7d", "東京"),
        ("after:7d model:gpt-4o", "model:gpt-4o"),
        ("東京 after:24h", "東京 after:7d"),
        ('"東京 の" user:ann', '"東京 の" user:ann after:7d'),
        ("-after:24h", "-after:24h after:7d"),
    ],
)
def test_a_week_is_one_click_away_and_another_leads_back(room: Room, query: str, week: str) -> None:
    room.store(at(chat("東京 の", "晴れ"), HOUR))
    page = room.get(f"/exchanges?q={quote(query)}").text
    links = [unescape(each) for each in re.findall(r'href="([^"]+)"[^>]*><span>7 days<', page)]
    assert [parse_qs(urlsplit(each).query).get("q", [""])[0] for each in links] == [week]


def test_what_is_looked_for_in_a_week_is_what_began_then(room: Room) -> None:
    room.store(at(chat("東京 old", "b"), 24 * 9 * HOUR), at(chat("東京 new", "b"), HOUR))
    page = room.get(f"/exchanges?q={quote('東京 after:7d')}").text
    assert "old" not in page.partition('id="lines"')[2]
    assert "new" in page.partition('id="lines"')[2]


def test_times_are_said_with_their_zone(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        room.store(chat("a", "b"))
        assert "<small>JST</small>" in room.get("/exchanges").text
    finally:
        monkeypatch.undo()
        time.tzset()
