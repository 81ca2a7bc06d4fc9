"""`identity.cut_revoked`: what streams to somebody ends when they are revoked, on both lanes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from identities.own_token import mint
from identities.revoked import Revocation, revoke
from storage.journal.rows import Closing
from tests.addons.running import worker
from tests.addons.test_faults import rows
from tests.journeys.provider import Answer, Provider, completion, streamed
from tests.journeys.socket_provider import SocketProvider, send

CUT = "identity: {domains: [example.com], issuers: [{name: own, kind: own_token}], cut_revoked: true}\n"
KEPT = CUT.replace("true", "false")
STREAM = b'{"model": "gpt-4o", "stream": true, "messages": []}'
WITHIN = 3.0  # seconds, for 2 that are promised: two machines' worth of tests may run here

type Told = tuple[bytes, float]
"""What a caller got in all, and when its connection ended (monotonic)."""


async def asked(url: str, token: str) -> Told:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%b" % (token.encode(), len(STREAM), STREAM)
    )
    got = b""
    try:
        while b"\r\n0\r\n\r\n" not in got and (data := await asyncio.wait_for(reader.read(65536), 20)):
            got += data
    except ConnectionError:
        pass  # broken off, as it should be where nothing else tells that it is no end
    writer.close()
    return got, time.monotonic()


def number_of(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["jti"])


async def cut(
    folder: Path, token: str, *, by: str, asking: Callable[[], Awaitable[Told]], after: float = 0.4
) -> tuple[bytes, float]:
    """What came, and seconds from the revocation to the end."""
    task = asyncio.ensure_future(asking())
    await asyncio.sleep(after)
    value = "ann@example.com" if by == "person" else number_of(token)
    revoke(folder / "data", Revocation("person" if by == "person" else "token", value, int(time.time())))
    revoked = time.monotonic()
    got, ended = await task
    return got, ended - revoked


def closings(folder: Path) -> list[tuple[str, str | None, int | None]]:
    return [(row.observed, row.error, row.status) for row in rows(folder) if isinstance(row, Closing)]


@pytest.mark.parametrize("by", ["person", "token"])
async def test_a_stream_is_cut_within_seconds_and_those_of_others_go_on(
    tmp_path: Path, provider: Provider, lane: str, by: str
) -> None:
    provider.answer = streamed([f"word {i}" for i in range(36)], pause=0.09)
    ann, bob = (mint(tmp_path / "data", email=f"{name}@example.com", days=1) for name in ("ann", "bob"))
    async with worker(tmp_path, provider.url, lane=lane, identity=CUT) as url:
        theirs = asyncio.ensure_future(asked(url, bob))
        got, after = await cut(tmp_path, ann, by=by, asking=lambda: asked(url, ann))
        others, _ = await theirs

    assert b"word 1" in got
    assert b"word 35" not in got
    assert not got.endswith(b"0\r\n\r\n")  # no end is made up
    assert after < WITHIN
    assert b"word 35" in others
    assert provider.gone == 1  # the provider need not go on for nobody
    assert sorted(closings(tmp_path)) == [("refused", "invalid_token", 200), ("response_ended", None, 200)]


async def test_who_waits_for_the_first_word_is_told_why_none_comes(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    provider.answer = Answer(chunks=[b"late"], before_head=30)
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, identity=CUT) as url:
        got, after = await cut(tmp_path, token, by="person", asking=lambda: asked(url, token))

    assert got.startswith(b"HTTP/1.1 401 ")
    assert b'"invalid_token"' in got
    assert after < WITHIN
    assert closings(tmp_path) == [("refused", "invalid_token", 401)]


async def test_a_reply_that_ends_with_its_connection_never_looks_whole(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    """Of one that is sized too little comes; the caller's own client must see it."""
    provider.answer = Answer(chunks=[b"x" * 50] * 36, pause=0.09, sized=True)
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, identity=CUT) as url:
        got, _ = await cut(tmp_path, token, by="person", asking=lambda: asked(url, token))

    head, _, body = got.partition(b"\r\n\r\n")
    assert b"content-length: 1800" in head.lower()
    assert 0 < len(body) < 1800


async def test_without_the_setting_what_streams_goes_on_to_its_end(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    provider.answer = streamed([f"word {i}" for i in range(24)], pause=0.09)
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, identity=KEPT) as url:
        got, _ = await cut(tmp_path, token, by="person", asking=lambda: asked(url, token), after=0.1)
        provider.answer = completion()
        after, _ = await asked_plainly(url, token)

    assert b"word 23" in got
    assert got.endswith(b"0\r\n\r\n")
    assert after.startswith(b"HTTP/1.1 401 ")
    assert closings(tmp_path)[0] == ("response_ended", None, 200)


async def asked_plainly(url: str, token: str) -> Told:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % token.encode())
    got = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return got, time.monotonic()


@pytest.mark.parametrize("answering", [True, False], ids=["answering", "idle"])
async def test_an_open_websocket_is_closed_and_what_came_until_then_is_recorded_as_refused(
    tmp_path: Path, lane: str, answering: bool
) -> None:
    def serving(connection: ServerConnection) -> None:
        for _ in connection:
            send(connection, {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})

    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    with SocketProvider() as provider:
        provider.serving = serving
        async with worker(tmp_path, provider.url, lane=lane, identity=CUT) as url:
            headers = {"Authorization": f"Bearer {token}"}
            address = url.replace("http", "ws", 1) + "/v1/responses"
            async with connect(address, additional_headers=headers, proxy=None) as connection:
                if answering:
                    await connection.send('{"type": "response.create", "model": "gpt-4o", "input": "long"}')
                    await connection.recv()
                revoke(tmp_path / "data", Revocation("token", number_of(token), int(time.time())))
                began = time.monotonic()
                with pytest.raises(ConnectionClosed) as closed:
                    await asyncio.wait_for(connection.recv(), 10)
                after = time.monotonic() - began

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert after < WITHIN
    assert closings(tmp_path) == [("refused", "invalid_token", 101)]
