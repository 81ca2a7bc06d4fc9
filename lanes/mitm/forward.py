"""Forward mode: `HTTPS_PROXY`. A connection begins with a CONNECT, or asks for whole addresses in plain HTTP."""

import asyncio
import time
from typing import Final

from mitmproxy import connection
from mitmproxy.proxy import layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from lanes import pinned
from lanes.express.dial import AddressRefused
from lanes.express.head import RequestHead
from lanes.mitm.hello import Hello, NotTls
from lanes.mitm.knock import Gone, HeadKnock
from lanes.mitm.roads import BACKLOG, Roads, address, alert, sentence, shown
from lanes.mitm.tunnels import Tunnel
from lanes.mitm.ways import split_authority
from outbound.upstream_proxy import UpstreamProxyFailed

_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ForwardMode(mode_specs.ProxyMode):
    """`forward@127.0.0.1:3128`."""

    description = "forward proxy"
    transport_protocol = mode_specs.TCP

    def __post_init__(self) -> None:
        if self.data:
            raise ValueError("forward takes no arguments")


class ForwardInstance(mode_servers.AsyncioServerInstance[ForwardMode]):
    """Registers itself for its mode by being defined. As CheckpointInstance; an addon named `tunnels` must be there,
    who judges (lanes.mitm.tunnels)."""

    def make_top_layer(self, context: Context) -> layer.Layer:
        raise NotImplementedError("CheckpointHandler brings its own")

    async def listen(self, host: str, port: int) -> list[asyncio.Server]:  # type: ignore[override] # a narrower list
        """Raises OSError as `create_server` does, and as Roads."""
        roads = self._roads = Roads(self.mode, self.manager)
        limits = roads.keeper.limits
        context = roads.keeper.listener_tls(host, port)
        server = await asyncio.get_running_loop().create_server(
            lambda: HeadKnock(
                limits, roads.keeper.now(), arrived=roads.arrived, ready=self._headed, left=roads.lane.knocks.discard
            ),
            host.strip("[]") or None,
            port,
            reuse_port=True,
            backlog=BACKLOG,
            ssl=context,
            ssl_handshake_timeout=limits.head_seconds if context is not None else None,
        )
        roads.lane.watch()
        return [server]

    def _headed(self, knock: HeadKnock, head: RequestHead | str) -> None:
        self._roads.serve(knock, lambda: self._serve(knock, head))

    async def _serve(self, knock: HeadKnock, head: RequestHead | str) -> None:
        if isinstance(head, str):
            await self._roads.turn_away(knock, self._roads.keeper.refusal(head))
        elif head.method == b"CONNECT":
            await self._connect(knock, head)
        else:
            await self._roads.plain(knock)

    async def _connect(self, knock: HeadKnock, head: RequestHead) -> None:
        roads = self._roads
        del knock.data[: knock.head_end]
        host, port = split_authority(head.authority, None) or ("", 0)
        caller = pinned.client(address(knock, "peername"), address(knock, "sockname"), self.mode)
        if (code := shown(caller, knock.transport)) is not None:
            await roads.turn_away(knock, roads.keeper.refusal(code))
            return
        asked = pinned.request(
            host, port, b"", head.method, head.authority, b"", head.version, head.fields, time.time()
        )
        tunnel = await roads.tunnels.judge(pinned.flow(caller, pinned.server((host, port)), asked), head.fault)
        if tunnel.refusal is not None:
            await roads.turn_away(knock, tunnel.refusal)
        elif tunnel.becomes == "open":
            await self._open(knock, tunnel, host, caller)
        else:
            await self._pass(knock, tunnel, host, port)

    async def _open(self, knock: HeadKnock, tunnel: Tunnel, host: str, caller: connection.Client) -> None:
        try:
            hello = await self._hello(knock, tunnel)
        except NotTls:
            self._roads.tunnels.refuse(tunnel, "not_tls", "what came after CONNECT is no TLS")
            knock.transport.abort()
            return
        if hello.name != host:
            said = f"TLS names {hello.name[:253]}" if hello.name else "TLS names no host"
            self._roads.tunnels.refuse(tunnel, "sni_mismatch", f"{said}, and CONNECT {host}")
            alert(knock)
            return
        await self._roads.open(knock, tunnel, host, caller)

    async def _pass(self, knock: HeadKnock, tunnel: Tunnel, host: str, port: int) -> None:
        roads = self._roads
        try:
            to = await roads.dial(host, port)
        except AddressRefused as refused:
            await roads.turn_away(knock, roads.tunnels.refuse(tunnel, "destination_not_allowed", str(refused)))
            return
        except OSError as failed:  # TimeoutError is one
            roads.tunnels.unread(tunnel, "unreachable", detail=sentence(failed))
            code = "upstream_proxy_failed" if isinstance(failed, UpstreamProxyFailed) else "upstream_unreachable"
            await roads.turn_away(knock, roads.keeper.refusal(code))
            return
        try:
            name, detail = await self._named(knock, tunnel)
        except BaseException:
            to.close()
            raise
        await roads.let_pass(knock, tunnel, to, name, detail)

    async def _named(self, knock: HeadKnock, tunnel: Tunnel) -> tuple[str | None, str | None]:
        """The name that the caller asks for in TLS, and what is to be noted of it.

        Raises:
            Gone: it said nothing, or asked for a name that may not be behind this tunnel: it has got its alert.
        """
        try:
            hello = await self._hello(knock, tunnel)
        except NotTls:
            return None, "no TLS"
        if hello.name is None:
            return None, "TLS without a name"
        if not self._roads.tunnels.may_be_behind(tunnel, hello.name):
            self._roads.tunnels.refuse(tunnel, "sni_mismatch", f"TLS names {hello.name[:253]}")
            alert(knock)
            raise Gone("it asked for another name")
        return hello.name, "encrypted ClientHello" if hello.encrypted else None

    async def _hello(self, knock: HeadKnock, tunnel: Tunnel) -> Hello:
        """Tell the caller to go on, and read what it says of TLS. Raises NotTls; Gone, which is noted."""
        knock.transport.write(_ESTABLISHED)
        try:
            return await knock.hello(self._roads.keeper.limits.head_seconds)
        except Gone as gone:
            self._roads.tunnels.unread(tunnel, "tls_failed", detail=str(gone))
            knock.transport.abort()
            raise
