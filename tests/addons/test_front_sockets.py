"""WebSockets between a chat UI's pages and the UI: a real worker, a real WebSocket server behind it, a real client."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

import identities.session
from identities.revoked import Revocation, revoke
from identities.session import session_keys
from tests.addons.running import worker
from tests.addons.test_cutting import WITHIN, number_of
from tests.addons.test_faults import rows
from tests.addons.test_fronts import BOB, HOST, ORIGIN, OTHER, session
from tests.journeys.provider import Provider

PATH = "/ws/socket.io/?EIO=4&transport=websocket"
SAME = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "websocket"}


@dataclass
class Ui:
    """Says back what it hears, and remembers who asked and how it ended."""

    asked: list[Request] = field(default_factory=list)
    closed: list[int | None] = field(default_factory=list)
    port: int = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Ui"]:
        def seen(_: ServerConnection, request: Request) -> None:
            self.asked.append(request)

        def answered(_: ServerConnection, __: Request, response: Response) -> None:
            response.headers["Set-Cookie"] = "sekisho-front=tossed; Path=/"
            response.headers["Set-Cookie"] = "io=1; Path=/"
            response.headers["Access-Control-Allow-Origin"] = "*"

        async def echo(connection: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                async for message in connection:
                    if message == "leave":
                        await connection.close(4001, "enough")
                    await connection.send(message)
            self.closed.append(connection.protocol.close_code)

        async with serve(
            echo, "127.0.0.1", 0, max_size=None, process_request=seen, process_response=answered
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self


@dataclass
class Place:
    folder: Path
    port: int
    ui: Ui
    provider: Provider

    @contextlib.asynccontextmanager
    async def opened(
        self, cookie: str | None, fields: dict[str, str] | None = None, path: str = PATH
    ) -> AsyncIterator[ClientConnection]:
        headers = {**(SAME if fields is None else fields), **({"Cookie": cookie} if cookie else {})}
        url = f"ws://{HOST}{path}"
        async with connect(
            url, host="127.0.0.1", port=self.port, additional_headers=headers, max_size=None, proxy=None
        ) as connection:
            yield connection


@contextlib.asynccontextmanager
async def place(
    folder: Path, *, kind: str = "open-webui", more: str = "", identity: str | None = None
) -> AsyncIterator[Place]:
    with Provider() as provider:
        async with Ui().running() as ui:
            settings = (
                "sign_in: {preset: oidc, issuer: 'http://127.0.0.1:9', client_id: sekisho}\n"
                f"fronts:\n  - {{host: {HOST}, upstream: 'http://127.0.0.1:{ui.port}', kind: {kind}}}\n{more}"
            )
            async with worker(folder, provider.url, lane="express", more=settings, identity=identity) as url:
                yield Place(folder, int(url.rpartition(":")[2]), ui, provider)


async def test_a_pages_websocket_reaches_the_ui_and_says_the_same_both_ways(tmp_path: Path) -> None:
    async with place(tmp_path, kind="open-webui, email_header: X-Sekisho-Email") as here:
        cookie = f"theme=dark; {session(tmp_path)}"
        fields = {
            **SAME,
            "X-Forwarded-For": "1.2.3.4",
            "X-Forwarded-Email": "boss@example.com",
            "x-sekisho-email": "boss@x",
        }
        async with here.opened(cookie, fields) as connection:
            told = connection.response
            said: list[Any] = ["こんにちは", b"\x00\xff" * 200_000, "x" * 300_000, ""]
            back = []
            for message in said:
                await connection.send(message)
                back.append(await connection.recv())
            await connection.ping()
            await connection.close(1000, "bye")

    assert back == said
    (asked,) = here.ui.asked
    assert asked.path == PATH
    assert asked.headers["Host"] == HOST
    assert asked.headers["Cookie"] == "theme=dark"
    assert asked.headers["Origin"] == ORIGIN
    assert asked.headers["X-Forwarded-Host"] == HOST
    assert asked.headers.get_all("X-Sekisho-Email") == ["ann@example.com"]
    for name in ("X-Forwarded-For", "X-Forwarded-Email", "Sec-WebSocket-Extensions"):
        assert name not in asked.headers, name
    assert told is not None
    assert told.headers.get_all("Set-Cookie") == ["io=1; Path=/"]
    assert "Access-Control-Allow-Origin" not in told.headers
    assert here.ui.closed == [1000]
    assert here.provider.received == []
    assert list(rows(tmp_path)) == []  # a page is no exchange


async def test_the_ui_ends_it_with_its_own_words(tmp_path: Path) -> None:
    async with place(tmp_path) as here, here.opened(session(tmp_path)) as connection:
        await connection.send("leave")
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "enough")


_REFUSED: list[tuple[str, str | None, dict[str, str], str, int]] = [
    # why, session, fields, path, status
    ("nobody", None, SAME, PATH, 401),
    ("a made-up session", "sekisho-front=ey.not.one", SAME, PATH, 401),
    ("a session of another front", "OTHER", SAME, PATH, 401),
    ("another site's page", "GOOD", {**SAME, "Origin": "https://evil.test"}, PATH, 403),
    ("another site's page in an old browser", "GOOD", {"Origin": "https://evil.test"}, PATH, 403),
    ("a name that begins like ours", "GOOD", {"Origin": f"{ORIGIN}.evil.test"}, PATH, 403),
    ("another scheme", "GOOD", {"Origin": ORIGIN.replace("http:", "https:")}, PATH, 403),
    ("another port", "GOOD", {"Origin": f"{ORIGIN}:81"}, PATH, 403),
    ("an opaque origin", "GOOD", {"Origin": "null"}, PATH, 403),
    ("no origin at all", "GOOD", {}, PATH, 403),
    ("no origin, whatever else is said", "GOOD", {"Sec-Fetch-Site": "same-origin"}, PATH, 403),
    ("a sibling's page", "GOOD", {**SAME, "Sec-Fetch-Site": "same-site"}, PATH, 403),
    ("one of our own pages", "GOOD", SAME, "/me", 426),
    ("the sign-in", "GOOD", SAME, "/_sekisho/login", 426),
    ("a path that can be read in two ways", "GOOD", SAME, "/ws/../me", 400),
]  # fmt: skip


async def test_no_other_sites_page_and_nobody_unknown_opens_one_and_the_ui_hears_nothing(tmp_path: Path) -> None:
    cookies = {"GOOD": session(tmp_path), "OTHER": session(tmp_path, origin=OTHER)}
    async with place(tmp_path) as here:
        for why, cookie, fields, path, status in _REFUSED:
            with pytest.raises(InvalidStatus) as refused:
                async with here.opened(cookies.get(cookie or "", cookie), fields, path):
                    pass
            assert refused.value.response.status_code == status, why
        assert here.ui.asked == []
        assert here.provider.received == []


@pytest.mark.parametrize(
    ("kind", "more"), [("nextchat", ""), ("librechat", ""), ("open-webui", "websockets: refuse\n")]
)
async def test_a_ui_whose_pages_open_none_gets_none_nor_does_any_where_the_settings_refuse_them(
    tmp_path: Path, kind: str, more: str
) -> None:
    async with place(tmp_path, kind=kind, more=more) as here:
        with pytest.raises(InvalidStatus) as refused:
            async with here.opened(session(tmp_path)):
                pass
        assert refused.value.response.status_code == 426
        assert here.ui.asked == []


async def test_a_handshake_that_is_none_does_not_reach_the_ui(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        for method, version, more in (
            ("POST", "1.1", key),
            ("GET", "1.0", key),
            ("GET", "1.1", key.replace("13", "12")),
            ("GET", "1.1", key.replace("AA==", "==")),
            ("GET", "1.1", key + "Content-Length: 1\r\n"),
            ("GET", "1.1", ""),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(
                f"{method} /ws HTTP/{version}\r\nHost: {HOST}\r\nOrigin: {ORIGIN}\r\nCookie: {session(tmp_path)}\r\n"
                f"Connection: Upgrade\r\nUpgrade: websocket\r\n{more}\r\n".encode()
            )
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 "), (method, version, more)
            writer.close()
        assert here.ui.asked == []


@pytest.mark.parametrize("how", ["signed out", "the person revoked", "expired", "all keys gone"])
async def test_it_is_closed_within_seconds_of_its_sessions_end_and_others_go_on(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    clock = "identity: {domains: [example.com], issuers: [{name: own, kind: own_token}], clock_skew: 0 s}\n"
    async with contextlib.AsyncExitStack() as open_now:
        here = await open_now.enter_async_context(place(tmp_path, identity=clock))
        bob = await open_now.enter_async_context(here.opened(session(tmp_path, BOB)))
        if how == "expired":
            monkeypatch.setattr(identities.session, "LIFE_S", 2)
        anns = session(tmp_path)
        ends = time.monotonic() + 2 if how == "expired" else 0.0
        monkeypatch.undo()
        ann = await open_now.enter_async_context(here.opened(anns))
        await ann.send("before")
        assert await ann.recv() == "before"
        began = max(time.monotonic(), ends)
        if how == "signed out":
            revoke(data, Revocation("token", number_of(anns.partition("=")[2]), int(time.time())))
        elif how == "the person revoked":
            revoke(data, Revocation("person", "ann@example.com", int(time.time())))
        elif how == "all keys gone":
            for file in (data / "keys").glob("session-*"):
                file.unlink()
            session_keys(data).signing()
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(ann.recv(), 10)
        after = time.monotonic() - began
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        if how != "all keys gone":
            assert after < WITHIN
            await bob.send("still here")
            assert await bob.recv() == "still here"
        await asyncio.sleep(0.1)
        assert here.ui.closed[:1] == [1001]


async def test_a_session_that_was_merely_forgotten_keeps_its_websocket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of sessions is bounded: what falls out of it is proven anew."""
    async with place(tmp_path) as here, here.opened(session(tmp_path)) as connection:
        monkeypatch.setattr("addons.front_pages.FrontPages.recall", lambda *_: None)
        await asyncio.sleep(2.2)
        await connection.send("still here")
        assert await connection.recv() == "still here"
