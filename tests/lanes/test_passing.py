"""What goes in comes out: framing, order, keep-alive, and what each side is told."""

import asyncio
import re

import pytest
from mitmproxy import http

from tests.lanes.conftest import Build, Streaming
from tests.lanes.upstream import JSON, STREAM, STREAMED, fields, post, replying


async def test_hooks_run_in_mitmproxys_order(road: Build) -> None:
    r = await road()
    caller = await r.caller()
    caller.send(post())
    got = await caller.response()
    assert got.raw == JSON
    caller.close()
    for _ in range(100):
        if r.witness.names[-1] == "client_disconnected":
            break
        await asyncio.sleep(0.01)
    assert r.witness.names == [
        "client_connected",
        "requestheaders",
        "request",
        "server_connect",
        "server_connected",
        "responseheaders",
        "response",
        "client_disconnected",
    ]


async def test_the_flow_is_what_an_addon_expects_of_mitmproxy(road: Build) -> None:
    r = await road()
    caller = await r.caller()
    caller.send(post(b"hello", b"X-Thing: a", b"x-thing: b", path=b"/v1/x?q=1&r=%20"))
    await caller.response()
    flow = r.witness.flow
    assert flow.request.path == "/v1/x?q=1&r=%20"
    assert flow.request.method == "POST"
    assert flow.request.raw_content == b"hello"
    assert flow.request.headers.get_all("x-thing") == ["a", "b"]
    assert flow.request.query["q"] == "1"
    assert flow.request.timestamp_start <= flow.request.timestamp_end <= flow.response.timestamp_start
    assert flow.response.timestamp_start <= flow.response.timestamp_end
    assert flow.response.json() == {"ok": "yes"}
    assert flow.client_conn.peername[0] == "127.0.0.1"
    assert flow.client_conn.sockname[1] == r.port
    assert flow.client_conn.proxy_mode.type_name == "express"
    assert flow.server_conn.address == ("127.0.0.1", r.upstream.port)
    assert flow.server_conn.timestamp_tcp_setup is not None
    assert http.HTTPFlow.from_state(flow.get_state()).get_state() == flow.get_state()
    copied: http.HTTPFlow = flow.copy()
    assert copied.id != flow.id
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", flow.id)


async def test_the_upstream_gets_the_request_without_what_was_for_us(road: Build) -> None:
    r = await road()
    caller = await r.caller()
    caller.send(
        post(
            b"abc",
            b"Accept: a",
            b"Connection: close, x-private",
            b"Keep-Alive: timeout=5",
            b"X-Private: p",
            b"TE: trailers",
            b"Proxy-Connection: keep-alive",
            b"Upgrade: h2c",
            b"Cookie: kept for the gate to judge",
        )
    )
    got = await caller.response()
    assert got.header(b"connection") == b"close"
    assert await caller.ended()
    assert r.upstream.seen == [
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: a\r\n"
        b"Cookie: kept for the gate to judge\r\nContent-Length: 3\r\n\r\nabc" % r.upstream.port
    ]


async def test_a_chunked_request_goes_on_sized(road: Build) -> None:
    r = await road()
    caller = await r.caller()
    caller.send(
        b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\n\r\n"
    )
    assert (await caller.response()).status == 200
    head, _, body = r.upstream.seen[0].partition(b"\r\n\r\n")
    assert body == b"abc0123456789"
    assert (b"content-length", b"13") in fields(head)
    assert b"transfer-encoding" not in head.lower()


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_bodies_of_any_size_arrive_whole(road: Build, size: int) -> None:
    r = await road()
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    caller = await r.caller()
    caller.send(post(body))
    assert (await caller.response()).status == 200
    assert r.upstream.seen[0].partition(b"\r\n\r\n")[2] == body


async def test_streamed_bytes_go_on_untouched_framing_included(road: Build) -> None:
    tee = Streaming()
    r = await road(tee, answer=replying(STREAM))
    caller = await r.caller()
    for _ in range(2):
        caller.send(post())
        got = await caller.response()
        assert got.raw == STREAM
        assert got.body == STREAMED
    assert b"".join(tee.pieces) == STREAMED * 2
    assert tee.pieces[-1] == b""
    assert tee.pieces.count(b"") == 2
    assert r.upstream.connections == 1
    assert r.witness.ends() == ["response"] * 2


async def test_stream_true_streams_without_a_copy(road: Build) -> None:
    class Through:
        def responseheaders(self, flow: http.HTTPFlow) -> None:
            assert flow.response is not None
            flow.response.stream = True

    r = await road(Through(), answer=replying(STREAM))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).raw == STREAM
    assert r.witness.flow.response.raw_content is None


async def test_a_chunk_is_passed_on_before_the_next_one_comes(road: Build) -> None:
    gate = asyncio.Event()

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM[:-10])
        await gate.wait()
        writer.write(STREAM[-10:])

    r = await road(Streaming(), answer=answer)
    caller = await r.caller()
    caller.send(post())
    while len(caller.buffer) < len(STREAM) - 10:
        await caller._more()
    assert caller.buffer == STREAM[:-10]
    gate.set()
    assert (await caller.response()).raw == STREAM


@pytest.mark.parametrize("at", range(1, len(STREAM)))
async def test_a_reply_cut_anywhere_by_the_network_is_the_same_reply(road: Build, at: int) -> None:
    tee = Streaming()
    r = await road(tee, answer=replying(STREAM[:at], 0.002, STREAM[at:]))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).raw == STREAM
    assert b"".join(tee.pieces) == STREAMED


async def test_a_reply_byte_by_byte_is_the_same_reply(road: Build) -> None:
    parts = [p for i in range(len(STREAM)) for p in (STREAM[i : i + 1], 0.001)]
    r = await road(Streaming(), answer=replying(*parts))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).raw == STREAM


async def test_a_request_byte_by_byte_is_the_same_request(road: Build) -> None:
    r = await road()
    whole = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    caller = await r.caller()
    for i in range(len(whole)):
        caller.send(whole[i : i + 1])
        await asyncio.sleep(0.001)
    assert (await caller.response()).status == 200
    assert r.upstream.seen[0].endswith(b"\r\n\r\nabcde")


async def test_pipelined_requests_are_answered_in_order(road: Build) -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        path = request.split(b" ")[1]
        await asyncio.sleep(0.03 if path == b"/0" else 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    r = await road(answer=answer)
    caller = await r.caller()
    caller.send(b"".join(post(path=b"/%d" % i) for i in range(20)))
    assert [(await caller.response()).body for _ in range(20)] == [b"/%d" % i for i in range(20)]
    assert r.upstream.connections == 1


async def test_connections_to_the_upstream_are_shared_by_callers(road: Build) -> None:
    r = await road()
    for _ in range(5):
        caller = await r.caller()
        caller.send(post())
        assert (await caller.response()).status == 200
        caller.close()
    assert r.upstream.connections == 1
    assert len(r.upstream.seen) == 5


async def test_a_pooled_connection_that_the_upstream_closed_is_not_used(road: Build) -> None:
    r = await road(answer=replying(JSON, close=True))
    caller = await r.caller()
    for _ in range(3):
        caller.send(post())
        assert (await caller.response()).raw == JSON
    assert r.upstream.connections == 3
    assert len(r.upstream.seen) == 3


@pytest.mark.parametrize(
    ("method", "reply"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: x\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("streaming", [True, False])
async def test_replies_without_a_body_end_with_their_head(
    road: Build, method: bytes, reply: bytes, streaming: bool
) -> None:
    r = await road(*([Streaming()] if streaming else []), answer=replying(reply))
    caller = await r.caller()
    for _ in range(2):
        caller.send(method + b" /x HTTP/1.1\r\nHost: h\r\n\r\n")
        got = await caller.response(method)
        assert got.raw == reply
    assert r.upstream.connections == 1


@pytest.mark.parametrize("streaming", [True, False])
async def test_interim_replies_are_skipped(road: Build, streaming: bool) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    r = await road(*([Streaming()] if streaming else []), answer=replying(interim, 0.01, JSON))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).raw == JSON


async def test_a_reply_that_ends_with_its_connection_ends_ours(road: Build) -> None:
    tee = Streaming()
    r = await road(tee, answer=replying(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nsome", 0.01, b" text", close=True))
    caller = await r.caller()
    caller.send(post())
    got = await caller.response()
    assert got.body == b"some text"
    assert got.header(b"connection") == b"close"
    assert b"".join(tee.pieces) == b"some text"
    assert r.witness.ends() == ["response"]


async def test_a_reply_kept_whole_is_sent_sized(road: Build) -> None:
    r = await road(answer=replying(STREAM))
    caller = await r.caller()
    caller.send(post())
    got = await caller.response()
    assert got.body == STREAMED
    assert got.header(b"content-length") == b"23"
    assert got.header(b"transfer-encoding") is None
    assert r.witness.flow.response.raw_content == STREAMED


async def test_http_10_callers_get_a_reply_they_understand(road: Build) -> None:
    r = await road(Streaming(), answer=replying(STREAM))
    caller = await r.caller()
    caller.send(post().replace(b"HTTP/1.1", b"HTTP/1.0"))
    got = await caller.response()
    assert got.header(b"transfer-encoding") is None
    assert got.header(b"connection") == b"close"
    assert got.body == STREAMED


async def test_an_early_reply_is_passed_on_and_the_connection_not_used_again(road: Build) -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(JSON)
        await asyncio.sleep(0.5)
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    class Elsewhere:
        def request(self, flow: http.HTTPFlow) -> None:
            flow.request.port = port

    r = await road(Elsewhere())
    caller = await r.caller()
    caller.send(post(b"x" * 20_000_000))
    assert (await caller.response()).raw == JSON
    assert not r.lane.pool._idle
    server.close()


async def test_expect_continue_is_answered_when_the_body_is_wanted(road: Build) -> None:
    r = await road()
    caller = await r.caller()
    head, _, body = post(b"abc", b"Expect: 100-continue").partition(b"\r\n\r\n")
    caller.send(head + b"\r\n\r\n")
    assert (await caller.response()).raw == b"HTTP/1.1 100 Continue\r\n\r\n"
    caller.send(body)
    assert (await caller.response()).raw == JSON
    assert b"expect" not in r.upstream.seen[0].lower()


async def test_trailers_of_a_streamed_reply_are_passed_on(road: Build) -> None:
    reply = STREAM[:-2] + b"X-Sum: 1\r\n\r\n"
    r = await road(Streaming(), answer=replying(reply))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).raw == reply
