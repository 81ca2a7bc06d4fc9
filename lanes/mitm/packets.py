"""What comes out of a network stack in user space (WireGuard, local capture): streams, which are read like connections
that the network brings, and datagrams, of which questions for names alone go on."""

import asyncio
import logging
import time
from typing import Final

import mitmproxy_rs
from mitmproxy.proxy import mode_specs

from lanes import pinned
from lanes.mitm.hello import Hello
from lanes.mitm.knock import HelloKnock
from lanes.mitm.roads import Roads
from lanes.mitm.stream_transport import StreamTransport, caller_of
from lanes.mitm.transparent import Diversion

log = logging.getLogger(__name__)

_DNS, _QUIC = 53, 443
_QUESTIONS: Final = 256  # names that are looked up at once, for all behind one listener
_ANSWER_S: Final = 5.0


class Packets:
    """Those of one listener. `tcp` and `udp` are what mitmproxy's stack calls with each new stream."""

    def __init__(self, roads: Roads, mode: mode_specs.ProxyMode, resolver: str | None = None) -> None:
        """`resolver`: who is asked for names; None: whom the question was for."""
        self._roads = roads
        self._mode = mode
        self._resolver = resolver
        self._diversion = Diversion(roads)
        self.looking_up = 0

    async def tcp(self, stream: mitmproxy_rs.Stream) -> None:
        roads = self._roads
        knock = HelloKnock(
            roads.keeper.limits,
            roads.keeper.now(),
            arrived=roads.arrived,
            ready=self._said,
            left=roads.lane.knocks.discard,
        )
        StreamTransport(stream, knock).start()

    def _said(self, knock: HelloKnock, hello: Hello | None) -> None:
        host, port = knock.transport.get_extra_info("sockname")
        self._roads.serve(knock, lambda: self._diversion.serve(knock, hello, (host, port), self._mode))

    async def udp(self, stream: mitmproxy_rs.Stream) -> None:
        """Nothing but a question for a name passes: QUIC could not be read, and programs fall back to TCP."""
        host, port = stream.get_extra_info("sockname")
        try:
            if port == _DNS:
                await self._look_up(stream, self._resolver or host)
            else:
                self._note(stream, host, port)
        finally:
            if not stream.is_closing():
                stream.close()  # type: ignore[no-untyped-call]

    def _note(self, stream: mitmproxy_rs.Stream, host: str, port: int) -> None:
        caller = pinned.client(caller_of(stream), (host, port), self._mode)
        asked = pinned.request(host, port, b"", b"", b"", b"", b"HTTP/1.1", (), time.time())
        tunnel = self._roads.tunnels.diverted(pinned.flow(caller, pinned.server((host, port)), asked))
        self._roads.tunnels.unread(tunnel, "blocked", detail="QUIC" if port == _QUIC else "UDP")

    async def _look_up(self, stream: mitmproxy_rs.Stream, whom: str) -> None:
        if self.looking_up >= _QUESTIONS:
            log.warning("A name is not looked up for a caller: too many are.")
            return
        self.looking_up += 1
        resolver = None
        try:
            async with asyncio.timeout(_ANSWER_S):
                question = await stream.read(65535)
                resolver = await mitmproxy_rs.udp.open_udp_connection(whom, _DNS)
                resolver.write(question)
                await resolver.drain()
                stream.write(await resolver.read(65535))
                await stream.drain()
        except (OSError, TimeoutError) as problem:
            log.info("A name was not looked up for a caller: %s", problem or "no answer in time")
        finally:
            self.looking_up -= 1
            if resolver is not None:
                resolver.close()  # type: ignore[no-untyped-call]


def system_resolver() -> str | None:
    """The first of this machine's."""
    return next(iter(mitmproxy_rs.dns.get_system_dns_servers()), None)
