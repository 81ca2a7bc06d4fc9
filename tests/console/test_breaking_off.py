"""What happens to the record while something of it is being sent: it never looks whole when it is not, and one line of
the log says why."""

import contextlib
import http.client
import logging
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

from console.exporting import Export
from storage.access import access_path
from storage.query.terms import Query
from storage.sqlite.driver import audit_path
from storage.sqlite.reading import AuditReader
from tests.cli.records import chat, streamed
from tests.console.conftest import Room
from wire.conversation.record import ShownRecord

if TYPE_CHECKING:
    from playwright.sync_api import Browser

type Fault = Callable[[Path], None]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.exporting._LISTED", 2)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has to wait for SQLite gives up soon."""
    patient = sqlite3.connect
    monkeypatch.setattr(
        "storage.sqlite.driver.sqlite3.connect", lambda *given, **named: patient(*given, **{**named, "timeout": 0.1})
    )


_locks: list[sqlite3.Connection] = []


def locked(data_dir: Path) -> None:
    held = sqlite3.connect(audit_path(data_dir), isolation_level=None, check_same_thread=False)
    held.execute("pragma locking_mode=exclusive")
    held.execute("begin exclusive")
    held.execute("update meta set value = value")
    _locks.append(held)


def damaged(data_dir: Path) -> None:
    path = audit_path(data_dir)
    for beside in (path.with_name("audit.db-wal"), path.with_name("audit.db-shm")):
        beside.unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 200_000)


def gone(data_dir: Path) -> None:
    shutil.rmtree(data_dir)


def no_looks(data_dir: Path) -> None:
    access_path(data_dir).write_bytes(b"not a database" * 1000)


FAULTS = pytest.mark.parametrize("fault", [locked, damaged, gone, no_looks])


@pytest.fixture
def unlocked() -> Iterator[None]:
    yield
    while _locks:
        _locks.pop().close()


@contextmanager
def breaking(monkeypatch: pytest.MonkeyPatch, room: Room, fault: Fault) -> Iterator[None]:
    """The fault comes after the first part was sent."""
    heads = Export._heads

    def broken(self: Export, request: Request, query: Query, after: int) -> list[ShownRecord]:
        if after:
            fault(room.data_dir)
        return heads(self, request, query, after)

    with monkeypatch.context() as patch:
        patch.setattr(Export, "_heads", broken)
        yield


@FAULTS
@pytest.mark.usefixtures("impatient", "unlocked")
def test_a_file_breaks_off_in_a_way_that_a_browser_calls_failed_and_one_line_says_why(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    room.store(*[chat(f"{i}", "b") for i in range(5)])
    with breaking(monkeypatch, room, fault), caplog.at_level(logging.WARNING):
        with pytest.raises(http.client.IncompleteRead) as broken:
            room.get("/exchanges/export")
        _settled(caplog)
    assert broken.value.partial.count(b"\n") == 2
    (said,) = [line for line in caplog.records if line.name.startswith("console")]
    assert said.getMessage().startswith("GET /exchanges/export broke off, and what came of it is not whole: ")
    assert "Ask for it again once that is mended." in said.getMessage()
    assert [line for line in caplog.records if line.exc_info] == []


@pytest.mark.timeout(300)
def test_chromium_calls_such_a_download_failed(
    room: Room, monkeypatch: pytest.MonkeyPatch, chromium: "Browser"
) -> None:
    room.store(*[chat(f"{i}", "b") for i in range(5)])
    context = chromium.new_context(accept_downloads=True)
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    page.goto(room.url("/exchanges"))
    with page.expect_download() as whole:
        page.click("a[download]")
    assert whole.value.failure() is None
    with breaking(monkeypatch, room, damaged), page.expect_download() as broken:
        page.click("a[download]")
        assert broken.value.failure() is not None
    context.close()


def test_a_fault_of_our_own_breaks_it_off_too_and_says_where_it_is(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    room.store(*[chat(f"{i}", "b") for i in range(5)])

    def fault(_: Path) -> None:
        raise ZeroDivisionError

    with breaking(monkeypatch, room, fault), caplog.at_level(logging.WARNING):
        with pytest.raises(http.client.IncompleteRead):
            room.get("/exchanges/export")
        _settled(caplog)
    (said,) = [line for line in caplog.records if line.exc_info]
    assert "a fault of ours" in said.getMessage()


def test_the_servers_own_line_about_it_is_not_there_a_second_time() -> None:
    from console.running import _not_said_twice

    made = logging.getLogger("uvicorn.error").makeRecord
    twice = made("uvicorn.error", logging.ERROR, "", 0, "ASGI callable returned without completing response.", (), None)
    other = made("uvicorn.error", logging.ERROR, "", 0, "Exception in ASGI application\n", (), None)
    assert (_not_said_twice(twice), _not_said_twice(other)) == (False, True)


def _settled(caplog: pytest.LogCaptureFixture) -> None:
    """The line is written in the server's thread, once the connection is closed."""
    until = time.monotonic() + 10
    while not caplog.records and time.monotonic() < until:
        time.sleep(0.02)


class Tail:
    """A live list, read in a thread."""

    def __init__(self, room: Room) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", room.port, timeout=60)
        self._connection.request("GET", "/exchanges/live?after=0", headers={"cookie": f"sekisho-console={room.cookie}"})
        self._answer = self._connection.getresponse()
        self.came = ""
        self.ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            while part := self._answer.read1(65536):
                self.came += part.decode()
        self.ended = True

    def wait_for(self, said: str) -> None:
        until = time.monotonic() + 30
        while said not in self.came and time.monotonic() < until:
            time.sleep(0.02)
        assert said in self.came

    def close(self) -> None:
        assert self._connection.sock is not None
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()


@pytest.mark.parametrize("fault", [locked, no_looks])
@pytest.mark.usefixtures("impatient", "unlocked")
def test_the_live_list_stands_still_says_so_and_goes_on_with_what_it_has_not_shown(
    room: Room, caplog: pytest.LogCaptureFixture, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.exchanges._LOOK", 0.05)
    monkeypatch.setattr("console.exchanges._LEASE", 0.0)
    room.store(chat("first.", "b"))
    tail = Tail(room)
    tail.wait_for("first.")
    with caplog.at_level(logging.ERROR):
        if fault is no_looks:
            fault(room.data_dir)
            room.store(chat("second.", "b"))
        else:
            room.store(chat("second.", "b"))
            fault(room.data_dir)
        tail.wait_for("event: held")
        time.sleep(0.5)
    assert not tail.ended
    (said,) = [line for line in caplog.records if line.name == "console.exchanges"]
    assert "stands still" in said.getMessage()
    assert [line for line in caplog.records if line.exc_info] == []
    while _locks:
        _locks.pop().close()
    if fault is no_looks:
        assert "second." not in tail.came, "what cannot be written down is not shown"
        access_path(room.data_dir).unlink()
    tail.wait_for("second.")
    tail.wait_for("event: on")
    assert tail.came.count("second.") == 1
    tail.close()


@pytest.mark.timeout(300)
def test_the_page_says_that_its_list_stands_still_and_that_it_goes_on(
    room: Room, chromium: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.exchanges._LOOK", 0.05)
    monkeypatch.setattr("console.exchanges._LEASE", 0.0)
    room.store(chat("first.", "b"))
    context = chromium.new_context(locale="ja")
    context.add_cookies([{"name": "sekisho-console", "value": room.cookie, "url": room.url("/")}])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(room.url("/exchanges"))
    page.wait_for_selector(".live:not(.off) >> text=ライブ")
    no_looks(room.data_dir)
    room.store(chat("second.", "b"))
    page.wait_for_selector(".live.off >> text=停止中です")
    access_path(room.data_dir).unlink()
    page.wait_for_selector(".live:not(.off) >> text=ライブ")
    page.wait_for_selector("text=second.")
    context.close()


@pytest.mark.parametrize("path", ["", "/request", "/response", "/record.json", "/replay"])
def test_what_is_let_go_of_while_it_is_asked_for_is_not_here(
    room: Room, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (given,) = room.store(streamed(["a", "b"]))
    monkeypatch.setattr(AuditReader, "raw", _vanished)
    monkeypatch.setattr(AuditReader, "find", lambda *_: []) if path == "/record.json" else None
    answer = room.get(f"/exchanges/{given}{path}")
    assert (answer.status, "There is no exchange of this id." in answer.text) == (404, True)


def _vanished(*_: object) -> None:
    raise LookupError
