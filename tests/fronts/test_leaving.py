"""Signing out, in a browser: here, at the provider, in every tab; and what is left of it all."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.fronts.conftest import DESKTOP, PHONE, Town, call, no_errors, sign_in, signed_in
from tests.journeys.provider import completion

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_who_signs_out_is_led_on_to_the_providers_sign_out_and_back_and_must_then_say_who_they_are(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(PHONE, "ja")
    page.goto(town.url + "/me")
    sign_in(page, "ann")
    with no_errors(page):
        page.get_by_role("button", name="サインアウト", exact=True).click()
        page.wait_for_url(re.compile(re.escape(town.issuer)))  # by itself, and no form-action stands in the way
    page.locator("button[value=yes]").click()
    page.wait_for_url(town.url + "/_sekisho/signed-out")
    assert page.locator("[role=status]").inner_text() == "サインアウトしました。"
    assert [one["name"] for one in page.context.cookies(town.url) if "front" in one["name"]] == []

    page.goto(town.url + "/_sekisho/login")
    page.locator("main a.button").click()
    page.locator("input[name=login]").wait_for()  # the provider knows them no more either


def test_who_stays_signed_in_at_the_provider_is_signed_out_here_all_the_same(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(DESKTOP, "en")
    page.goto(town.url + "/me")
    sign_in(page, "bob")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(re.compile(re.escape(town.issuer)))
    page.locator("button:not([value])").click()  # "No, stay signed in"
    page.wait_for_url(town.url + "/_sekisho/signed-out")
    page.goto(town.url + "/me")
    assert "/_sekisho/login" in page.url


def test_the_way_back_after_signing_out_shows_nothing_of_who_was_there(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(DESKTOP, "en")
    signed_in(page, town)
    page.goto(town.url + "/me")
    assert page.get_by_text("ann@example.com").count() == 1
    page.route(re.compile(re.escape(town.issuer)), lambda route: route.abort())
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("heading", name="Signed out").wait_for()
    page.go_back()
    page.wait_for_url(re.compile("/_sekisho/login"))
    assert page.get_by_text("ann@example.com").count() == 0


def test_a_page_of_the_ui_keeps_a_websocket_until_its_person_signs_out_in_another_tab(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(PHONE, "ja")
    signed_in(page, town)
    page.goto(town.talk_url + "/")
    page.locator("#heard", has_text="こんにちは はい").wait_for()
    heard = town.talk.sockets[-1]
    assert heard.headers["Host"] == town.talk_url.removeprefix("http://")
    assert "sekisho" not in heard.headers.get("Cookie", "")

    other = page.context.new_page()
    other.goto(town.talk_url + "/me")
    other.get_by_role("button", name="サインアウト", exact=True).click()
    page.locator("#state", has_text="closed 1008").wait_for(timeout=4_000)


def test_what_the_ui_kept_in_the_browser_goes_with_the_person_who_signs_out(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    page = page_of(PHONE, "ja")
    signed_in(page, town)
    page.goto(town.talk_url + "/")
    page.evaluate("localStorage.setItem('token', 'of Ann'); document.cookie = 'token=of Ann; Path=/'")
    page.goto(town.talk_url + "/me")
    page.get_by_role("button", name="サインアウト", exact=True).click()
    page.get_by_role("heading", name="サインアウト").wait_for()
    page.goto(town.talk_url + "/_sekisho/login")
    left = page.evaluate("[localStorage.getItem('token'), document.cookie]")

    assert left == [None, ""]


def test_a_page_of_the_same_host_at_another_port_opens_no_websocket_in_a_persons_name(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    """Their browser sends our cookie along: cookies know no ports."""
    page = page_of(DESKTOP, "en")
    signed_in(page, town)
    before = len(town.talk.sockets)
    page.goto(f"http://talk.localhost:{town.talk.port}/?at={town.talk_url.removeprefix('http://')}")
    page.locator("#state", has_text="closed 1006").wait_for()
    assert len(town.talk.sockets) == before


def test_who_is_erased_while_all_runs_is_in_no_file_of_the_fronts_and_their_token_is_worth_nothing(
    town: Town, page_of: "Callable[..., Page]"
) -> None:
    town.provider.answer = completion("はい")
    page = page_of(PHONE, "ja")
    signed_in(page, town, "dora@example.com")
    page.goto(town.url + "/me")
    page.locator("input[name=name]").fill("ドラのノートPC")
    page.locator("section button:not(.quiet)").click()
    token = page.locator("#token").inner_text()
    assert call(town, token, "gpt-4o")[0] == 200
    assert b"dora@example.com" in _of_the_fronts(town)
    arguments = ("erase", "--person", "dora@example.com", "--reason", "ticket 12", "--yes", "--json")
    done = town.instance.sekisho(*arguments)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fronts"] == {"sessions": 0, "tokens": 1, "devices": 0}
    for word in ("dora@example.com", "ドラのノートPC"):
        assert word.encode() not in _of_the_fronts(town)
    town.instance.wait_until(lambda: call(town, token, "gpt-4o") == (401, "invalid_token"), 4)


def _of_the_fronts(town: Town) -> bytes:
    return b"".join(path.read_bytes() for path in town.instance.data_dir.glob("fronts.db*"))
