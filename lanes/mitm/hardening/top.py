"""Where the layers of one connection begin: HTTP and nothing else, in our streams."""

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Final

from mitmproxy import connection
from mitmproxy.proxy import events, layer, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import tls

from lanes.mitm.asking import Expel, Expelled, Recorded, Room, StreamsWanted
from lanes.mitm.hardening.call_stream import CallStream, Later
from lanes.mitm.hardening.caller import CallerConnection
from lanes.mitm.hardening.stream import CheckpointStream
from lanes.mitm.http2 import CallerStreams
from lanes.mitm.keeper import Keeper
from lanes.mitm.switched import Carriage, Switched
from lanes.mitm.ways import Way

if TYPE_CHECKING:
    from lanes.mitm.hardening.provider import ProviderConnection
    from lanes.mitm.hardening.provider_streams import ProviderStreams

type Commands = layer.CommandGenerator[None]


OFFERED: Final = (b"h2", b"http/1.1")
"""To a provider, for a call of gRPC (RFC 7301)."""


class CheckpointHttp(http_layers.HttpLayer):
    """mitmproxy's HTTP layer with our caller's side and our streams. `switched` is told of one that becomes a
    WebSocket; `later` awaits what records a part of a body.

    Of one caller's connections to a provider, those that speak HTTP/2 are for calls of gRPC, which share them, and
    those that speak HTTP/1.1 for the rest, each for one request at a time.
    """

    def __init__(
        self, context: Context, keeper: Keeper, way: Way, switched: Callable[[Switched], None], later: Later
    ) -> None:
        super().__init__(context, http_layers.HTTPMode.transparent)
        self._keeper = keeper
        self._switched = switched
        self._later = later
        side = CallerStreams if context.client.alpn == b"h2" else CallerConnection
        self.caller: CallerConnection | CallerStreams = side(context.fork(), keeper, way)
        self.connections[context.client] = self.caller  # an entry that is there already is kept
        self.providers: dict[connection.Connection, ProviderConnection] = {}
        self.streaming: dict[connection.Connection, ProviderStreams] = {}
        self._only_http1: dict[tuple[str, int], connection.Connection] = {}
        """Providers that were offered HTTP/2 and chose HTTP/1.1."""

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, Recorded):
            if (stream := self.streams.get(event.stream_id)) is not None:
                yield from self.event_to_child(stream, event)
        elif isinstance(event, Expel):
            for stream_id in self.of_flows(event.flows):
                if (stream := self.streams.get(stream_id)) is not None:
                    yield from self.event_to_child(stream, Expelled(stream_id))
        else:
            yield from super()._handle_event(event)
        if self.streaming:
            yield from self._look_for_room()

    def _look_for_room(self) -> Commands:
        for stream in list(self.streams.values()):
            if isinstance(stream, CallStream) and stream.waits_for_room:
                yield from self.event_to_child(stream, Room(stream.stream_id))

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
        if isinstance(event, StreamsWanted):
            yield from self._get_streams(event)
            return
        if self.context.client.alpn != b"h2":
            yield from super().get_connection(event, reuse=reuse)
            return
        for upstream, side in self.providers.items():
            if event.connection_spec_matches(upstream) and side.is_free:
                stream = self.command_sources.pop(event)
                yield from self.event_to_child(stream, http_layers.GetHttpConnectionCompleted(event, (upstream, None)))
                return
        yield from super().get_connection(event, reuse=False)

    def _get_streams(self, event: StreamsWanted) -> Commands:
        """One that is there and has room, one that is on its way, or a new one. A provider that has chosen HTTP/1.1
        before need not be asked again."""
        there = [self._only_http1[event.address]] if event.address in self._only_http1 else []
        there += [
            conn for conn, side in self.streaming.items() if event.connection_spec_matches(conn) and side.has_room
        ]
        if there:
            stream = self.command_sources.pop(event)
            yield from self.event_to_child(stream, http_layers.GetHttpConnectionCompleted(event, (there[0], None)))
            return
        for upstream, waiting in self.waiting_for_establishment.items():
            if isinstance(waiting[0], StreamsWanted) and event.connection_spec_matches(upstream):
                waiting.append(event)
                return
        context = self.context.fork()
        context.server = connection.Server(address=event.address)
        context.server.sni, context.server.alpn_offers = event.address[0], OFFERED
        stack = tunnel.LayerStack()
        stack /= tls.ServerTLSLayer(context)
        stack /= http_layers.HttpClient(context)
        self.connections[context.server] = stack[0]
        self.waiting_for_establishment[context.server].append(event)
        yield from self.event_to_child(stack[0], events.Start())

    def register_connection(self, command: http_layers.RegisterHttpConnection) -> Commands:
        made = command.connection
        assert isinstance(made, connection.Server)
        offered = tuple(made.alpn_offers) == OFFERED
        if offered and not command.err and made.alpn != b"h2" and made.address is not None:
            self._only_http1[made.address] = made
        yield from super().register_connection(command)

    def make_stream(self, stream_id: int) -> Commands:
        context, caller = self.context.fork(), self.caller
        stream: CheckpointStream
        if isinstance(caller, CallerStreams) and caller.goes_on(stream_id):
            stream = CallStream(context, stream_id, self._keeper, self._switched, self._later, self._holds)
        else:
            stream = CheckpointStream(context, stream_id, self._keeper, self._switched)
        self.streams[stream_id] = stream
        yield from self.event_to_child(stream, events.Start())

    def _holds(self, conn: connection.Connection, stream_id: int) -> bool:
        if conn is self.context.client:
            return isinstance(self.caller, CallerStreams) and self.caller.holds(stream_id)
        side = self.streaming.get(conn)
        return side is not None and side.holds(stream_id)


class CheckpointTop(layer.Layer):
    """What comes is HTTP and nothing else, whatever the first bytes look like: HTTP/2 where TLS agreed on it."""

    def __init__(self, context: Context, keeper: Keeper, way: Way) -> None:
        super().__init__(context)
        context.server.address = (way.host, way.port)
        self.keeper = keeper
        self.broken: set[connection.Connection] = set()
        """Connections that were reset, not ended."""
        self.http = CheckpointHttp(context, keeper, way, self._has_switched, self._recorded_later)
        self.switched: Switched | None = None
        """Set once the connections have become a WebSocket."""
        self.take_over: Callable[[Switched], Carriage] | None = None
        self.later: Later | None = None
        self.carriage: Carriage | None = None

    def _recorded_later(self, stream_id: int, recording: Awaitable[str | None]) -> None:
        assert self.later is not None
        self.later(stream_id, recording)

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
