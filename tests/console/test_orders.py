"""Orders from the console: asked with a reason, carried out by the recorder, never approved by whoever asked."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from exchange.record import Record, identifier
from exchange.scope import Scope
from identities.revoked import revocations
from recording.recorder import Recorder
from settings.schema import Settings
from storage.book import Book
from storage.commands import Commands, commands_path
from tests.cli.records import ANN, chat, refused
from tests.console.conftest import Answer, Room, opened
from tests.console.test_counting import BOB, HOUR, at

THREAD = "0" * 31 + "1"
ERASE = {"kind": "erase", "person": "ann@example.com", "reason": "she asked for it", "sure": "1"}


def threaded(question: str) -> Record:
    one = chat(question, "はい")
    return replace(one, derived=replace(one.derived, thread_id=THREAD))


@pytest.fixture
def held_room(room: Room) -> Room:
    room.store(threaded("秘密鑰匙"))
    return room


@pytest.fixture
def two_people(tmp_path: Path) -> Iterator[Room]:
    settings = {"data_dir": str(tmp_path / "data"), "access": {"two_people": True}}
    with opened(Settings.model_validate(settings)) as room:
        room.store(chat("秘密鑰匙", "はい"))
        yield room


def ask(room: Room, **form: str) -> Answer:
    return room.post("/orders", {"csrf": room.csrf, **form})


def carry_out(room: Room, *, two_people: bool = False) -> None:
    recorder = Recorder(room.data_dir, two_people=two_people)
    try:
        recorder.carry_out()
    finally:
        recorder.close()


def states(room: Room) -> list[tuple[str, str, str, str | None]]:
    commands = Commands(room.data_dir)
    try:
        return [(c.kind, c.state, c.order.actor, c.order.reason) for c in commands.listed(10)]
    finally:
        commands.close()


def put_in(room: Room, actor: str) -> str:
    commands = Commands(room.data_dir)
    try:
        return commands.ask("erase", {"person": "ann@example.com"}, actor=actor, reason="r", two_people=True)
    finally:
        commands.close()


def test_an_erasure_is_asked_for_with_a_reason_and_is_done_by_the_recorder(held_room: Room) -> None:
    form = held_room.get(f"/orders/new?{urlencode({'kind': 'erase', 'person': 'ann@example.com'})}").text
    assert "1 exchanges" in re.sub(r"\s+", " ", form)
    assert ask(held_room, **ERASE).headers["location"] == "/orders"
    assert states(held_room) == [("erase", "waiting", "ann (console)", "she asked for it")]
    page = held_room.get("/orders").text
    assert "No recorder runs" in page
    assert "waiting" in page

    carry_out(held_room)
    assert "1 exchanges" in re.sub(r"\s+", " ", held_room.get("/orders/table").text)
    listed = held_room.get("/exchanges").text
    assert "秘密鑰匙" not in listed
    assert "Erased" in listed


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        (ERASE | {"reason": "  "}, 400, "Say why"),
        (ERASE | {"sure": ""}, 400, "Confirm that"),
        (ERASE | {"person": "nobody@example.com"}, 404, "Nobody of that name"),
        (ERASE | {"kind": "retain"}, 404, "no such order"),
        (ERASE | {"person": ""}, 404, "no such order"),
        ({"kind": "hold", "thread": "f" * 32, "reason": "r"}, 404, "no such conversation"),
        ({"kind": "hold", "thread": "f" * 31, "reason": "r"}, 404, "no such order"),
        ({"kind": "release", "hold": "7", "reason": "r"}, 404, "no such hold"),
        ({"kind": "release", "hold": "９", "reason": "r"}, 404, "no such order"),
    ],
)
def test_what_makes_no_sense_is_no_order(held_room: Room, form: dict[str, str], status: int, said: str) -> None:
    answer = ask(held_room, **form)
    assert (answer.status, said in answer.text) == (status, True)
    assert not commands_path(held_room.data_dir).exists()


@pytest.mark.parametrize("path", ["/orders", f"/orders/{'0' * 32}/approve", f"/orders/{'0' * 32}/decline"])
def test_no_order_comes_from_anywhere_but_our_own_form(held_room: Room, path: str) -> None:
    assert held_room.post(path, ERASE | {"csrf": "forged"}).status == 403
    assert held_room.post(path, ERASE | {"csrf": held_room.csrf}, origin="http://evil.example").status == 403
    held_room.cookie = ""
    assert held_room.post(path, ERASE | {"csrf": "x"}).status == 401
    assert not commands_path(held_room.data_dir).exists()


def test_a_hold_on_a_conversation_stands_is_shown_and_is_ended(held_room: Room) -> None:
    ask(held_room, kind="hold", thread=THREAD, reason="a lawsuit")
    carry_out(held_room)
    page = held_room.get("/orders").text
    assert "a lawsuit" in page
    assert f"/threads/{THREAD}" in page
    ask(held_room, kind="release", hold="1", reason="over")
    carry_out(held_room)
    assert "Nothing is held" in held_room.get("/orders").text


def test_an_order_that_fails_says_why(held_room: Room) -> None:
    ask(held_room, kind="hold", person="ann@example.com", reason="a lawsuit")
    ask(held_room, **ERASE)
    carry_out(held_room)
    assert ">held</a>" in held_room.get("/people").text
    assert "Nothing was erased" in held_room.get("/orders").text


def test_a_second_person_sees_what_they_would_approve(two_people: Room) -> None:
    put_in(two_people, "bob")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", two_people.get("/orders").text))
    assert "ann@example.com · 1 exchanges" in page

    ask(two_people, kind="hold", person="ann@example.com", reason="a lawsuit")
    carry_out(two_people, two_people=True)
    ask(two_people, kind="release", hold="1", reason="it is over")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", two_people.get("/orders/table").text))
    assert "End a hold ann@example.com a lawsuit" in page


def test_nobody_approves_their_own_and_a_second_person_does(two_people: Room) -> None:
    ask(two_people, **ERASE)
    own = re.search(r"/orders/([0-9a-f]{32})/decline", page := two_people.get("/orders").text)
    assert own is not None
    assert "/approve" not in page
    refused = two_people.post(f"/orders/{own[1]}/approve", {"csrf": two_people.csrf})
    assert (refused.status, "A second person has to" in refused.text) == (409, True)

    others = put_in(two_people, "bob")
    assert f"/orders/{others}/approve" in two_people.get("/orders").text
    two_people.post(f"/orders/{others}/approve", {"csrf": two_people.csrf})
    carry_out(two_people, two_people=True)
    assert [state[:2] for state in states(two_people)] == [("erase", "done"), ("erase", "proposed")]
    assert "approved by" in two_people.get("/orders").text


@pytest.mark.parametrize("path", ["/overview", "/people", "/refusals"])
def test_a_page_that_counts_names_nobody_who_was_erased(room: Room, path: str) -> None:
    room.store(at(chat("a", "b"), HOUR), at(refused(), HOUR), at(chat("c", "d"), HOUR, BOB), at(refused(), HOUR, BOB))
    assert "ann@example.com" in room.get(path).text
    ask(room, **ERASE)
    carry_out(room)
    page = room.get(path).text
    assert "ann@example.com" not in page
    assert "bob@example.co.jp" in page


def test_people_and_refusals_say_how_many_exchanges_are_of_people_who_were_erased(room: Room) -> None:
    room.store(at(chat("a", "b"), HOUR), at(refused(), HOUR), at(refused(), HOUR, BOB))
    ask(room, **ERASE)
    carry_out(room)
    assert "2 exchanges are of people who were erased" in room.get("/people").text
    assert "erased people" in room.get("/refusals").text


def test_facets_and_completions_name_nobody_who_was_erased(room: Room) -> None:
    carl = replace(BOB, subject="carl", email="carl@example.com")
    room.store(*[at(chat("東京", "d"), HOUR, who) for who in (ANN, BOB, carl)])
    ask(room, **ERASE)
    carry_out(room)
    for query in ("", "model:gpt-4o", "after:2h"):
        page = room.get(f"/exchanges?q={query}").text
        facets = page.partition('class="facets"')[2].partition('class="results"')[0]
        assert "ann@example.com" not in facets
        assert "carl@example.com" in facets
    assert "ann@" not in room.get("/exchanges/complete?q=user:").text


def test_who_comes_back_after_an_erasure_is_new(room: Room) -> None:
    room.store(
        at(chat("x", "y"), 24 * 40 * HOUR, BOB), at(chat("a", "b"), 24 * 20 * HOUR), at(chat("a", "b"), 2 * HOUR)
    )
    ask(room, **ERASE)
    carry_out(room)
    room.store(chat("back again", "b", started_at=time.time_ns() // 1000))
    page = room.get("/people?range=30d").text
    row = next(row for row in page.split("<tr>") if ">ann@example.com<" in row)
    assert "badge new" in row
    assert 'data-label="Exchanges">1<' in row
    assert "2 exchanges are of people who were erased" in page


def test_what_is_declined_stays_so(two_people: Room) -> None:
    order = put_in(two_people, "bob")
    two_people.post(f"/orders/{order}/decline", {"csrf": two_people.csrf})
    assert "Declined by ann" in two_people.get("/orders").text
    assert two_people.post(f"/orders/{order}/approve", {"csrf": two_people.csrf}).status == 409
    assert two_people.post(f"/orders/{'0' * 32}/approve", {"csrf": two_people.csrf}).status == 404


def test_a_queue_that_cannot_be_used_is_a_page_that_says_so(held_room: Room) -> None:
    commands_path(held_room.data_dir).write_bytes(b"this is no database" * 100)
    for answer in (held_room.get("/orders"), ask(held_room, **ERASE)):
        assert answer.status == 503
        assert "commands.db cannot be used" in answer.text


def test_buttons_stand_where_somebody_decides(held_room: Room) -> None:
    given = re.search(r'data-href="(/exchanges/[0-9a-f-]+)"', held_room.get("/exchanges").text)
    assert given is not None
    for path in (given[1], f"/threads/{THREAD}"):
        page = held_room.get(path).text
        for wanted in (f"kind=hold&amp;thread={identifier(THREAD)}", "kind=erase&amp;person=ann%40example.com"):
            assert wanted in page, path


def test_an_erasure_says_what_the_chat_fronts_know_of_them_and_takes_it_out(room: Room) -> None:
    room.store(chat("秘密鑰匙", "はい"))
    book, ends = Book(room.data_dir), int(time.time()) + 3600
    for email in ("ann@example.com", "carol@example.com"):
        book.begin_session(f"s-{email}", email, "https://chat.example.com", ends, "Firefox")
        book.begin_token(f"t-{email}", email, "laptop", ends, Scope())
    form = room.get("/orders/new?kind=erase&person=ann@example.com")
    assert "At the chat fronts" in form.text
    only_there = room.get("/orders/new?kind=erase&person=carol@example.com")
    assert only_there.status == 200
    assert room.get("/orders/new?kind=hold&person=carol@example.com").status == 404
    ask(room, **ERASE)
    ask(room, **{**ERASE, "person": "carol@example.com"})
    carry_out(room)

    assert [state for _, state, *_ in states(room)] == ["done", "done"]
    assert book.tokens_of("ann@example.com") == book.tokens_of("carol@example.com") == []
    assert {one.value for one in revocations(room.data_dir)} == {
        f"{what}-{who}@example.com" for what in "st" for who in ("ann", "carol")
    }
    assert room.get("/orders").text.count("tokens of their own") == 2
