"""Every exchange ends once: `response` when the reply was whole, else `error`, and the caller can tell which."""

import asyncio
import resource
import socket

import pytest
from mitmproxy import http

from lanes.express.limits import Limits
from tests.lanes.conftest import Build, Streaming
from tests.lanes.upstream import JSON, STREAM, CutOff, RawCaller, post, replying
from tests.ports import free_port


async def settled(r: object) -> None:
    await asyncio.sleep(0.02)


def hang_up(caller: RawCaller, how: str) -> None:
    if how == "close":
        caller.close()
    elif how == "half-close":
        caller.writer.write_eof()
    else:
        caller.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        caller.writer.transport.abort()


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
async def test_a_caller_that_leaves_mid_stream_is_noticed_at_once(road: Build, how: str) -> None:
    r = await road(Streaming(), answer=replying(STREAM[:-10], 5.0, STREAM[-10:]))
    caller = await r.caller()
    caller.send(post())
    await caller._more()
    hang_up(caller, how)
    await r.witness.ended()
    assert r.witness.ends() == ["error"]
    assert r.witness.flow.error.msg == "Client disconnected"
    await settled(r)
    assert not r.lane.upstreams
    assert not r.lane.callers


async def test_a_caller_that_leaves_while_we_wait_for_the_reply_is_noticed_at_once(road: Build) -> None:
    r = await road(answer=replying(5.0, JSON))
    caller = await r.caller()
    caller.send(post())
    while not r.upstream.seen:
        await asyncio.sleep(0.01)
    caller.close()
    await r.witness.ended()
    assert r.witness.names.count("error") == 1
    assert "responseheaders" not in r.witness.names


async def test_a_caller_that_leaves_amid_its_body_never_reaches_the_upstream(road: Build) -> None:
    r = await road()
    caller = await r.caller()
    caller.send(post(b"x" * 100)[:-10])
    while not r.witness.flows:
        await asyncio.sleep(0.01)
    caller.close()
    await r.witness.ended()
    assert r.witness.ends() == ["error"]
    assert r.upstream.connections == 0


async def test_a_caller_that_leaves_while_a_hook_waits_is_not_forwarded(road: Build) -> None:
    gate = asyncio.Event()

    class Slow:
        async def request(self, _flow: http.HTTPFlow) -> None:
            await gate.wait()

    r = await road(Slow())
    caller = await r.caller()
    caller.send(post())
    while "request" not in r.witness.names:
        await asyncio.sleep(0.01)
    caller.close()
    await settled(r)
    assert r.witness.ends() == []
    gate.set()
    await r.witness.ended()
    assert r.witness.flow.error.msg == "Client disconnected"
    assert r.upstream.connections == 0


@pytest.mark.parametrize("at", range(len(STREAM)))
async def test_an_upstream_that_breaks_off_breaks_the_caller_off(road: Build, at: int) -> None:
    r = await road(Streaming(), answer=replying(STREAM[:at], close=True))
    caller = await r.caller()
    caller.send(post())
    if at < STREAM.index(b"\r\n\r\n") + 4:
        got = await caller.response()
        assert got.status == 502
        assert b"upstream_unreachable" in got.body
    else:
        with pytest.raises(CutOff) as cut:
            await caller.response()
        assert cut.value.got == STREAM[:at]
    await r.witness.ended()
    assert r.witness.ends() == ["error"]
    assert r.witness.flow.error.msg == "Upstream disconnected"


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_sized_reply_that_is_too_short_is_no_reply(road: Build, streaming: bool) -> None:
    r = await road(*([Streaming()] if streaming else []), answer=replying(JSON[:-3], close=True))
    caller = await r.caller()
    caller.send(post())
    if streaming:
        with pytest.raises(CutOff):
            await caller.response()
    else:
        assert (await caller.response()).status == 502
    assert r.witness.ends() == ["error"]


async def test_a_reset_does_not_end_a_reply_that_ends_by_close(road: Build) -> None:
    async def reset(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await asyncio.sleep(0.02)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    r = await road(Streaming(), answer=reset)
    caller = await r.caller()
    caller.send(post())
    with pytest.raises(CutOff):
        await caller.response()
    assert r.witness.ends() == ["error"]


BAD_REPLIES = {
    "not HTTP": b"SSH-2.0-x\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab",
    "coding with 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nX: y\x00\r\nContent-Length: 0\r\n\r\n",
    "switched": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
    "endless interim replies, then rubbish": b"HTTP/1.1 100 Continue\r\n\r\n" * 5000 + b"x\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_REPLIES)
async def test_a_reply_whose_framing_cannot_be_trusted_is_not_passed_on(road: Build, name: str) -> None:
    r = await road(Streaming(), answer=replying(BAD_REPLIES[name], 0.05))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).status == 502
    assert r.witness.ends() == ["error"]
    assert r.witness.flow.error.msg.startswith("Upstream disconnected")


async def test_a_bad_chunk_breaks_off(road: Build) -> None:
    r = await road(Streaming(), answer=replying(STREAM[:-5] + b"xyz\r\n", 1.0))
    caller = await r.caller()
    caller.send(post())
    with pytest.raises(CutOff):
        await caller.response()
    assert r.witness.ends() == ["error"]


@pytest.mark.parametrize("sound", [b"", b"5\r\nhello\r\n"], ids=["at once", "after a chunk"])
async def test_what_came_before_a_bad_chunk_reaches_the_caller_as_the_head_does(road: Build, sound: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    tee = Streaming()
    r = await road(tee, answer=replying(head + sound + b"xyz\r\n"))
    caller = await r.caller()
    caller.send(post())

    with pytest.raises(CutOff) as cut:
        await caller.response()
    assert cut.value.got == head + sound
    assert b"".join(tee.pieces) == (b"hello" if sound else b"")
    assert r.witness.ends() == ["error"]


async def test_bytes_after_a_reply_are_not_the_next_callers(road: Build) -> None:
    r = await road(answer=replying(JSON + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    caller = await r.caller()
    for _ in range(3):
        caller.send(post())
        assert (await caller.response()).raw == JSON
    assert r.upstream.connections == 3


async def test_bytes_on_an_idle_connection_are_not_the_next_callers(road: Build) -> None:
    r = await road(answer=replying(JSON, 0.02, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    caller = await r.caller()
    for _ in range(3):
        caller.send(post())
        assert (await caller.response()).raw == JSON
        await asyncio.sleep(0.05)
    assert r.upstream.connections == 3


async def test_a_request_that_was_sent_is_not_sent_again(road: Build) -> None:
    count = 0

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        if count == 2:
            writer.close()
        else:
            writer.write(JSON)

    r = await road(answer=answer)
    caller = await r.caller()
    for status in (200, 502, 200):
        caller.send(post())
        assert (await caller.response()).status == status
    assert count == 3
    assert r.witness.ends() == ["response", "error", "response"]


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", None), ("no-such-host.invalid", 80), ("a" * 70, 80), ("", 80), ("bad host", 80)],
)
async def test_an_upstream_that_cannot_be_reached_is_a_502(road: Build, host: str, port: int | None) -> None:
    there = port or free_port()

    class Elsewhere:
        def request(self, flow: http.HTTPFlow) -> None:
            flow.request.data.host = host
            flow.request.data.port = there

    r = await road(Elsewhere())
    caller = await r.caller()
    caller.send(post() + post())
    for _ in range(2):
        got = await caller.response()
        assert got.status == 502
        assert got.header(b"x-should-retry") == b"true"
    assert r.witness.ends() == ["error"] * 2
    assert r.witness.flow.error.msg.startswith("Upstream unreachable")


async def test_a_silent_upstream_is_a_504(road: Build) -> None:
    r = await road(answer=replying(5.0), limits=Limits(reply_seconds=0.1, sweep_seconds=0.05))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).status == 504
    assert r.witness.flow.error.msg.startswith("Upstream timed out")
    assert r.witness.ends() == ["error"]


async def test_a_stream_that_falls_silent_breaks_off(road: Build) -> None:
    r = await road(Streaming(), answer=replying(STREAM[:-5], 5.0), limits=Limits(reply_seconds=0.1, sweep_seconds=0.05))
    caller = await r.caller()
    caller.send(post())
    with pytest.raises(CutOff):
        await caller.response()
    assert r.witness.flow.error.msg.startswith("Upstream timed out")


async def test_a_slow_reader_holds_the_upstream_back(road: Build) -> None:
    big = b"x" * 1_000_000
    sent = 0

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            writer.write(b"%x\r\n%b\r\n" % (len(big), big))
            await writer.drain()
            sent += len(big)
        writer.write(b"0\r\n\r\n")

    class Through:
        def responseheaders(self, flow: http.HTTPFlow) -> None:
            flow.response.stream = True  # type: ignore[union-attr]

    r = await road(Through(), answer=answer)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    caller = await r.caller()
    caller.send(post())
    await asyncio.sleep(0.5)
    held = sent
    assert held < 40_000_000
    (ours,) = r.lane.callers
    assert ours._transport.get_write_buffer_size() < 2_000_000
    got = 0
    while got < 100_000_000:
        got += len(await asyncio.wait_for(caller.reader.read(1 << 20), 5))
    await r.witness.ended()
    assert r.witness.ends() == ["response"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB, upstream and caller included


async def test_a_caller_that_stops_reading_is_let_go(road: Build) -> None:
    r = await road(
        Streaming(),
        answer=replying(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n", b"x" * 50_000_000),
        limits=Limits(send_seconds=0.2, sweep_seconds=0.05),
    )
    caller = await r.caller(limit=1024)
    caller.send(post())
    await r.witness.ended()
    assert r.witness.flow.error.msg == "Client disconnected"


# -- draining ------------------------------------------------------------------------------------------------------


async def test_draining_lets_open_streams_end(road: Build) -> None:
    r = await road(Streaming(), answer=replying(STREAM[:-10], 0.2, STREAM[-10:]))
    busy, idle = await r.caller(), await r.caller()
    busy.send(post())
    await busy._more()
    draining = asyncio.ensure_future(r.lane.drain(5))
    assert await idle.ended()
    assert (await busy.response()).raw == STREAM
    assert await busy.ended()
    busy.close()
    await draining
    assert r.witness.ends() == ["response"]
    with pytest.raises(OSError, match="refused"):
        await RawCaller.to(r.port)


async def test_draining_cuts_what_does_not_end(road: Build) -> None:
    r = await road(Streaming(), answer=replying(STREAM[:-10], 5.0))
    caller = await r.caller()
    caller.send(post())
    await caller._more()
    await r.lane.drain(0.1)
    with pytest.raises(CutOff):
        await caller.response()
    assert r.witness.ends() == ["error"]
    assert r.witness.flow.error.msg == "Proxy shutting down"
    assert not r.lane.callers
    await settled(r)
    assert not r.lane.upstreams


async def test_a_request_that_comes_while_draining_is_the_connections_last(road: Build) -> None:
    r = await road(answer=replying(0.1, JSON))
    caller = await r.caller()
    caller.send(post())
    await asyncio.sleep(0.03)
    draining = asyncio.ensure_future(r.lane.drain(5))
    got = await caller.response()
    assert got.status == 200
    assert got.header(b"connection") == b"close"
    assert await caller.ended()
    caller.close()
    await draining
