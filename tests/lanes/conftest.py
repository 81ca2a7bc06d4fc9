"""A lane on uvloop between a raw caller and a recording upstream."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # mitmproxy calls pyparsing by its old names, at import only
    from mitmproxy import http, options
    from mitmproxy.master import Master

from lanes.express.door import Door, OpenDoor
from lanes.express.lane import Lane
from lanes.express.limits import Limits
from lanes.express.mode import ExpressMode
from tests.lanes.upstream import JSON, Answer, RawCaller, RecordingUpstream, replying


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


class Witness:
    """Notes which hooks ran, in order, and the last flow."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.flow: http.HTTPFlow | None = None
        self.flows: list[http.HTTPFlow] = []

    def client_connected(self, _client: object) -> None:
        self.names.append("client_connected")

    def client_disconnected(self, _client: object) -> None:
        self.names.append("client_disconnected")

    def server_connect(self, _data: object) -> None:
        self.names.append("server_connect")

    def server_connected(self, _data: object) -> None:
        self.names.append("server_connected")

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self.flow = flow
        self.flows.append(flow)
        self.names.append("requestheaders")

    def request(self, _flow: http.HTTPFlow) -> None:
        self.names.append("request")

    def responseheaders(self, _flow: http.HTTPFlow) -> None:
        self.names.append("responseheaders")

    def response(self, _flow: http.HTTPFlow) -> None:
        self.names.append("response")

    def error(self, _flow: http.HTTPFlow) -> None:
        self.names.append("error")

    def ends(self) -> list[str]:
        return [name for name in self.names if name in ("response", "error")]

    async def ended(self, times: int = 1) -> None:
        for _ in range(500):
            if len(self.ends()) >= times:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"no end: {self.names}")


class Streaming:
    """As a tee does: gives back what it gets."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.stream = self._keep

    def _keep(self, piece: bytes) -> bytes:
        self.pieces.append(piece)
        return piece


@dataclass
class Road:
    """Caller → lane → upstream."""

    lane: Lane
    master: Master
    upstream: RecordingUpstream
    witness: Witness
    port: int
    callers: list[RawCaller] = field(default_factory=list)

    async def caller(self, **keywords: Any) -> RawCaller:
        caller = await RawCaller.to(self.port, **keywords)
        self.callers.append(caller)
        return caller


type Build = Callable[..., Any]


@pytest.fixture
async def road() -> AsyncIterator[Build]:
    """Builds roads: `await road(addon, ..., answer=..., limits=..., door=...)`."""
    built: list[Road] = []

    async def build(
        *addons: object,
        answer: Answer | None = None,
        limits: Limits | None = None,
        door: Door | None = None,
        **tls: Any,
    ) -> Road:
        upstream = RecordingUpstream(answer or replying(JSON))
        await upstream.start()
        master = Master(options.Options())
        lane = Lane(door or OpenDoor(), limits, **tls)
        witness = Witness()
        master.addons.add(lane, witness, *addons)
        lane.resolve()
        mode = ExpressMode.parse(f"express:http://127.0.0.1:{upstream.port}")
        server = await lane.listen("127.0.0.1", 0, mode)
        road = Road(lane, master, upstream, witness, server.sockets[0].getsockname()[1])
        built.append(road)
        return road

    yield build
    for each in built:
        for caller in each.callers:
            caller.close()
        await each.lane.drain(0)
        await each.upstream.stop()
        each.master._legacy_log_events.uninstall()
    await asyncio.sleep(0.01)
