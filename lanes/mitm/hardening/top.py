"""Where the layers of one connection begin: HTTP and nothing else, in our streams."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from mitmproxy import connection
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers

from lanes.mitm.asking import Expel, Expelled
from lanes.mitm.hardening.caller import CallerConnection
from lanes.mitm.hardening.stream import CheckpointStream
from lanes.mitm.http2 import CallerStreams
from lanes.mitm.keeper import Keeper
from lanes.mitm.switched import Carriage, Switched
from lanes.mitm.ways import Way

if TYPE_CHECKING:
    from lanes.mitm.hardening.provider import ProviderConnection

type Commands = layer.CommandGenerator[None]


class CheckpointHttp(http_layers.HttpLayer):
    """mitmproxy's HTTP layer with our caller's side and our streams. `switched` is told of one that becomes a
    WebSocket."""

    def __init__(self, context: Context, keeper: Keeper, way: Way, switched: Callable[[Switched], None]) -> None:
        super().__init__(context, http_layers.HTTPMode.transparent)
        self._keeper = keeper
        self._switched = switched
        side = CallerStreams if context.client.alpn == b"h2" else CallerConnection
        self.caller: CallerConnection | CallerStreams = side(context.fork(), keeper, way)
        self.connections[context.client] = self.caller  # an entry that is there already is kept
        self.providers: dict[connection.Connection, ProviderConnection] = {}

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, Expel):
            for stream_id in self.of_flows(event.flows):
                if (stream := self.streams.get(stream_id)) is not None:
                    yield from self.event_to_child(stream, Expelled(stream_id))
        else:
            yield from super()._handle_event(event)

    def of_flows(self, flows: Collection[str]) -> list[int]:
        """The streams of these flows."""
        return [
            stream_id
            for stream_id, stream in self.streams.items()
            if (flow := getattr(stream, "flow", None)) is not None and flow.id in flows  # none before its head
        ]

    def get_connection(self, event: http_layers.GetHttpConnection, *, reuse: bool = True) -> Commands:
        """An HTTP/2 caller has several requests at once, and an upstream's HTTP/1.1 connection one: mitmproxy opens one
        for each and never uses it again."""
        if self.context.client.alpn != b"h2":
            yield from super().get_connection(event, reuse=reuse)
            return
        for upstream, side in self.providers.items():
            if event.connection_spec_matches(upstream) and side.is_free:
                stream = self.command_sources.pop(event)
                yield from self.event_to_child(stream, http_layers.GetHttpConnectionCompleted(event, (upstream, None)))
                return
        yield from super().get_connection(event, reuse=False)

    def make_stream(self, stream_id: int) -> Commands:
        stream = self.streams[stream_id] = CheckpointStream(
            self.context.fork(), stream_id, self._keeper, self._switched
        )
        yield from self.event_to_child(stream, events.Start())


class CheckpointTop(layer.Layer):
    """What comes is HTTP and nothing else, whatever the first bytes look like: HTTP/2 where TLS agreed on it."""

    def __init__(self, context: Context, keeper: Keeper, way: Way) -> None:
        super().__init__(context)
        context.server.address = (way.host, way.port)
        self.keeper = keeper
        self.broken: set[connection.Connection] = set()
        """Connections that were reset, not ended."""
        self.http = CheckpointHttp(context, keeper, way, self._has_switched)
        self.switched: Switched | None = None
        """Set once the connections have become a WebSocket."""
        self.take_over: Callable[[Switched], Carriage] | None = None
        self.carriage: Carriage | None = None

    def _has_switched(self, switched: Switched) -> None:
        self.switched = switched

    def _handle_event(self, event: events.Event) -> Commands:
        # Here and not in the handler: there an event may wait for its turn while the connection changes hands.
        if self.carriage is not None and not self.carriage.relay.over:
            self.carriage.take(event)
            return
        yield from self.http.handle_event(event)
        if self.switched is not None and self.carriage is None and self.take_over is not None:
            self.carriage = self.take_over(self.switched)
