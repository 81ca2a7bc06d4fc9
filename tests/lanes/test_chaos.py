"""Disorder of every kind at once; what must hold holds all the same. The seed is in the test's name."""

import asyncio
import contextlib
import random

import httptools
import pytest
from mitmproxy import http

from lanes.express.door import answer_for
from lanes.express.limits import Limits
from tests.lanes.conftest import Build, Streaming
from tests.lanes.upstream import JSON, STREAM, CutOff, post

CHUNKED = b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
GET = b"GET /g HTTP/1.1\r\nHost: h\r\n\r\n"
SPICE = [b"\r", b"\n", b"\r\n", b"\0", b" ", b":", b"0\r\n\r\n", b"Content-Length: 5\r\n", b"\xff", b"A", b"chunked"]


class Requests:
    """What an upstream would make of what it got."""

    def __init__(self) -> None:
        self.whole = 0

    def on_message_complete(self) -> None:
        self.whole += 1


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_sent_the_upstream_sees_whole_requests_one_for_each_that_was_judged(
    road: Build, seed: int
) -> None:
    class Methods:
        """The gate's part."""

        def requestheaders(self, flow: http.HTTPFlow) -> None:
            if flow.request.data.method not in (b"GET", b"POST"):
                flow.response = answer_for("method_not_allowed")

    dice = random.Random(seed)
    r = await road(Methods(), limits=Limits(linger_seconds=0.1, sweep_seconds=0.02))
    for _ in range(150):
        raw = bytearray(b"".join(dice.choice([post(), CHUNKED, GET]) for _ in range(dice.randint(1, 3))))
        for _ in range(dice.randint(0, 2)):
            at = dice.randrange(len(raw))
            if dice.random() < 0.5:
                raw[at : at + dice.randint(0, 3)] = dice.choice(SPICE)
            else:
                raw[at:at] = dice.choice(SPICE)
        caller = await r.caller()
        caller.send(bytes(raw))
        await asyncio.sleep(0.002)
        caller.close()
    for _ in range(200):
        if len(r.witness.ends()) == len(r.witness.flows) and not r.lane.callers:
            break
        await asyncio.sleep(0.02)
    assert len(r.witness.ends()) == len(r.witness.flows)
    assert not r.lane.callers
    for request in r.upstream.seen:
        told = Requests()
        httptools.HttpRequestParser(told).feed_data(request)
        assert told.whole == 1, request
    sent = [f for f in r.witness.flows if f.request.data.timestamp_end is not None]
    assert len(r.upstream.seen) <= len(sent)


@pytest.mark.parametrize("seed", range(4))
async def test_whoever_leaves_when_every_exchange_ends_once(road: Build, seed: int) -> None:
    dice = random.Random(seed)

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        reply = dice.choice([JSON, STREAM])
        at = dice.randrange(len(reply) + 1)
        writer.write(reply[:at])
        await asyncio.sleep(dice.random() * 0.01)
        if dice.random() < 0.2:
            (writer.transport.abort if dice.random() < 0.5 else writer.close)()
        elif not writer.is_closing():
            writer.write(reply[at:])

    class Sometimes:
        """Waits, at times, and so lets other things happen meanwhile."""

        async def _wait(self) -> None:
            if dice.random() < 0.3:
                await asyncio.sleep(dice.random() * 0.005)

        async def requestheaders(self, _flow: http.HTTPFlow) -> None:
            await self._wait()

        async def request(self, _flow: http.HTTPFlow) -> None:
            await self._wait()

        async def responseheaders(self, _flow: http.HTTPFlow) -> None:
            await self._wait()

        async def response(self, _flow: http.HTTPFlow) -> None:
            await self._wait()

        async def error(self, _flow: http.HTTPFlow) -> None:
            await self._wait()

    r = await road(Sometimes(), Streaming(), answer=answer, limits=Limits(linger_seconds=0.1, sweep_seconds=0.02))
    whole = cut = 0

    async def call() -> None:
        nonlocal whole, cut
        caller = await r.caller()
        for _ in range(4):
            caller.send(post())
            if dice.random() < 0.1:
                await asyncio.sleep(dice.random() * 0.01)
                caller.close()
                return
            try:
                got = await caller.response()
            except CutOff:
                cut += 1
                return
            assert got.raw in (JSON, STREAM) or got.status == 502
            whole += 1

    for _ in range(4):
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(*(call() for _ in range(25)))
    for _ in range(200):
        if len(r.witness.ends()) == len(r.witness.flows):
            break
        await asyncio.sleep(0.02)
    for caller in r.callers:
        caller.close()
    await asyncio.sleep(0.2)
    assert len(r.witness.ends()) == len(r.witness.flows)
    assert all(not f.live for f in r.witness.flows)
    assert whole > 50
    assert cut > 0
    assert not r.lane.callers
    assert not r.lane._tasks
    assert all(u.passage is None for u in r.lane.upstreams)
