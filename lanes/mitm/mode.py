"""A reverse mode of our own on mitmproxy's layers: TCP only, one port shared by all workers."""

import asyncio
from typing import Any

from mitmproxy import ctx
from mitmproxy.proxy import layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from lanes.express.lane import Lane
from lanes.express.tls import UnreadableCertificate, describe
from lanes.mitm import hardening, ways
from lanes.mitm.hardening import CheckpointHandler
from lanes.mitm.lane import mitm_lane

_BACKLOG = 4096


class CheckpointMode(mode_specs.ReverseMode):
    """`checkpoint:http://host:port@listen`. mitmproxy's reverse:https would open a UDP port too (HTTP/3)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scheme not in ("http", "https"):
            raise ValueError(f"the mitm lane speaks http and https, not {self.scheme}")
        self.__dict__["transport_protocol"] = mode_specs.TCP  # the dataclass is frozen


class CheckpointInstance(mode_servers.AsyncioServerInstance[CheckpointMode]):
    """Registers itself for its mode by being defined. The express lane's Lane, which holds the door and the limits of
    both lanes, must be among the master's addons; MitmLane is added behind all others with the first listener."""

    def make_top_layer(self, context: Context) -> layer.Layer:
        raise NotImplementedError("CheckpointHandler brings its own")

    async def listen(self, host: str, port: int) -> list[asyncio.Server]:  # type: ignore[override] # a narrower list
        """TLS is ended here, by the listener's own certificate: mitmproxy's layer would show one of its own making.

        Raises OSError as `start_server` does, RuntimeError without a Lane.
        """
        keeper: Lane | None = ctx.master.addons.get(Lane.name)
        if keeper is None:
            raise RuntimeError("add a Lane to the master before a checkpoint listener")
        hardening.install()
        lane = self._lane = mitm_lane(keeper)
        server = await asyncio.start_server(
            self.handle_stream,
            host or None,
            port,
            reuse_port=True,
            backlog=_BACKLOG,
            ssl=keeper.listener_tls(host, port),
        )
        lane.watch()
        return [server]

    async def handle_stream(self, reader: Any, writer: Any = None) -> None:
        """As mitmproxy's own, for those who are admitted; with what the TLS handshake said of the caller filled in."""
        lane = self._lane
        if lane.is_full:
            await lane.turn_away(reader, writer, lane.keeper.refusal("overloaded"))
            return
        handler = CheckpointHandler(
            ctx.master, reader, writer, ctx.options, self.mode, lane.keeper, ways.reverse(self.mode)
        )
        secured = writer.get_extra_info("ssl_object")
        if secured is not None:
            try:
                describe(handler.client, secured)
            except UnreadableCertificate:
                await lane.turn_away(reader, writer, lane.keeper.refusal("bad_request"))
                return
        with self.manager.register_connection(handler.client.id, handler), lane.admitted(handler):
            await handler.handle_client()
