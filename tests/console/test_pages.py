"""The list, one exchange, one conversation: what they show, and that every look is written down first."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from urllib.parse import quote

import pytest

from storage.access import access_path, read_access
from storage.sqlite.driver import audit_path
from tests.cli.records import chat, record, refused, streamed, with_tools
from tests.console.conftest import Room


def test_the_list_shows_who_asked_what_and_how_it_went(room: Room) -> None:
    room.store(chat("東京の天気は？", "晴れです。"), refused())
    page = room.get("/exchanges").text
    for said in ("東京の天気は？", "ann@example.com", "gpt-4o", "model_not_allowed", "12", "340"):
        assert said in page


def test_what_was_looked_for_is_found_and_marked(room: Room) -> None:
    room.store(chat("顧客名の一覧", "はい"), chat("weather", "fine"))
    page = room.get(f"/exchanges?q={quote('顧客名')}").text
    assert "<mark>顧客名</mark>" in page
    assert "weather" not in page


def test_pages_go_on_where_the_last_one_ended_and_nothing_comes_twice(room: Room) -> None:
    room.store(*[chat(f"question-{i:03d}.", "answer") for i in range(70)])
    first = room.get("/exchanges").text
    assert "before=21" in first
    older = room.get("/exchanges?q=&before=21").text
    assert [f"question-{i:03d}." in first for i in range(70)] == [i >= 20 for i in range(70)]
    assert [f"question-{i:03d}." in older for i in range(70)] == [i < 20 for i in range(70)]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("usr:ann", "There is no usr:"),
        ('"open', "never closed"),
        ("after:never", "is no time"),
        ("x" * 3000, "the most"),
    ],
)
def test_a_query_that_is_wrong_is_answered_with_where_and_what_instead(room: Room, query: str, said: str) -> None:
    room.store(chat("a", "b"))
    answer = room.get(f"/exchanges?q={quote(query)}")
    assert answer.status == 400
    assert said in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/exchanges/nonsense", 404),
        (f"/exchanges/{'0' * 32}", 404),
        (f"/exchanges/{'0' * 32}/request", 404),
        (f"/exchanges/{'0' * 32}/etc", 404),
        (f"/threads/{'0' * 32}", 404),
        ("/no/such/page", 404),
        ("/static/../texts.py", 404),
        ("/static/%2e%2e/texts.py", 404),
        ("/exchanges?before=-1", 200),
        ("/exchanges?before=99999999999999999999999", 200),
    ],
)
def test_bad_input_gets_a_page_that_says_so(room: Room, path: str, status: int) -> None:
    room.store(chat("a", "b"))
    answer = room.get(path)
    assert answer.status == status
    assert "Traceback" not in answer.text


def test_a_record_that_is_not_there_or_damaged_is_a_page_that_says_so(room: Room) -> None:
    assert room.get("/exchanges").status == 503
    audit_path(room.data_dir).write_bytes(b"this is no database" * 100)
    answer = room.get("/exchanges")
    assert answer.status == 503
    assert "cannot be read" in answer.text


def test_an_exchange_shows_its_conversation_timing_decision_and_chain(room: Room) -> None:
    ids = room.store(with_tools(), streamed(["a", "b"]), refused())
    page = room.get(f"/exchanges/{ids[0]}").text
    for said in (
        "Be brief.",
        "get_weather",
        "東京",
        "晴れ、25度",
        "The tool said so.",
        "I will not say more.",
        "waterfall",
    ):
        assert said in page
    assert "as it was recorded" in page
    page = room.get(f"/exchanges/{ids[2]}").text
    assert "o3 is on no list" in page
    assert "This model is not allowed here." in page


def test_a_record_that_was_altered_says_so_on_its_page(room: Room) -> None:
    ids = room.store(chat("a", "b"), chat("c", "d"))
    with closing(sqlite3.connect(audit_path(room.data_dir))) as connection:
        connection.execute("update exchange set email = 'bob@example.com' where seq = 2")
        connection.commit()
    assert "was altered" in room.get(f"/exchanges/{ids[1]}").text
    assert "was altered" not in room.get(f"/exchanges/{ids[0]}").text


def test_raw_bytes_and_the_record_are_files_that_no_browser_opens(room: Room) -> None:
    one = chat("<script>alert(1)</script>", "b")
    (given,) = room.store(one)
    request = room.get(f"/exchanges/{given}/request")
    assert request.body == one.raw.request
    assert json.loads(room.get(f"/exchanges/{given}/record.json").body)["seq"] == 1
    for answer in (request, room.get(f"/exchanges/{given}/response"), room.get(f"/exchanges/{given}/record.json")):
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_conversation_is_shown_once_with_a_step_for_each_exchange(room: Room) -> None:
    thread = "0" * 31 + "1"
    one = chat("first question", "first answer")
    two = record(
        {"model": "gpt-4o", "messages": [
            {"role": "user", "content": "first question"}, {"role": "assistant", "content": "first answer"},
            {"role": "user", "content": "second question"}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "second answer"}}]},
    )  # fmt: skip
    room.store(*[replace(each, derived=replace(each.derived, thread_id=thread)) for each in (one, two)])
    page = room.get(f"/threads/{thread}").text
    assert [page.count(said) for said in ("first question", "first answer", "second question", "second answer")] == [
        1
    ] * 4


def test_five_thousand_messages_are_shown_a_page_at_a_time(room: Room) -> None:
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"message-{i:04d}."} for i in range(5001)]
    (given,) = room.store(record({"model": "gpt-4o", "messages": turns}, None))
    page = room.get(f"/exchanges/{given}").text
    assert "message-5000." in page
    assert "message-0000." not in page
    assert "message-0000." in room.get(f"/exchanges/{given}?from=0").text


def test_fifty_megabytes_are_not_put_on_a_page(room: Room) -> None:
    (given,) = room.store(chat("x" * 50_000_000, "b"))
    answer = room.get(f"/exchanges/{given}")
    assert answer.status == 200
    assert "too large for a page" in answer.text
    assert len(answer.body) < 100_000
    assert len(room.get("/exchanges").body) < 100_000


LOOKS = [
    ("/exchanges?q=question", "search", "1-2"),
    ("/exchanges/{id}", "show", "1"),
    ("/exchanges/{id}/request", "show", "1"),
    ("/exchanges/{id}/record.json", "export", "1"),
]


@pytest.mark.parametrize(("path", "action", "exchanges"), LOOKS)
def test_every_look_is_written_down_with_who_what_and_why(room: Room, path: str, action: str, exchanges: str) -> None:
    ids = room.store(chat("question", "a"), chat("question", "b"))
    room.post("/reason", {"csrf": room.csrf, "reason": "ticket 7"})
    assert room.get(path.format(id=ids[0])).status == 200
    (look,) = read_access(room.data_dir, 10)
    assert (look.actor, look.action, look.exchanges, look.reason) == ("ann (console)", action, exchanges, "ticket 7")


@pytest.mark.parametrize("path", [look[0] for look in LOOKS] + ["/threads/{thread}"])
def test_what_cannot_be_written_down_is_not_shown(room: Room, path: str) -> None:
    one = chat("secret question", "secret answer")
    one = replace(one, derived=replace(one.derived, thread_id="0" * 31 + "1"))
    (given,) = room.store(one)
    access_path(room.data_dir).mkdir()
    answer = room.get(path.format(id=given, thread="0" * 31 + "1"))
    assert answer.status == 503
    assert "secret" not in answer.text
    assert "nothing is shown" in answer.text.lower()


def test_without_the_reason_that_is_asked_for_nothing_that_was_said_is_shown(strict_room: Room) -> None:
    (given,) = strict_room.store(chat("secret question", "secret answer"))
    page = strict_room.get("/exchanges").text
    assert "secret" not in page
    assert "ann@example.com" in page
    asked_for = strict_room.get(f"/exchanges/{given}?from=3").headers["location"]
    assert asked_for == f"/reason?next=%2Fexchanges%2F{given}%3Ffrom%3D3"
    for path in ("request", "record.json"):
        assert strict_room.get(f"/exchanges/{given}/{path}").status == 303
    assert [*read_access(strict_room.data_dir, 10)] == []
    strict_room.post("/reason", {"csrf": strict_room.csrf, "reason": "ticket 7"})
    assert "secret answer" in strict_room.get(f"/exchanges/{given}").text


@pytest.mark.parametrize(("accepted", "said"), [("ja,en;q=0.8", "やりとり"), ("fr", "Exchanges"), ("", "Exchanges")])
def test_pages_are_in_the_language_that_the_browser_asks_for(room: Room, accepted: str, said: str) -> None:
    room.store(chat("a", "b"))
    assert said in room.get("/exchanges", accept_language=accepted).text
