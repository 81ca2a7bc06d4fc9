"""The lane as a mode of mitmproxy: `express:http://unused@127.0.0.1:8080`. Importing this file registers it."""

import asyncio

import mitmproxy_rs
from mitmproxy import ctx
from mitmproxy.proxy import layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from lanes.express.lane import Lane


class ExpressMode(mode_specs.ReverseMode):
    """Reverse traffic over TCP. The address in the mode's data is where a request goes that no addon directs."""

    description = "express lane"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheme not in ("http", "https"):
            raise ValueError(f"the express lane speaks http and https, not {self.scheme}")
        # `reverse:https` opens a UDP socket for HTTP/3 beside; this lane does not.
        self.__dict__["transport_protocol"] = mode_specs.TCP  # the dataclass is frozen


class ExpressInstance(mode_servers.AsyncioServerInstance[ExpressMode]):
    """Listens with the lane's protocol. The Lane must be among the master's addons."""

    def make_top_layer(self, context: Context) -> layer.Layer:
        raise NotImplementedError("the express lane has no layers")

    async def listen(
        self, host: str, port: int
    ) -> list[asyncio.Server | mitmproxy_rs.udp.UdpServer | mitmproxy_rs.wireguard.WireGuardServer]:
        """Raises OSError as `create_server` does, RuntimeError without a Lane."""
        lane: Lane | None = ctx.master.addons.get(Lane.name)
        if lane is None:
            raise RuntimeError("add a Lane to the master before an express listener")
        return [await lane.listen(host, port, self.mode)]
