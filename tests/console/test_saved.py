"""Searches that somebody keeps stay in their browser; a link to one says its times."""

import base64
import re
import zlib
from urllib.parse import quote, unquote

import pytest

from console.sessions import Sessions
from tests.cli.records import chat
from tests.console.conftest import Answer, Room


class Browser:
    """Keeps the cookies that it is given."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.kept = ""

    def get(self, path: str) -> Answer:
        return self.room.get(path, cookie=self._cookies())

    def post(self, path: str, **form: str) -> Answer:
        answer = self.room.post(path, {"csrf": self.room.csrf, **form}, cookie=self._cookies())
        if (cookie := answer.headers.get("set-cookie", "")).startswith("sekisho-saved"):
            assert "HttpOnly" in cookie
            self.kept = cookie.partition(";")[0]
        return answer

    def _cookies(self) -> str:
        return f"sekisho-console={self.room.cookie}; {self.kept}"


@pytest.fixture
def browser(room: Room) -> Browser:
    room.store(chat("東京の天気", "晴れ"))
    return Browser(room)


def names(page: str) -> list[str]:
    return re.findall(r'<li><a href="/exchanges\?q=[^"]*" title="[^"]*">([^<]*)</a>', page)


def test_a_search_is_kept_found_again_replaced_and_removed(browser: Browser) -> None:
    kept = browser.post("/saved", name="天気", q="東京 after:7d", next="/exchanges?q=x")
    assert kept.headers["location"] == "/exchanges?q=x"
    browser.post("/saved", name="", q="decision:deny")
    page = browser.get("/exchanges").text
    assert names(page) == ["天気", "decision:deny"]
    assert quote("東京") in page
    browser.post("/saved", name="天気", q="大阪")
    assert names(browser.get("/exchanges").text) == ["decision:deny", "天気"]
    browser.post("/saved/remove", name="天気")
    assert names(browser.get("/exchanges").text) == ["decision:deny"]


def test_somebody_else_at_the_same_browser_has_a_list_of_their_own(browser: Browser) -> None:
    browser.post("/saved", name="天気", q="東京")
    sessions: Sessions = browser.room.sessions
    browser.room.cookie = sessions.enter(sessions.one_time_key(), "bob") or ""
    assert names(browser.get("/exchanges").text) == []


@pytest.mark.parametrize(
    ("query", "status", "said"), [("", 400, "write a search first"), ("usr:x", 400, "There is no usr:")]
)
def test_what_is_no_search_is_not_kept(browser: Browser, query: str, status: int, said: str) -> None:
    answer = browser.post("/saved", name="x", q=query)
    assert (answer.status, said in answer.text) == (status, True)


def test_what_does_not_fit_is_said(browser: Browser) -> None:
    for number in range(20):
        assert browser.post("/saved", name=f"n{number}", q="東京").status == 303
    assert browser.post("/saved", name="one more", q="東京").status == 409
    assert len(names(browser.get("/exchanges").text)) == 20


@pytest.mark.parametrize(
    "value",
    [
        "nonsense",
        "====",
        base64.urlsafe_b64encode(b"no zlib").decode(),
        base64.urlsafe_b64encode(zlib.compress(b"[1,2]")).decode(),
        base64.urlsafe_b64encode(zlib.compress(b'[["<img src=x>","<script>"]]')).decode(),
        base64.urlsafe_b64encode(zlib.compress(b" " * 3_000_000, 9)).decode()[:4000],
        base64.urlsafe_b64encode(zlib.compress(b'[["a","' + b"x" * 200_000 + b'"]]', 9)).decode(),
    ],
)
def test_a_list_that_somebody_made_up_does_no_harm(browser: Browser, value: str) -> None:
    browser.post("/saved", name="a", q="b")
    browser.kept = f"{browser.kept.partition('=')[0]}={value}"
    answer = browser.get("/exchanges")
    assert answer.status == 200
    assert "<script>" not in answer.text
    assert "<img src=x" not in answer.text


def test_a_link_to_a_search_says_its_times(browser: Browser) -> None:
    page = browser.get(f"/exchanges?q={quote('東京 after:7d model:gpt-4o')}").text
    link = re.search(r'<a href="(/exchanges[^"]*)" data-copy-link', page)
    assert link is not None
    assert re.search(r"after:\d{4}-\d\d-\d\dT", unquote(link[1]))
    assert "7d" not in unquote(link[1])
    assert browser.get(link[1].replace("&amp;", "&")).status == 200


def test_no_list_is_changed_from_another_site(browser: Browser) -> None:
    assert browser.room.post("/saved", {"csrf": "forged", "q": "x"}).status == 403
