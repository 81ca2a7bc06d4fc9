"""Other people's addons work, and a fault in any of them refuses."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import exceptions, http
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from lanes.express.door import OpenDoor
from lanes.express.limits import Limits
from tests.lanes.conftest import Build, Streaming, Witness
from tests.lanes.upstream import JSON, STREAM, STREAMED, CutOff, post, replying

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n" + STREAMED
BY_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n" + STREAMED


def hook(name: str, function: Callable[..., Any]) -> object:
    """An addon with this one hook."""
    return type("One", (), {name: staticmethod(function)})()


def boom(_subject: object) -> None:
    raise RuntimeError("boom")


async def aboom(_subject: object) -> None:
    await asyncio.sleep(0)
    raise RuntimeError("boom")


async def cancelled(_subject: object) -> None:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


@pytest.mark.parametrize("fault", [boom, aboom, cancelled])
@pytest.mark.parametrize("name", ["requestheaders", "request", "server_connect"])
async def test_a_fault_before_forwarding_refuses(road: Build, name: str, fault: Callable[..., Any]) -> None:
    r = await road(hook(name, fault))
    caller = await r.caller()
    for _ in range(2):
        caller.send(post())
        got = await caller.response()
        assert got.status == 500
        assert b"checkpoint_error" in got.body
    assert not r.upstream.raw
    assert r.witness.ends() == ["response"] * 2


@pytest.mark.parametrize("fault", [boom, aboom])
@pytest.mark.parametrize("name", ["responseheaders", "response", "error"])
async def test_a_fault_after_forwarding_leaves_the_answer_alone(
    road: Build, name: str, fault: Callable[..., Any]
) -> None:
    r = await road(Streaming(), hook(name, fault), answer=replying(STREAM))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).raw == STREAM


async def test_a_fault_in_a_connection_hook_refuses_the_connection(road: Build) -> None:
    r = await road(hook("client_connected", boom))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).status == 500
    assert not r.witness.flows


async def test_a_stream_hook_that_fails_does_not_cost_the_caller_a_byte(
    road: Build, caplog: pytest.LogCaptureFixture
) -> None:
    def tee(piece: bytes) -> bytes:
        if b"two" in piece:
            raise RuntimeError("boom")
        return piece

    r = await road(hook("responseheaders", lambda f: setattr(f.response, "stream", tee)), answer=replying(STREAM))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).raw == STREAM
    assert "A stream hook failed" in caplog.text
    assert r.witness.ends() == ["response"]


class BrokenDoor(OpenDoor):
    def settled(self, flow: http.HTTPFlow) -> bool:
        raise RuntimeError("boom")

    def refuse(self, flow: http.HTTPFlow, code: str) -> None:
        raise RuntimeError("boom")

    def refusal(self, code: str) -> http.Response:
        raise RuntimeError("boom")


@pytest.mark.parametrize(("raw", "status"), [(post(), 500), (b"x\r\n\r\n", 400)])
async def test_a_door_that_fails_is_shut(road: Build, raw: bytes, status: int) -> None:
    r = await road(door=BrokenDoor())
    caller = await r.caller()
    caller.send(raw)
    got = await caller.response()
    assert got.status == status
    assert b'"error"' in got.body
    assert not r.upstream.raw


@pytest.mark.parametrize("waits", [0, 0.01])
async def test_hooks_that_wait_are_waited_for_in_order(road: Build, waits: float) -> None:
    ran: list[str] = []

    def slow(name: str, number: int) -> Callable[[object], Any]:
        async def run(_subject: object) -> None:
            await asyncio.sleep(waits)
            ran.append(f"{name}{number}")

        return run

    names = ["client_connected", "requestheaders", "request", "server_connect", "server_connected"]
    names += ["responseheaders", "response"]
    addons = [type(f"Slow{i}", (), {n: staticmethod(slow(n, i)) for n in names})() for i in range(2)]
    r = await road(*addons, Streaming(), answer=replying(STREAM))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).raw == STREAM
    assert ran == [f"{n}{i}" for n in names for i in range(2)]
    ran.clear()
    caller.send(post())
    assert (await caller.response()).raw == STREAM
    assert ran == [f"{n}{i}" for n in ("requestheaders", "request", "responseheaders", "response") for i in range(2)]


async def test_addon_halt_ends_a_hook(road: Build) -> None:
    def halt(_flow: http.HTTPFlow) -> None:
        raise exceptions.AddonHalt

    r = await road(hook("request", halt), type("Two", (), {"request": staticmethod(boom)})())
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).status == 200


async def test_update_is_told_of_each_hook_of_a_flow(road: Build) -> None:
    seen: list[int] = []
    r = await road(hook("update", lambda flows: seen.append(len(flows))))
    caller = await r.caller()
    caller.send(post())
    await caller.response()
    assert seen == [1, 1, 1, 1]


async def test_an_addon_that_comes_later_is_called(road: Build) -> None:
    r = await road(limits=Limits(sweep_seconds=0.02))
    late = hook("requestheaders", lambda f: setattr(f, "response", http.Response.make(418, b"late")))
    r.master.addons.add(late)
    await asyncio.sleep(0.05)
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).status == 418
    r.master.addons.remove(late)
    await asyncio.sleep(0.05)
    caller.send(post())
    assert (await caller.response()).status == 200


async def test_what_addons_make_of_a_request_is_what_is_sent(road: Build) -> None:
    def change(flow: http.HTTPFlow) -> None:
        request = flow.request
        request.method = "PUT"
        request.path = "/other?x=1"
        request.headers["Authorization"] = "Bearer key"
        del request.headers["X-Gone"]
        request.content = b"changed body"

    r = await road(hook("request", change))
    caller = await r.caller()
    caller.send(post(b"abc", b"X-Gone: x", b"X-Stays: y"))
    assert (await caller.response()).status == 200
    assert r.upstream.seen == [
        b"PUT /other?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-Stays: y\r\nAuthorization: Bearer key\r\n"
        b"Content-Length: 12\r\n\r\nchanged body" % r.upstream.port
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.request.headers.__setitem__("X-User", "a\r\nX-Admin: yes"),
        lambda f: f.request.headers.__setitem__("X-User", "a\nb"),
        lambda f: f.request.headers.__setitem__("X-User", "a\0b"),
        lambda f: f.request.headers.__setitem__("X User", "a"),
        lambda f: setattr(f.request, "path", "/a b"),
        lambda f: setattr(f.request, "path", "/a\r\nX: y"),
        lambda f: setattr(f.request, "path", "no-slash"),
        lambda f: setattr(f.request, "method", "GET /evil HTTP/1.1\r\nX: y"),
    ],
)
async def test_what_would_smuggle_is_not_sent_whoever_wrote_it(road: Build, change: Callable[..., Any]) -> None:
    r = await road(hook("request", change))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).status in (400, 500)
    assert not r.upstream.raw


async def test_what_addons_make_of_a_kept_reply_is_what_is_sent(road: Build) -> None:
    def change(flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.status_code = 201
        flow.response.headers["X-New"] = "1"
        flow.response.content = b"changed"

    r = await road(hook("response", change))
    caller = await r.caller()
    caller.send(post())
    got = await caller.response()
    assert (got.status, got.body, got.header(b"x-new"), got.header(b"content-length")) == (201, b"changed", b"1", b"7")


async def test_header_changes_of_a_streamed_reply_reach_the_caller(road: Build) -> None:
    def change(flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.headers["X-New"] = "1"
        flow.response.stream = True

    r = await road(hook("responseheaders", change), answer=replying(STREAM))
    caller = await r.caller()
    caller.send(post())
    got = await caller.response()
    assert got.header(b"x-new") == b"1"
    assert got.raw.endswith(STREAM.partition(b"\r\n\r\n")[2])


def upper(piece: bytes) -> bytes:
    return piece.upper()


def only_two(piece: bytes) -> bytes:
    return piece.replace(b"two!", b"2")  # gives the very object back where there is nothing to replace


def listed(piece: bytes) -> list[bytes]:
    return [piece[:3], piece[3:]]


def flushing() -> Callable[[bytes], bytes]:
    held = b""

    def tap(piece: bytes) -> bytes:
        nonlocal held
        if piece:
            held += piece
            return b""
        return held.upper()

    return tap


def at_the_end(piece: bytes) -> bytes:
    return piece or b"END"


TAPS: dict[str, tuple[Callable[[], Any], bytes]] = {
    "all": (lambda: upper, STREAMED.upper()),
    "some": (lambda: only_two, STREAMED.replace(b"two!", b"2")),
    "lists": (lambda: listed, STREAMED),
    "held": (flushing, STREAMED.upper()),
    "longer": (lambda: lambda p: p.replace(b"two!", b"two and three"), STREAMED.replace(b"two!", b"two and three")),
    "added": (lambda: at_the_end, STREAMED + b"END"),
}


@pytest.mark.parametrize("name", TAPS)
@pytest.mark.parametrize("reply", [STREAM, SIZED, BY_CLOSE], ids=["chunked", "sized", "close"])
async def test_a_stream_that_addons_change_arrives_changed_in_good_framing(
    road: Build, name: str, reply: bytes
) -> None:
    make, expected = TAPS[name]

    def change(flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.headers.pop("content-length", None)  # as mitmproxy asks of whoever changes the size
        flow.response.stream = make()

    r = await road(hook("responseheaders", change), answer=replying(reply, close=reply is BY_CLOSE))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).body == expected
    assert r.witness.ends() == ["response"]


@pytest.mark.parametrize("at", range(STREAM.index(b"\r\n\r\n") + 4, len(STREAM)))
async def test_a_change_amid_a_chunk_already_announced_is_framed_right(road: Build, at: int) -> None:
    tap = lambda p: p.replace(b"!", b"!!")  # noqa: E731
    r = await road(
        hook("responseheaders", lambda f: setattr(f.response, "stream", tap)),
        answer=replying(STREAM[:at], 0.003, STREAM[at:]),
    )
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).body == STREAMED.replace(b"!", b"!!")


async def test_a_sized_reply_made_shorter_does_not_pass_for_whole(road: Build) -> None:
    tap = lambda p: p[1:]  # noqa: E731
    r = await road(hook("responseheaders", lambda f: setattr(f.response, "stream", tap)), answer=replying(SIZED))
    caller = await r.caller()
    caller.send(post())
    with pytest.raises(CutOff):
        await caller.response()
    assert r.witness.ends() == ["error"]


@pytest.mark.parametrize("name", ["requestheaders", "request", "responseheaders"])
async def test_a_killed_flow_is_cut_off(road: Build, name: str) -> None:
    r = await road(hook(name, lambda f: f.kill()))
    caller = await r.caller()
    caller.send(post())
    assert await caller.ended()
    assert r.witness.ends() == ["error"]
    assert r.witness.flow.error.msg == "Connection killed."
    assert not r.witness.flow.killable
    if name != "responseheaders":
        assert not r.upstream.raw


async def test_an_intercepted_flow_waits_until_it_is_resumed(road: Build) -> None:
    r = await road(hook("request", lambda f: f.intercept()))
    caller = await r.caller()
    caller.send(post())
    await asyncio.sleep(0.05)
    assert not r.upstream.raw
    r.witness.flow.resume()
    assert (await caller.response()).raw == JSON


async def test_a_response_set_by_an_addon_is_answered_without_the_upstream(road: Build) -> None:
    r = await road(hook("request", lambda f: setattr(f, "response", http.Response.make(203, b"mine", {"X": "y"}))))
    caller = await r.caller()
    for _ in range(2):
        caller.send(post())
        got = await caller.response()
        assert (got.status, got.body, got.header(b"x")) == (203, b"mine", b"y")
    assert r.upstream.connections == 0
    assert r.witness.names[1:5] == ["requestheaders", "request", "responseheaders", "response"]


async def test_an_addon_may_refuse_a_connection_to_an_upstream(road: Build) -> None:
    def refuse(data: ServerConnectionHookData) -> None:
        data.server.error = "not on the list"

    r = await road(hook("server_connect", refuse))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).status == 502
    assert r.witness.flow.error.msg == "Upstream unreachable: not on the list"
    assert r.upstream.connections == 0


async def test_an_addon_may_refuse_a_callers_connection(road: Build) -> None:
    r = await road(hook("client_connected", lambda c: setattr(c, "error", "blocked")))
    caller = await r.caller()
    caller.send(post())
    assert await caller.ended()
    assert not r.witness.flows


async def test_a_late_answer_of_a_hook_is_not_logged_twice(road: Build, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        r = await road(hook("request", aboom))
        caller = await r.caller()
        caller.send(post())
        await caller.response()
    assert caplog.text.count("An addon failed") == 1


def test_the_witness_knows_every_flow_hook() -> None:
    assert all(hasattr(Witness, name) for name in ("requestheaders", "request", "responseheaders", "response", "error"))
