"""A request that was answered 401 goes once more, when the door changed it."""

import asyncio

from mitmproxy import http

from lanes.express.door import OpenDoor
from lanes.express.limits import Limits
from tests.lanes.conftest import Build, Streaming
from tests.lanes.upstream import JSON, STREAM, STREAMED, Answer, post, replying

REFUSED = b"HTTP/1.1 401 Unauthorized\r\nX-First: yes\r\nContent-Length: 5\r\n\r\nfirst"


class Doors(OpenDoor):
    """Puts another key on the request, as often as it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def again(self, flow: http.HTTPFlow) -> bool:
        self.asked += 1
        flow.request.headers["authorization"] = f"Bearer {self.asked}"
        return True


def first(refused: Answer, then: Answer) -> Answer:
    """One answer to the first request, another to those that follow."""
    count = 0

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await (refused if count == 1 else then)(request, writer)

    return answer


async def test_the_second_answer_is_the_only_one_that_anybody_sees(road: Build) -> None:
    r = await road(Streaming(), door=Doors(), answer=first(replying(REFUSED), replying(STREAM)))
    caller = await r.caller()
    caller.send(post(b'{"a": 1}'))
    got = await caller.response()

    assert (got.status, got.body) == (200, STREAMED)
    assert got.header(b"x-first") is None
    one, two = r.upstream.seen
    assert b"authorization" not in one.lower()
    assert b"authorization: Bearer 1\r\n" in two
    assert one.endswith(b'\r\n\r\n{"a": 1}')
    assert two.endswith(b'\r\n\r\n{"a": 1}')
    assert r.witness.names.count("responseheaders") == 1
    assert r.witness.ends() == ["response"]


async def test_a_request_goes_twice_and_never_three_times(road: Build) -> None:
    door = Doors()
    r = await road(door=door, answer=replying(REFUSED))
    caller = await r.caller()
    for _ in range(2):
        caller.send(post())
        assert (await caller.response()).body == b"first"

    assert len(r.upstream.seen) == 4
    assert door.asked == 2


async def test_a_door_that_fails_passes_the_answer_on(road: Build) -> None:
    class Broken(OpenDoor):
        def again(self, flow: http.HTTPFlow) -> bool:
            raise RuntimeError("broken")

    r = await road(door=Broken(), answer=replying(REFUSED))
    caller = await r.caller()
    caller.send(post())

    assert (await caller.response()).raw == REFUSED
    assert len(r.upstream.seen) == 1


async def test_a_401_that_is_still_coming_in_does_not_mix_with_the_second_answer(road: Build) -> None:
    endless = replying(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", 5.0)
    r = await road(door=Doors(), answer=first(endless, replying(JSON)))
    caller = await r.caller()
    caller.send(post())

    assert (await caller.response()).raw == JSON
    assert r.upstream.connections == 2


async def test_an_upstream_that_breaks_off_the_second_time_is_a_502(road: Build) -> None:
    r = await road(door=Doors(), answer=first(replying(REFUSED), replying(close=True)))
    caller = await r.caller()
    caller.send(post())

    assert (await caller.response()).status == 502
    assert r.witness.ends() == ["error"]


async def test_an_upstream_that_is_silent_the_second_time_is_a_504(road: Build) -> None:
    r = await road(
        door=Doors(),
        answer=first(replying(REFUSED), replying(5.0)),
        limits=Limits(reply_seconds=0.2, sweep_seconds=0.05),
    )
    caller = await r.caller()
    caller.send(post())

    assert (await caller.response()).status == 504
    assert r.witness.ends() == ["error"]


async def test_a_caller_that_leaves_meanwhile_is_noticed_at_once(road: Build) -> None:
    r = await road(door=Doors(), answer=first(replying(REFUSED), replying(5.0)))
    caller = await r.caller()
    caller.send(post())
    while len(r.upstream.seen) < 2:
        await asyncio.sleep(0.01)
    caller.close()
    await r.witness.ended()

    assert r.witness.ends() == ["error"]
    assert r.witness.flow.error.msg == "Client disconnected"
