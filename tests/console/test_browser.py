"""What a person does with keys, while exchanges come in; on a wide screen and on a phone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.cli.records import chat, refused
from tests.console.conftest import Room

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def page(room: Room, chromium: "Browser") -> "Iterator[Page]":
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def test_exchanges_appear_as_they_end_once_each_and_only_those_that_were_asked_for(room: Room, page: "Page") -> None:
    room.store(chat("old", "answer"))
    page.goto(room.url("/exchanges?q=decision:allow"))
    page.wait_for_selector(".line")
    room.store(chat("came just now", "answer"), refused())
    page.wait_for_selector("text=came just now")
    assert page.locator(".line").count() == 2
    room.store(chat("and another", "answer"))
    page.wait_for_selector("text=and another")
    assert page.locator(".line").count() == 3
    assert page.locator(".line").first.inner_text().count("and another") == 1


def test_the_tail_goes_on_from_the_line_that_the_browser_had_last(room: Room) -> None:
    import http.client

    room.store(*[chat(f"question-{i}.", "a") for i in range(5)])
    connection = http.client.HTTPConnection("127.0.0.1", room.port, timeout=30)
    headers = {"cookie": f"sekisho-console={room.cookie}", "last-event-id": "3"}
    connection.request("GET", "/exchanges/live?after=0", headers=headers)
    answer = connection.getresponse()
    came = b""
    while b"id: 5" not in came:
        came += answer.read1(65536)
    connection.close()
    assert b"id: 4" in came
    assert b"id: 3\n" not in came


def test_a_whole_search_with_keys_alone(room: Room, page: "Page") -> None:
    room.store(chat("東京の天気", "晴れ"), chat("weather in Paris", "rain"), refused())
    page.goto(room.url("/exchanges"))
    page.keyboard.press("/")
    page.keyboard.type("dec")
    page.wait_for_selector("#offers li")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("al")
    page.wait_for_selector("#offers li >> text=decision:allow")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert page.input_value("#q") == "decision:allow "
    page.keyboard.press("Enter")
    page.wait_for_url("**/exchanges?q=decision**")
    assert page.locator(".line").count() == 2
    page.locator("main").focus()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert page.locator(".chosen").is_visible()
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("o")
    page.wait_for_selector(".turn")
    assert "東京の天気" in page.inner_text(".talk")
    page.keyboard.press("u")
    page.wait_for_selector(".lines")


@pytest.mark.parametrize("path", ["/exchanges", "/exchanges/{id}", "/help", "/reason", "/no-such-page"])
def test_nothing_is_wider_than_a_phone(room: Room, page: "Page", path: str) -> None:
    (given,) = room.store(chat("長い" * 300 + " x" + "y" * 500, "| a | b |\n|---|---|\n|" + "z" * 400 + "| 2 |"))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(room.url(path.format(id=given)))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_colours_and_language_stay_as_they_were_chosen(room: Room, page: "Page") -> None:
    room.store(chat("a", "b"))
    page.goto(room.url("/exchanges"))
    page.click(".menu summary")
    page.click("text=日本語")
    page.click(".menu summary")
    page.click("text=ダーク")
    page.goto(room.url("/help"))
    assert page.get_attribute("html", "lang") == "ja"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 17, 22)"


def test_everything_but_the_tail_works_without_scripts(room: Room, chromium: "Browser") -> None:
    room.store(*[chat(f"question-{i}.", "a") for i in range(60)])
    context = chromium.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    page.goto(room.url("/exchanges"))
    page.fill("#q", "question-7")
    page.click(".search button")
    page.click(".line a")
    assert "question-7." in page.inner_text(".talk")
    page.goto(room.url("/exchanges"))
    page.click("#more a")
    assert "question-3." in page.inner_text(".lines")
    context.close()


def test_a_phone_says_the_day_of_each_line_and_has_the_page_that_one_is_on_in_sight(
    room: Room, chromium: "Browser"
) -> None:
    room.store(chat("old", "answer"))
    context = chromium.new_context(viewport={"width": 390, "height": 844}, locale="ja")
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    page.goto(room.url("/orders"))
    box = page.locator(".top nav [aria-current]").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390 - 44
    page.goto(room.url("/exchanges"))
    assert page.locator(".line .day").is_visible()
    context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_on_a_phone_the_lists_are_folded_up_and_open_with_a_tap_or_a_key(
    room: Room, chromium: "Browser", scripts: bool
) -> None:
    room.store(chat("東京", "a"), refused())
    context = chromium.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=scripts)
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    page.goto(room.url("/exchanges?q=after:90d"))
    assert not page.is_visible(".fields")
    page.click(".facets label")
    assert page.is_visible(".fields >> text=7 days")
    page.focus("#narrow")
    page.keyboard.press("Space")
    assert not page.is_visible(".fields")
    context.close()


@pytest.mark.parametrize("width", [320, 390, 820, 1000, 1280])
def test_no_page_is_wider_than_the_screen(room: Room, chromium: "Browser", width: int) -> None:
    room.store(chat("a question", "an answer"), refused())
    room.get("/exchanges")  # a look
    order = {"csrf": room.csrf, "kind": "hold", "person": "ann@example.com", "reason": "a lawsuit of some length " * 4}
    assert room.post("/orders", order).status == 303
    context = chromium.new_context(viewport={"width": width, "height": 900}, locale="ja")
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    wide = {}
    for path in ("/exchanges", "/overview", "/refusals", "/people", "/access", "/orders", "/help"):
        page.goto(room.url(path))
        wide[path] = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert {path: over for path, over in wide.items() if over > 0} == {}


def test_escape_closes_the_menu_and_the_key_is_where_it_was(room: Room, page: "Page") -> None:
    page.goto(room.url("/help"))
    page.locator(".menu summary").click()
    page.keyboard.press("Escape")
    assert not page.locator(".menu .sheet").is_visible()
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
