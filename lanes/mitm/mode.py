"""A reverse mode of our own on mitmproxy's layers: TCP only, one port shared by all workers."""

import asyncio

from mitmproxy.proxy import layers, mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer

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
        return [await asyncio.start_server(self.handle_stream, host, port, reuse_port=True, backlog=_BACKLOG)]
