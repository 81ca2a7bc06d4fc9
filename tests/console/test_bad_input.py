"""Whatever is asked, and whatever became of the record: a page that a person can read."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exchange.record import Record
from settings.schema import Settings
from storage.sqlite.driver import audit_path
from tests.cli.records import chat, record
from tests.console.conftest import Answer, Room, opened
from tests.storage.sealing.conftest import QUESTION, key_file, sealed, told

THREAD = "0" * 31 + "1"
NOBODY = "f" * 32


def readable(answer: Answer, *statuses: int) -> None:
    assert answer.status in statuses, answer.text[:300]
    assert "Traceback" not in answer.text
    assert "</html>" in answer.text
    assert "That is a fault of ours" not in answer.text


def threaded(one: Record) -> Record:
    return replace(one, derived=replace(one.derived, thread_id=THREAD))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Room, dict[str, str]]]:
    """A record with a conversation of 5,000 messages, and an exchange of 50 MB."""
    settings = Settings.model_validate({"data_dir": str(tmp_path_factory.mktemp("bad") / "data")})
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"message-{i:04d}."} for i in range(5001)]
    with opened(settings) as room:
        small, long, large = room.store(
            threaded(record({"model": "gpt-4o", "messages": turns[:4999]}, None)),
            threaded(record({"model": "gpt-4o", "messages": turns}, None)),
            threaded(chat("x" * 50_000_000, "b")),
        )
        yield room, {"small": small, "long": long, "large": large}


@pytest.mark.parametrize(
    "path",
    [
        f"/exchanges/{NOBODY}/new", f"/exchanges/{NOBODY}/replay", "/exchanges/nonsense/new", f"/threads/{NOBODY}",
        "/orders/new", "/orders/new?kind=erase&person=nobody", f"/orders/new?kind=hold&thread={NOBODY}",
        "/orders/new?kind=release&hold=99999999999", "/exchanges/%00", "/exchanges/..%2f..%2fetc",
        "/threads/%F0%9F%98%80",
    ],
)  # fmt: skip
def test_what_is_not_there_is_said(full: tuple[Room, dict[str, str]], path: str) -> None:
    readable(full[0].get(path), 404)


@pytest.mark.parametrize("page", ["/exchanges", "/overview", "/refusals", "/people"])
@pytest.mark.parametrize("query", ["usr:x", "%22open", "after:never", "x" * 3000])
def test_a_query_that_is_wrong_is_said_on_every_page(full: tuple[Room, dict[str, str]], page: str, query: str) -> None:
    readable(full[0].get(f"{page}?q={query}"), 400)


@pytest.mark.parametrize("page", ["/overview?range=%F0%9F%98%80", "/exchanges?q=%ff%fe", "/exchanges?before=x&q=%00a"])
def test_values_of_no_sense_are_a_page_all_the_same(full: tuple[Room, dict[str, str]], page: str) -> None:
    readable(full[0].get(page), 200, 400)


def test_five_thousand_messages_are_one_new_turn_against_those_before(full: tuple[Room, dict[str, str]]) -> None:
    room, ids = full
    answer = room.get(f"/exchanges/{ids['long']}/new")
    readable(answer, 200)
    assert "message-5000." in answer.text
    assert "message-4000." not in answer.text
    readable(room.get(f"/threads/{THREAD}"), 200)


@pytest.mark.parametrize("path", ["new", "replay"])
def test_fifty_megabytes_are_not_put_on_any_page(full: tuple[Room, dict[str, str]], path: str) -> None:
    room, ids = full
    answer = room.get(f"/exchanges/{ids['large']}/{path}")
    readable(answer, 404)
    assert "too large for a page" in answer.text
    assert len(room.get(f"/threads/{THREAD}").body) < 2_000_000


PAGES = ["/exchanges", "/overview", "/refusals", "/people", "/orders", f"/threads/{NOBODY}", f"/exchanges/{NOBODY}"]


@pytest.mark.parametrize("page", PAGES)
def test_a_record_that_is_gone_is_said_on_every_page(room: Room, page: str) -> None:
    room.store(chat("a", "b"))
    shutil.rmtree(room.data_dir)
    readable(room.get(page), 503)


@pytest.mark.parametrize("page", PAGES)
def test_a_record_that_is_damaged_is_said_on_every_page(room: Room, page: str) -> None:
    room.store(chat("a", "b"))
    path = audit_path(room.data_dir)
    for beside in (path.with_name("audit.db-wal"), path.with_name("audit.db-shm")):
        beside.unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 100_000)
    readable(room.get(page), 503, 404)


@pytest.mark.parametrize("seal", [None, "other.key"], ids=["no key", "another key"])
def test_a_record_that_is_sealed_is_said_on_every_page_that_would_open_it(tmp_path: Path, seal: str | None) -> None:
    place = sealed(tmp_path)
    place.write(told())
    id_ = place.records()[0]["id"]
    other = {"storage": {"seal": {"key": {"file": str(key_file(tmp_path, seal).file)}}}} if seal else {}
    settings = Settings.model_validate({"data_dir": str(place.data_dir), **other})
    with opened(settings) as room:
        for path in ("/exchanges", f"/exchanges/{id_}", f"/exchanges/{id_}/record.json", f"/threads/{THREAD}"):
            answer = room.get(path)
            readable(answer, 503)
            assert "The record is sealed" in answer.text
            assert "storage.seal" in answer.text
            assert QUESTION[:8] not in answer.text


def test_a_record_that_somebody_keeps_locked_is_said(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    room.store(chat("a", "b"))
    patient = sqlite3.connect
    monkeypatch.setattr(
        "storage.sqlite.driver.sqlite3.connect", lambda *given, **named: patient(*given, **{**named, "timeout": 0.1})
    )
    held = patient(audit_path(room.data_dir), isolation_level=None)
    held.execute("pragma locking_mode=exclusive")
    held.execute("begin exclusive")
    held.execute("update meta set value = value")
    try:
        for page in ("/exchanges", "/overview", "/orders"):
            readable(room.get(page), 503)
    finally:
        held.close()
    readable(room.get("/exchanges"), 200)
