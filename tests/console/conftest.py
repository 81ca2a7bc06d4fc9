"""A real console over a real audit.db, in a thread; and Debian's Chromium to look at it with."""

import http.client
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
import uvicorn

from console.app import console_app
from console.sessions import Sessions
from console.store import sqlite_store
from exchange.record import Record
from settings.schema import Settings
from tests.cli.records import store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Room:
    """The console, and somebody who is signed in unless `cookie` is taken away."""

    data_dir: Path
    port: int
    sessions: Sessions
    invited: list[bool]
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def store(self, *records: Record) -> list[str]:
        return store(self.data_dir, *records)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, **headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        return self.ask("POST", path, urlencode(form), **headers)

    def ask(self, method: str, path: str, body: str | None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            cookie = {"cookie": f"sekisho-console={self.cookie}"} if self.cookie else {}
            said = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {**cookie, **self.headers, **said})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    @property
    def csrf(self) -> str:
        session = self.sessions.get(self.cookie)
        assert session is not None
        return session.csrf

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def opened(settings: Settings, who: str = "ann") -> Iterator[Room]:
    """A console with these settings."""
    settings.data_dir.mkdir(exist_ok=True)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    sessions = Sessions(settings.console.idle)
    invited: list[bool] = []
    app = console_app(
        settings,
        sqlite_store(settings),
        sessions,
        who=who,
        invite=lambda: invited.append(True),
        running=lambda: not server.should_exit,
    )
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started and time.monotonic() < end:
        time.sleep(0.02)
    port = listening.getsockname()[1]
    room = Room(settings.data_dir, port, sessions, invited)
    room.cookie = sessions.enter(sessions.one_time_key(), who) or ""
    try:
        yield room
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with opened(Settings.model_validate({"data_dir": str(tmp_path / "data")})) as room:
        yield room


@pytest.fixture
def strict_room(tmp_path: Path) -> Iterator[Room]:
    """Where a reason is asked for."""
    with opened(
        Settings.model_validate({"data_dir": str(tmp_path / "data"), "access": {"reason": "required"}})
    ) as room:
        yield room


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    """A browser. Where there is none the test is skipped, but never in CI.

    Ended with its module: as long as Playwright's own loop runs in a thread, no asynchronous test can run there.
    """
    if not CHROMIUM.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing: apt-get install chromium")
        pytest.skip("Chromium is not here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
