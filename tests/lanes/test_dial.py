"""Reaching an upstream: every address its name has, warm connections within their limits."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lanes.express.dial import dial
from lanes.express.limits import Limits
from tests.lanes.conftest import Build
from tests.lanes.upstream import post


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        yield s.getsockname()[1]


class Named:
    """A loop's getaddrinfo, of our making (uvloop's loop takes no attributes)."""

    def __init__(self, *addresses: tuple[int, Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._found = [(family, socket.SOCK_STREAM, 6, "", where) for family, where in addresses]
        self.tried: list[Any] = []
        self.silent: set[Any] = set()

    async def getaddrinfo(self, *_args: object, **_keywords: object) -> list[Any]:
        return self._found

    async def sock_connect(self, opened: socket.socket, where: Any) -> None:
        self.tried.append(where)
        if where in self.silent:
            await asyncio.sleep(30)
        await self._loop.sock_connect(opened, where)


def named(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[int, Any]) -> Named:
    loop = Named(*addresses)
    monkeypatch.setattr("lanes.express.dial.asyncio.get_running_loop", lambda: loop)
    return loop


async def test_an_address_that_refuses_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        closed = s.getsockname()
    loop = named(monkeypatch, (socket.AF_INET, closed), (socket.AF_INET, ("127.0.0.1", listening)))
    (await dial("name.test", 1, 5)).close()
    assert loop.tried == [closed, ("127.0.0.1", listening)]


async def test_an_address_that_says_nothing_gets_a_head_start_only(
    monkeypatch: pytest.MonkeyPatch, listening: int
) -> None:
    loop = named(monkeypatch, (socket.AF_INET, ("192.0.2.1", 9)), (socket.AF_INET, ("127.0.0.1", listening)))
    loop.silent = {("192.0.2.1", 9)}
    opened = await asyncio.wait_for(dial("name.test", 1, 0.02), 2)
    assert opened.getpeername() == ("127.0.0.1", listening)
    opened.close()


async def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    six = [(socket.AF_INET6, ("::1", p, 0, 0)) for p in (1, 2)]
    four = [(socket.AF_INET, ("127.0.0.1", p)) for p in (1, 2)]
    loop = named(monkeypatch, *six, *four)
    with pytest.raises(ConnectionRefusedError):
        await dial("name.test", 1, 5)
    assert loop.tried == [six[0][1], four[0][1], six[1][1], four[1][1]]


async def test_a_name_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch)
    with pytest.raises(OSError, match="has no address"):
        await dial("name.test", 1, 5)


async def test_an_address_written_as_one_asks_no_resolver(monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
    loop = named(monkeypatch)
    (await dial("127.0.0.1", listening, 5)).close()
    assert loop.tried == [("127.0.0.1", listening)]


@pytest.mark.parametrize(
    "limits",
    [
        Limits(idle_seconds=0.05, sweep_seconds=0.02),
        Limits(age_seconds=0.05, sweep_seconds=0.02),
        Limits(idle_connections=0),
    ],
    ids=["idle", "age", "number"],
)
async def test_warm_connections_are_kept_within_their_limits(road: Build, limits: Limits) -> None:
    r = await road(limits=limits)
    caller = await r.caller()
    for _ in range(2):
        caller.send(post())
        await caller.response()
        await asyncio.sleep(0.15)
    assert r.upstream.connections == 2
    assert not r.lane.upstreams


async def test_silent_peers_are_probed_on_both_sides(road: Build) -> None:
    r = await road()
    caller = await r.caller()
    caller.send(post())
    await caller.response()
    (ours,) = r.lane.callers
    (theirs,) = r.lane.upstreams
    for each in (ours, theirs):
        opened = each._transport.get_extra_info("socket")
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 45


async def test_a_connection_whose_caller_left_while_it_opened_serves_the_next(road: Build) -> None:
    gate = asyncio.Event()

    class Slow:
        async def server_connect(self, _data: object) -> None:
            await gate.wait()

    r = await road(Slow())
    first = await r.caller()
    first.send(post())
    while "server_connect" not in r.witness.names:
        await asyncio.sleep(0.01)
    first.close()
    await r.witness.ended()
    gate.set()
    await asyncio.sleep(0.05)
    assert r.upstream.connections == 1
    assert not r.upstream.seen
    second = await r.caller()
    second.send(post())
    assert (await second.response()).status == 200
    assert r.upstream.connections == 1
