"""Hostile framing: what the upstream received is asserted, not only what the caller was told."""

import asyncio
import time

import pytest
from mitmproxy import http

from lanes.express.door import OpenDoor, answer_for
from lanes.express.limits import Limits
from tests.lanes.conftest import Build
from tests.lanes.upstream import JSON, CutOff, post

HOST = b"Host: h\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def raw(fields: bytes, body: bytes = b"", line: bytes = b"POST /v1 HTTP/1.1") -> bytes:
    return line + b"\r\n" + fields + b"\r\n" + body


REFUSED = {
    "te and cl": (400, raw(HOST + CHUNKED + b"Content-Length: 3\r\n", b"3\r\nabc\r\n0\r\n\r\n")),
    "cl and te": (400, raw(HOST + b"Content-Length: 3\r\n" + CHUNKED, b"3\r\nabc\r\n0\r\n\r\n")),
    "two lengths": (400, raw(HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd")),
    "the same length twice": (400, raw(HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc")),
    "a list of lengths": (400, raw(HOST + b"Content-Length: 3, 3\r\n", b"abc")),
    "length with plus": (400, raw(HOST + b"Content-Length: +3\r\n", b"abc")),
    "negative length": (400, raw(HOST + b"Content-Length: -3\r\n", b"abc")),
    "hex length": (400, raw(HOST + b"Content-Length: 0x3\r\n", b"abc")),
    "underscored length": (400, raw(HOST + b"Content-Length: 1_0\r\n", b"abc")),
    "empty length": (400, raw(HOST + b"Content-Length: \r\n", b"abc")),
    "endless length": (400, raw(HOST + b"Content-Length: " + b"9" * 30 + b"\r\n", b"abc")),
    "gzip, chunked": (400, raw(HOST + b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n")),
    "chunked, identity": (400, raw(HOST + b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n")),
    "xchunked": (400, raw(HOST + b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n")),
    "chunked twice": (400, raw(HOST + CHUNKED + CHUNKED, b"0\r\n\r\n")),
    "vertical tab before chunked": (400, raw(HOST + b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n")),
    "te on 1.0": (400, raw(HOST + CHUNKED, b"0\r\n\r\n", b"POST /v1 HTTP/1.0")),
    "space before colon": (400, raw(HOST + b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n")),
    "obs-fold": (400, raw(HOST + b"X-A: b\r\n c\r\n")),
    "obs-fold by tab": (400, raw(HOST + b"X-A: b\r\n\tc\r\n")),
    "fold before the first field": (400, raw(b" X: y\r\n" + HOST)),
    "bare CR": (400, raw(HOST + b"X-A: b\rX-B: c\r\n")),
    "bare LF": (400, raw(HOST + b"X-A: b\nX-B: c\r\n")),
    "NUL": (400, raw(HOST + b"X-A: b\x00c\r\n")),
    "DEL": (400, raw(HOST + b"X-A: b\x7fc\r\n")),
    "escape": (400, raw(HOST + b"X-A: \x1b[2J\r\n")),
    "no colon": (400, raw(HOST + b"X-A\r\n")),
    "empty name": (400, raw(HOST + b": x\r\n")),
    "name with space": (400, raw(HOST + b"X A: x\r\n")),
    "name outside ASCII": (400, raw(HOST + b"X-\xe9: x\r\n")),
    "all lines by LF": (400, b"POST /v1 HTTP/1.1\nHost: h\n\n"),
    "LF then a second request": (400, b"GET / HTTP/1.1\nHost: h\n\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"),
    "two spaces": (400, raw(HOST, line=b"POST  /v1 HTTP/1.1")),
    "tab in the line": (400, raw(HOST, line=b"POST\t/v1 HTTP/1.1")),
    "space in the target": (400, raw(HOST, line=b"POST /v1 /x HTTP/1.1")),
    "control in the target": (400, raw(HOST, line=b"POST /v1\x01 HTTP/1.1")),
    "lower-case protocol": (400, raw(HOST, line=b"POST /v1 http/1.1")),
    "no version": (400, raw(HOST, line=b"GET /v1")),
    "HTTP/2.0": (400, raw(HOST, line=b"POST /v1 HTTP/2.0")),
    "HTTP/9.9": (400, raw(HOST, line=b"POST /v1 HTTP/9.9")),
    "HTTP/1.10": (400, raw(HOST, line=b"POST /v1 HTTP/1.10")),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS on a plain port": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200),
    "CONNECT": (400, raw(HOST, line=b"CONNECT evil.test:443 HTTP/1.1")),
    "chunk size with plus": (400, raw(HOST + CHUNKED, b"+3\r\nabc\r\n0\r\n\r\n")),
    "chunk size in hex notation": (400, raw(HOST + CHUNKED, b"0x3\r\nabc\r\n0\r\n\r\n")),
    "chunk size with underscore": (400, raw(HOST + CHUNKED, b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n")),
    "chunk size too long": (400, raw(HOST + CHUNKED, b"0000000000000000003\r\nabc\r\n0\r\n\r\n")),
    "chunk size by LF": (400, raw(HOST + CHUNKED, b"3\nabc\r\n0\r\n\r\n")),
    "negative chunk": (400, raw(HOST + CHUNKED, b"-1\r\nabc\r\n0\r\n\r\n")),
    "chunk longer than said": (400, raw(HOST + CHUNKED, b"3\r\nabcdef\r\n0\r\n\r\n")),
    "chunk ended by LF": (400, raw(HOST + CHUNKED, b"3\r\nabc\n0\r\n\r\n")),
    "CR in a chunk extension": (400, raw(HOST + CHUNKED, b"3;a=\rb\r\nabc\r\n0\r\n\r\n")),
    "endless chunk extension": (400, raw(HOST + CHUNKED, b"3;" + b"a" * 10_000)),
    "trailers": (400, raw(HOST + CHUNKED, b"3\r\nabc\r\n0\r\nX-A: b\r\n\r\n")),
    "1 MB header": (431, raw(HOST + b"X-A: " + b"a" * 1_000_000 + b"\r\n")),
    "an endless line": (431, b"GET /" + b"a" * 1_000_000),
    "300 headers": (431, raw(HOST + b"X-A: b\r\n" * 300)),
    "300 headers, no end": (431, b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 300),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_hostile_framing_is_refused_and_reaches_no_upstream(road: Build, name: str) -> None:
    status, request = REFUSED[name]
    r = await road()
    caller = await r.caller()
    caller.send(request + post(path=b"/smuggled"))
    got = await caller.response()
    assert got.status == status
    assert got.header(b"content-type") == b"application/json"
    assert got.header(b"connection") == b"close"
    assert b'"error"' in got.body
    assert await caller.ended()
    await asyncio.sleep(0.01)
    assert not r.upstream.raw
    assert r.upstream.connections == 0


GATES = {
    "underscore name": raw(HOST + b"X_Forwarded_Email: root\r\nContent-Length: 0\r\n"),
    "two hosts": raw(HOST + b"Host: evil.test\r\nContent-Length: 0\r\n"),
    "a value outside ASCII": raw(HOST + b"X: \xff\xfe\r\nContent-Length: 0\r\n"),
}


@pytest.mark.parametrize("name", GATES)
async def test_what_the_gate_judges_reaches_it_as_it_came(road: Build, name: str) -> None:
    r = await road()
    caller = await r.caller()
    caller.send(GATES[name])
    assert (await caller.response()).status == 200
    lines = GATES[name].split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    assert [b": ".join(f) for f in r.witness.flow.request.headers.fields] == lines
    assert r.upstream.raw.lower().count(b"\r\nhost:") == 1


@pytest.mark.parametrize("target", [b"v1", b"*", b"?a=b", b"//evil.test:x/", b"#"])
async def test_targets_that_are_no_path_go_nowhere_even_without_a_gate(road: Build, target: bytes) -> None:
    r = await road()
    caller = await r.caller()
    caller.send(raw(HOST, line=b"GET " + target + b" HTTP/1.1"))
    got = await caller.response()
    if target.startswith(b"/"):
        assert got.status == 200
        assert r.upstream.seen[0].startswith(b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1:")
    else:
        assert b"bad_path" in got.body
        assert not r.upstream.raw


async def test_an_absolute_target_is_shown_to_the_gate(road: Build) -> None:
    class Gate:
        def requestheaders(self, flow: http.HTTPFlow) -> None:
            if flow.request.authority:
                flow.response = answer_for("absolute_form")

    r = await road(Gate())
    caller = await r.caller()
    caller.send(raw(HOST, line=b"GET http://evil.test:81/v1?a HTTP/1.1"))
    got = await caller.response()
    assert got.status == 400
    assert b"absolute_form" in got.body
    request = r.witness.flow.request
    assert (request.authority, request.path, request.first_line_format) == ("evil.test:81", "/v1?a", "absolute")
    assert not r.upstream.raw


async def test_connect_is_shown_to_the_gate(road: Build) -> None:
    r = await road()
    caller = await r.caller()
    caller.send(raw(HOST, line=b"CONNECT 127.0.0.1:9 HTTP/1.1"))
    assert b"connect_not_allowed" in (await caller.response()).body
    assert r.witness.flow.request.first_line_format == "authority"
    assert r.witness.ends() == ["response"]


async def test_every_request_of_a_pipeline_is_judged(road: Build) -> None:
    class Gate:
        def requestheaders(self, flow: http.HTTPFlow) -> None:
            if "x-id" not in flow.request.headers:
                flow.response = answer_for("missing_identity")

    r = await road(Gate())
    caller = await r.caller()
    caller.send(post(b"1", b"X-Id: a") + post(b"2") + post(b"3", b"X-Id: a"))
    assert [(await caller.response()).status for _ in range(3)] == [200, 401, 200]
    assert [s[-1:] for s in r.upstream.seen] == [b"1", b"3"]


class Shut(OpenDoor):
    """A gate that has said no."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        flow.response = answer_for("missing_identity")


async def test_a_refused_request_is_answered_before_its_body_is_read(road: Build) -> None:
    r = await road(Shut())
    caller = await r.caller()
    began = time.monotonic()
    caller.send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n")
    got = await caller.response()
    assert got.status == 401
    assert got.header(b"connection") == b"close"
    assert time.monotonic() - began < 1
    assert await caller.ended()
    assert r.witness.names[-2:] == ["responseheaders", "response"]


async def test_a_refused_caller_that_goes_on_sending_gets_its_answer_and_costs_no_memory(road: Build) -> None:
    r = await road(Shut(), limits=Limits(linger_bytes=4 << 20))
    caller = await r.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
    sent = 0
    try:
        while sent < 64 << 20:
            caller.send(chunk)
            await caller.writer.drain()
            sent += len(chunk)
            await asyncio.sleep(0)
    except ConnectionError:
        pass
    assert sent < 32 << 20
    try:
        answer = (await caller.response()).raw
    except CutOff as cut:  # the reset overtook the answer, as it may when a caller never stops
        answer = cut.got or b"HTTP/1.1 401"
    assert answer.startswith(b"HTTP/1.1 401")


async def test_a_small_refused_body_keeps_the_connection(road: Build) -> None:
    r = await road(Shut())
    caller = await r.caller()
    caller.send(post() * 3)
    assert [(await caller.response()).status for _ in range(3)] == [401] * 3
    assert len(r.witness.flows) == 3


@pytest.mark.parametrize("coding", ["sized", "chunked"])
async def test_a_body_over_the_limit_is_refused_at_once(road: Build, coding: str) -> None:
    r = await road(limits=Limits(body_bytes=1000))
    caller = await r.caller()
    if coding == "sized":
        caller.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n")
    else:
        caller.send(raw(HOST + CHUNKED, (b"64\r\n" + b"x" * 100 + b"\r\n") * 11))
    got = await caller.response()
    assert got.status == 413
    assert await caller.ended()
    assert r.witness.ends() == ["response"]
    assert not r.upstream.raw


async def test_a_body_of_the_limits_size_passes(road: Build) -> None:
    r = await road(limits=Limits(body_bytes=1000))
    caller = await r.caller()
    caller.send(post(b"x" * 1000))
    assert (await caller.response()).raw == JSON
    caller.send(raw(HOST + CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"))
    assert (await caller.response()).raw == JSON


async def test_a_million_tiny_chunks_do_not_hide_behind_the_limit(road: Build) -> None:
    r = await road(limits=Limits(body_bytes=100_000))
    caller = await r.caller()
    extension = b";" + b"a" * 4000
    caller.send(raw(HOST + CHUNKED, (b"1" + extension + b"\r\nx\r\n") * 50))
    assert (await caller.response()).status == 413


QUICK = Limits(head_seconds=0.2, body_seconds=0.2, keep_alive_seconds=0.2, sweep_seconds=0.05, linger_seconds=0.2)


async def test_a_head_that_takes_too_long_is_refused(road: Build) -> None:
    r = await road(limits=QUICK)
    caller = await r.caller()
    for byte in b"POST / HTTP":
        caller.send(bytes([byte]))
        await asyncio.sleep(0.05)
        if r.lane.callers and next(iter(r.lane.callers))._state != 0:
            break
    assert (await caller.response()).status == 408


async def test_a_body_that_takes_too_long_is_refused(road: Build) -> None:
    r = await road(limits=QUICK)
    caller = await r.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
    got = await caller.response()
    assert got.status == 408
    assert b"body_timeout" in got.body
    assert r.witness.ends() == ["response"]


async def test_an_idle_connection_is_closed_without_a_word(road: Build) -> None:
    r = await road(limits=QUICK)
    caller = await r.caller()
    assert await caller.ended()
    assert not r.witness.flows


async def test_a_lingering_caller_is_cut_off_in_the_end(road: Build) -> None:
    r = await road(Shut(), limits=QUICK)
    caller = await r.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")
    assert (await caller.response()).status == 401
    for _ in range(100):
        if not r.lane.callers:
            break
        await asyncio.sleep(0.02)
    assert not r.lane.callers


async def test_too_many_connections_are_told_so(road: Build) -> None:
    r = await road(limits=Limits(connections=2, connections_per_address=2))
    for _ in range(2):
        caller = await r.caller()
        caller.send(post())
        await caller.response()
    third = await r.caller()
    got = await third.response()
    assert got.status == 503
    assert b"overloaded" in got.body


async def test_what_is_sent_ahead_is_bounded(road: Build) -> None:
    gate = asyncio.Event()

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(JSON)

    r = await road(answer=answer, limits=Limits(pipelined_bytes=10_000))
    caller = await r.caller()
    caller.send(post() + post(b"x" * 30_000_000))
    await asyncio.sleep(0.1)
    (ours,) = r.lane.callers
    assert len(ours._buffer) < 1_000_000
    gate.set()
    assert [(await caller.response()).status for _ in range(2)] == [200, 200]
    assert len(r.upstream.seen[1]) > 30_000_000


async def test_a_deep_pipeline_of_refusals_needs_no_deep_stack(road: Build) -> None:
    r = await road(Shut())
    caller = await r.caller()
    caller.send(b"GET /v1 HTTP/1.1\r\nHost: h\r\n\r\n" * 3000)
    await r.witness.ended(3000)
    assert r.upstream.connections == 0
