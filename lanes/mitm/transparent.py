"""Transparent mode: connections to others, which the network brings here. Their first bytes say in TLS for whom they
are; their address says where they go when they pass."""

import asyncio
import contextlib
import logging
import socket
import struct
import time
from typing import Any, Final

from mitmproxy.proxy import layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from lanes import pinned
from lanes.express.dial import AddressRefused
from lanes.mitm.hello import Hello
from lanes.mitm.knock import HelloKnock
from lanes.mitm.roads import BACKLOG, Roads, address, alert, sentence

log = logging.getLogger(__name__)

_SO_ORIGINAL_DST: Final = 80  # linux/netfilter_ipv4.h; IP6T_SO_ORIGINAL_DST is the same
_IP_TRANSPARENT, _IPV6_TRANSPARENT = 19, 75  # linux/in.h, linux/in6.h


class DivertedMode(mode_specs.ProxyMode):
    """`diverted@0.0.0.0:3129`. mitmproxy's own name `transparent` is taken by a mode that guesses protocols."""

    description = "transparent proxy"
    transport_protocol = mode_specs.TCP

    def __post_init__(self) -> None:
        if self.data:
            raise ValueError("diverted takes no arguments")


class DivertedInstance(mode_servers.AsyncioServerInstance[DivertedMode]):
    """As ForwardInstance."""

    def make_top_layer(self, context: Context) -> layer.Layer:
        raise NotImplementedError("CheckpointHandler brings its own")

    async def listen(self, host: str, port: int) -> list[asyncio.Server]:  # type: ignore[override] # a narrower list
        """Raises OSError where the address cannot be had, and as Roads."""
        roads = self._roads = Roads(self.mode, self.manager)
        listening = _listening(host.strip("[]"), port)
        server = await asyncio.get_running_loop().create_server(
            lambda: HelloKnock(
                roads.keeper.limits,
                roads.keeper.now(),
                arrived=roads.arrived,
                ready=self._said,
                left=roads.lane.knocks.discard,
            ),
            sock=listening,
            backlog=BACKLOG,
        )
        roads.lane.watch()
        return [server]

    def _said(self, knock: HelloKnock, hello: Hello | None) -> None:
        self._roads.serve(knock, lambda: self._serve(knock, hello))

    async def _serve(self, knock: HelloKnock, hello: Hello | None) -> None:
        if address(knock, "peername") in self._roads.keeper.dial.our_ends:
            log.error("A connection of our own came back to us. Exempt this machine's own from what is diverted.")
            knock.transport.abort()
            return
        await Diversion(self._roads).serve(knock, hello, original(knock.transport), self.mode)


class Diversion:
    """What becomes of connections that were meant for somebody else, by the name that their ClientHello asks for."""

    def __init__(self, roads: Roads) -> None:
        self._roads = roads

    async def serve(
        self, knock: HelloKnock, hello: Hello | None, to: tuple[str, int], mode: mode_specs.ProxyMode
    ) -> None:
        """`to` is where it was going. `hello` None: it began with something else."""
        roads = self._roads
        where, port = to
        name = hello.name if hello is not None else None
        host = name or where
        caller = pinned.client(address(knock, "peername"), address(knock, "sockname"), mode)
        asked = pinned.request(host, port, b"", b"", b"", b"", b"HTTP/1.1", (), time.time())
        tunnel = roads.tunnels.diverted(pinned.flow(caller, pinned.server((where, port)), asked))
        if hello is None:
            detail: str | None = "no TLS"
        elif name is None:
            detail = "TLS without a name"
        else:
            detail = "encrypted ClientHello" if hello.encrypted else None
        if tunnel.becomes == "block":
            roads.tunnels.unread(tunnel, "blocked", name=name, detail=detail)
            if hello is not None:
                alert(knock)
            else:
                knock.transport.abort()
        elif tunnel.becomes == "open" and name is not None:
            await roads.open(knock, tunnel, name, caller)
        else:
            await self._pass(knock, tunnel, (where, port), name, detail)

    async def _pass(
        self, knock: HelloKnock, tunnel: Any, to: tuple[str, int], name: str | None, detail: str | None
    ) -> None:
        roads = self._roads
        try:
            # A company's proxy knows hosts by name, and refuses addresses.
            opened = await roads.dial(name or to[0], to[1], at=to[0])
        except AddressRefused as refused:
            roads.tunnels.unread(tunnel, "blocked", name=name, detail=str(refused))
            knock.transport.abort()
        except OSError as failed:
            roads.tunnels.unread(tunnel, "unreachable", name=name, detail=sentence(failed))
            knock.transport.abort()
        else:
            await roads.let_pass(knock, tunnel, opened, name, detail)


def _listening(host: str, port: int) -> socket.socket:
    """With IP_TRANSPARENT where we may: TPROXY hands over connections only then; REDIRECT needs no more than a port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, reuse_port=True)
    with contextlib.suppress(OSError):
        made.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
    if family is socket.AF_INET6:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    made.setblocking(False)
    return made


def original(transport: asyncio.Transport) -> tuple[str, int]:
    """Where the caller connected to: what REDIRECT remembers of it, else our own end (TPROXY leaves it as it was)."""
    ours = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        if ours.family == socket.AF_INET:
            _, port, packed = struct.unpack("!HH4s8x", ours.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16))
            return socket.inet_ntop(socket.AF_INET, packed), port
        _, port, _, packed, _ = struct.unpack("!HHL16sL", ours.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28))
        return socket.inet_ntop(socket.AF_INET6, packed), port
    host, port, *_ = transport.get_extra_info("sockname")
    return host.removeprefix("::ffff:") if "." in host else host, port
