"""What a search found, as a file."""

import http.client
import json

import pytest
from starlette.requests import Request

from console.exporting import Export
from storage.access import access_path, read_access
from storage.query.terms import Query
from tests.cli.records import chat, refused
from tests.console.conftest import Room
from wire.conversation.record import ShownRecord


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.exporting._LISTED", 2)


def test_the_file_has_what_was_found_oldest_first_as_the_records_are_and_once_each(room: Room) -> None:
    ids = room.store(*[chat(f"東京 {i}", "答え") for i in range(5)])
    room.store(refused(), chat("elsewhere", "b"))
    answer = room.get("/exchanges/export?q=%E6%9D%B1%E4%BA%AC")
    lines = answer.body.splitlines(keepends=True)
    assert [json.loads(line)["id"].replace("-", "") for line in lines] == ids
    assert lines[3] == room.get(f"/exchanges/{ids[3]}/record.json").body
    assert answer.headers["content-disposition"] == 'attachment; filename="exchanges.jsonl"'
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_exchange_of_the_file_is_written_down_first(room: Room) -> None:
    room.store(*[chat(f"{i}", "b") for i in range(5)])
    room.get("/exchanges/export?q=decision:allow")
    looks = list(read_access(room.data_dir, 10))
    assert [(look.action, look.exchanges) for look in looks] == [("export", "1-2"), ("export", "3-4"), ("export", "5")]
    assert looks[0].asked == {"query": "decision:allow"}


def test_a_search_that_finds_nothing_is_an_empty_file_and_a_look(room: Room) -> None:
    room.store(chat("a", "b"))
    assert room.get("/exchanges/export?q=zebra").body == b""
    assert [look.asked for look in read_access(room.data_dir, 5)] == [{"query": "zebra"}]


def test_large_exchanges_are_read_one_at_a_time(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.exporting._READ", 1)
    ids = room.store(*[chat("x" * 9_000, "b") for _ in range(3)])
    assert len(room.get("/exchanges/export").body.splitlines()) == len(ids)
    assert [look.exchanges for look in read_access(room.data_dir, 5)] == ["1", "2", "3"]


def test_a_file_never_looks_whole_when_whoever_asked_is_signed_out_meanwhile(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.store(*[chat(f"{i}", "b") for i in range(5)])
    heads = Export._heads

    def signed_out_at_the_second(self: Export, request: Request, query: Query, after: int) -> list[ShownRecord]:
        if after:
            room.sessions.leave(room.cookie)
        return heads(self, request, query, after)

    monkeypatch.setattr(Export, "_heads", signed_out_at_the_second)
    with pytest.raises(http.client.IncompleteRead) as broken:
        room.get("/exchanges/export")
    assert broken.value.partial.count(b"\n") == 2


@pytest.mark.parametrize("query", ["usr:x", "%22open"])
def test_a_query_that_is_wrong_is_a_page(room: Room, query: str) -> None:
    answer = room.get(f"/exchanges/export?q={query}")
    assert (answer.status, "</html>" in answer.text) == (400, True)


def test_what_cannot_be_written_down_is_not_in_a_file(room: Room) -> None:
    room.store(chat("secret", "b"))
    access_path(room.data_dir).write_bytes(b"not a database" * 1000)
    answer = room.get("/exchanges/export")
    assert (answer.status, "secret" in answer.text) == (503, False)


def test_without_the_reason_that_is_asked_for_there_is_no_file(strict_room: Room) -> None:
    strict_room.store(chat("secret", "b"))
    answer = strict_room.get("/exchanges/export?q=user:ann")
    assert (answer.status, answer.headers["location"]) == (303, "/reason?next=%2Fexchanges%2Fexport%3Fq%3Duser%3Aann")


def test_the_list_offers_the_file_of_its_search(room: Room) -> None:
    room.store(chat("東京", "b"))
    assert 'href="/exchanges/export?q=%E6%9D%B1%E4%BA%AC"' in room.get("/exchanges?q=%E6%9D%B1%E4%BA%AC").text
    assert "/exchanges/export" not in room.get("/exchanges?q=zebra").text
