"""Transparent mode: connections to others, which the network brings here. Their first bytes say in TLS for whom they
are; their address says where they go when they pass."""

import asyncio
import contextlib
import logging
import socket
import struct
import time
from typing import Final

from mitmproxy import connection
from mitmproxy.proxy import layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from lanes import pinned
from lanes.express.dial import AddressRefused
from lanes.express.head import HeadProblem, parse_request
from lanes.express.limits import Limits
from lanes.mitm.hello import Hello
from lanes.mitm.knock import HelloKnock
from lanes.mitm.roads import BACKLOG, Roads, address, alert, sentence
from lanes.mitm.tunnels import Tunnel
from lanes.mitm.ways import split_authority
from wire.request_head import METHODS

log = logging.getLogger(__name__)

_REQUESTS: Final = tuple(f"{method} ".encode() for method in sorted(METHODS))
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
        name = hello.name if hello is not None else None
        caller = pinned.client(address(knock, "peername"), address(knock, "sockname"), mode)
        if hello is None and (plain := await _plain_host(knock, roads.keeper.limits)) is not None:
            tunnel = self._judged(caller, plain, to)
            if tunnel.becomes == "open":
                why = "plain HTTP to a provider's host: anybody on the way could read it, a key in it too"
                await roads.turn_away(knock, roads.tunnels.refuse(tunnel, "plain_http", why))
                return
        tunnel = self._judged(caller, name or to[0], to)
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
            await self._pass(knock, tunnel, to, name, detail)

    def _judged(self, caller: connection.Client, host: str, to: tuple[str, int]) -> Tunnel:
        asked = pinned.request(host, to[1], b"", b"", b"", b"", b"HTTP/1.1", (), time.time())
        return self._roads.tunnels.diverted(pinned.flow(caller, pinned.server(to), asked))

    async def _pass(
        self, knock: HelloKnock, tunnel: Tunnel, to: tuple[str, int], name: str | None, detail: str | None
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


async def _plain_host(knock: HelloKnock, limits: Limits) -> str | None:
    """The host that a request in plain HTTP is for; None when this is none, or its head did not come whole in time."""
    if not any(one.startswith(bytes(knock.data[: len(one)])) for one in _REQUESTS):
        return None  # whatever else it is, it does not wait for us
    try:
        async with asyncio.timeout(limits.head_seconds):
            while (end := knock.data.find(b"\r\n\r\n")) < 0:
                if len(knock.data) > limits.head_bytes or knock.is_paused:
                    return None
                await knock.more()
        head = parse_request(bytes(knock.data[:end]), limits.head_fields)
    except (HeadProblem, TimeoutError):
        return None
    named = [value for name, value in head.fields if name.lower() == b"host"]
    found = split_authority(head.authority or b"".join(named[:1]), 80)
    return found[0] if found is not None else None


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
