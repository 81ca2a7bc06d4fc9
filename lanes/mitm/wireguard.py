"""WireGuard mode: a person's machine or telephone, whose packets come through a tunnel of its own to a listener of its
own. Whoever holds the key of that tunnel is that person; what comes out of it is treated as in transparent mode."""

import asyncio
import base64
import binascii
import logging
import time
from pathlib import Path
from typing import Final

import mitmproxy_rs
from mitmproxy import ctx
from mitmproxy.proxy import layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from identities.wireguard_key import private_key
from lanes import pinned
from lanes.mitm.hello import Hello
from lanes.mitm.knock import HelloKnock
from lanes.mitm.roads import Roads
from lanes.mitm.stream_transport import StreamTransport
from lanes.mitm.transparent import Diversion

log = logging.getLogger(__name__)

_DNS, _QUIC = 53, 443
_QUESTIONS: Final = 256  # names that are looked up at once, for all behind one listener
_ANSWER_S: Final = 5.0


class TunnelledMode(mode_specs.ProxyMode):
    """`tunnelled:PEER'S PUBLIC KEY@0.0.0.0:51820`. mitmproxy's `wireguard` has one key for everybody, and guesses
    protocols."""

    description = "WireGuard"
    transport_protocol = mode_specs.UDP

    def __post_init__(self) -> None:
        try:
            fits = len(base64.b64decode(self.data, validate=True)) == 32
        except binascii.Error:
            fits = False
        if not fits:
            raise ValueError("tunnelled takes a public key, 32 bytes in base64")


class TunnelledInstance(mode_servers.AsyncioServerInstance[TunnelledMode]):
    """As ForwardInstance. One peer for each: mitmproxy's stack does not say whose of several keys a packet came by."""

    def make_top_layer(self, context: Context) -> layer.Layer:
        raise NotImplementedError("CheckpointHandler brings its own")

    async def listen(  # type: ignore[override] # a narrower list
        self, host: str, port: int
    ) -> list[mitmproxy_rs.wireguard.WireGuardServer]:
        """Raises OSError where the address cannot be had, UnusableKey, and as Roads."""
        roads = self._roads = Roads(self.mode, self.manager)
        self._diversion = Diversion(roads)
        self._looking_up = 0
        key = await asyncio.to_thread(private_key, Path(ctx.options.confdir).parent)
        server = await mitmproxy_rs.wireguard.start_wireguard_server(
            host.strip("[]"), port, key, [self.mode.data], self._tcp, self._udp
        )
        roads.lane.watch()
        return [server]

    async def _tcp(self, stream: mitmproxy_rs.Stream) -> None:
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
        self._roads.serve(knock, lambda: self._diversion.serve(knock, hello, (host, port), self.mode))

    async def _udp(self, stream: mitmproxy_rs.Stream) -> None:
        """Names are looked up for them, by this machine's resolver. Nothing else passes: QUIC could not be read."""
        host, port = stream.get_extra_info("sockname")
        try:
            if port == _DNS:
                await self._look_up(stream)
            else:
                self._note(stream, host, port)
        finally:
            if not stream.is_closing():
                stream.close()  # type: ignore[no-untyped-call]

    def _note(self, stream: mitmproxy_rs.Stream, host: str, port: int) -> None:
        peer = stream.get_extra_info("original_src", None) or stream.get_extra_info("peername")
        caller = pinned.client(peer, (host, port), self.mode)
        asked = pinned.request(host, port, b"", b"", b"", b"", b"HTTP/1.1", (), time.time())
        tunnel = self._roads.tunnels.diverted(pinned.flow(caller, pinned.server((host, port)), asked))
        self._roads.tunnels.unread(tunnel, "blocked", detail="QUIC" if port == _QUIC else "UDP")

    async def _look_up(self, stream: mitmproxy_rs.Stream) -> None:
        servers = mitmproxy_rs.dns.get_system_dns_servers()
        if self._looking_up >= _QUESTIONS or not servers:
            log.warning("A name is not looked up for a WireGuard peer: %s.", "too many" if servers else "no resolver")
            return
        self._looking_up += 1
        resolver = None
        try:
            async with asyncio.timeout(_ANSWER_S):
                question = await stream.read(65535)
                resolver = await mitmproxy_rs.udp.open_udp_connection(servers[0], _DNS)
                resolver.write(question)
                await resolver.drain()
                stream.write(await resolver.read(65535))
                await stream.drain()
        except (OSError, TimeoutError) as problem:
            log.info("A name was not looked up for a WireGuard peer: %s", problem or "no answer in time")
        finally:
            self._looking_up -= 1
            if resolver is not None:
                resolver.close()  # type: ignore[no-untyped-call]
