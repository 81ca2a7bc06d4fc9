"""A reverse mode of our own on mitmproxy's layers: TCP only, one port shared by all workers."""

import asyncio
from typing import Any

from mitmproxy import ctx
from mitmproxy.proxy import layers, mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer

from lanes.express.lane import Lane
from lanes.express.tls import UnreadableCertificate, describe

_BACKLOG = 4096


class CheckpointMode(mode_specs.ReverseMode):
    """`checkpoint:http://host:port@listen`. mitmproxy's reverse:https would open a UDP port too (HTTP/3)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.transport_protocol = "tcp"


class CheckpointInstance(mode_servers.AsyncioServerInstance[CheckpointMode]):
    """Registers itself for its mode by being defined."""

    def make_top_layer(self, context: Context) -> Layer:
        return layers.modes.ReverseProxy(context)

    async def listen(self, host: str, port: int) -> list[asyncio.Server]:  # type: ignore[override] # a narrower list
        """TLS is ended here, by the listener's own certificate: mitmproxy's layer would show one of its own making."""
        lane: Lane | None = ctx.master.addons.get(Lane.name)
        if lane is None:
            raise RuntimeError("add a Lane to the master before a checkpoint listener")
        tls = lane.listener_tls(host, port)
        return [await asyncio.start_server(self.handle_stream, host, port, reuse_port=True, backlog=_BACKLOG, ssl=tls)]

    async def handle_stream(self, reader: Any, writer: Any = None) -> None:
        """As mitmproxy's own, with what the handshake said of the caller filled in."""
        handler = mode_servers.ProxyConnectionHandler(ctx.master, reader, writer, ctx.options, self.mode)
        secured = writer.get_extra_info("ssl_object")
        if secured is not None:
            try:
                describe(handler.client, secured)
            except UnreadableCertificate:
                writer.close()
                return
        handler.layer = self.make_top_layer(handler.layer.context)
        with self.manager.register_connection(handler.client.id, handler):
            await handler.handle_client()
