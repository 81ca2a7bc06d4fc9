"""Who gets in, by which name, and from which page."""

import pytest

from console.sessions import Sessions
from tests.cli.records import chat
from tests.console.conftest import Room

PAGES = [
    "/",
    "/exchanges",
    "/exchanges/complete?q=u",
    "/exchanges/live",
    "/exchanges/0",
    "/threads/0",
    "/help",
    "/reason",
]


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_any_page_without_a_session_and_the_terminal_prints_a_way_in(room: Room, path: str) -> None:
    room.cookie = ""
    answer = room.get(path)
    assert answer.status == 401
    assert "terminal" in answer.text
    assert room.invited


def test_a_one_time_address_lets_in_one_browser_once(room: Room) -> None:
    room.cookie = ""
    key = room.sessions.one_time_key()
    first, second = room.get(f"/enter?key={key}"), room.get(f"/enter?key={key}")
    assert first.status == 303
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "samesite=lax" in first.headers["set-cookie"].lower()
    assert second.status == 401
    assert room.get("/enter?key=%FF").status == 401


def test_an_old_key_and_an_idle_session_are_no_way_in() -> None:
    now = 0.0
    sessions = Sessions(60.0, lambda: now)
    old = sessions.one_time_key()
    session = sessions.enter(sessions.one_time_key(), "ann")
    now = 59.0
    assert sessions.get(session, touch=False) is not None
    now = 61.0
    assert sessions.get(session) is None
    now = 2000.0
    assert sessions.enter(old, "ann") is None


def test_signing_out_everywhere_ends_all_sessions_of_this_person_and_no_others(room: Room) -> None:
    other = room.sessions.enter(room.sessions.one_time_key(), "ann")
    bob = room.sessions.enter(room.sessions.one_time_key(), "bob")
    assert room.post("/leave", {"csrf": room.csrf, "everywhere": "1"}).status == 200
    assert room.sessions.get(other) is None
    assert room.sessions.get(bob) is not None
    assert room.get("/exchanges").status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_name_of_somebody_else_that_leads_here_shows_nothing(room: Room, host: str) -> None:
    room.store(chat("secret question", "secret answer"))
    answer = room.get("/exchanges", host=host)
    assert answer.status in (400, 421)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("headers", "csrf"),
    [({}, "wrong"), ({}, ""), ({"origin": "http://evil.example"}, None), ({"sec_fetch_site": "cross-site"}, None)],
    ids=["wrong token", "no token", "foreign origin", "cross-site"],
)
def test_a_form_of_another_page_changes_nothing(room: Room, headers: dict[str, str], csrf: str | None) -> None:
    answer = room.post("/reason", {"csrf": room.csrf if csrf is None else csrf, "reason": "x"}, **headers)
    assert answer.status == 403
    session = room.sessions.get(room.cookie)
    assert session is not None
    assert session.reason is None


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", ""]
)
def test_nobody_is_led_to_another_site(room: Room, path: str) -> None:
    answer = room.post("/preferences", {"csrf": room.csrf, "theme": "dark", "next": path})
    assert answer.headers["location"] == "/exchanges"


def test_every_answer_forbids_scripts_frames_and_what_is_elsewhere(room: Room) -> None:
    for path in ("/exchanges", "/nothing", "/static/console.css", "/enter?key=x"):
        headers = room.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == ("max-age=3600" if path.startswith("/static") else "no-store")
