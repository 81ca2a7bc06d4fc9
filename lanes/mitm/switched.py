"""A connection of mitmproxy's that has become a WebSocket: its bytes pass by the layers, to the relay."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mitmproxy import connection
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import _base

from lanes.express.head import ReplyHead
from lanes.mitm.keeper import Keeper
from lanes.websocket.relay import Relay
from lanes.websocket.session import Session

if TYPE_CHECKING:
    from lanes.mitm.hardening import CheckpointHandler


@dataclass
class Switch(_base.HttpEvent):
    """From the upstream's connection to the stream: it switched protocols. `raw` is its head, in its very bytes."""

    head: ReplyHead
    raw: bytes


@dataclass
class Switched:
    """From the stream to the handler: the caller may be told, and frames be passed."""

    session: Session
    server: connection.Server
    raw: bytes


class Carriage:
    """Relay and connections of one WebSocket, for the handler."""

    def __init__(self, handler: "CheckpointHandler", keeper: Keeper, switched: Switched) -> None:
        self._handler = handler
        self._keeper = keeper
        self._server = switched.server
        self.is_held = False
        self.relay = Relay(
            switched.session,
            self,
            message_limit=keeper.limits.body_bytes,
            silence=keeper.limits.reply_seconds,
            now=keeper.now(),
        )

    def begin(self, raw: bytes, ahead: bytes, rest: bytes) -> None:
        """Tell the caller; then what both have said meanwhile."""
        now = self._keeper.now()
        self._keeper.carry(self.relay)
        self._write(self._handler.client, raw)
        if rest:
            self.relay.from_provider(rest, now)
        if ahead:
            self.relay.from_caller(ahead, now)

    def take(self, event: events.Event) -> None:
        """What happens on one of the connections, in place of the layers."""
        if isinstance(event, events.DataReceived):
            feed = self.relay.from_caller if event.connection is self._handler.client else self.relay.from_provider
            feed(event.data, self._keeper.now())
        elif isinstance(event, events.ConnectionClosed):
            if event.connection is self._handler.client:
                self.relay.caller_gone()
            else:
                self.relay.provider_gone()

    # -- Ends, for the relay ----------------------------------------------------------------------------------------

    def to_caller(self, data: bytes) -> None:
        self._write(self._handler.client, data)

    def to_provider(self, data: bytes) -> None:
        self._write(self._server, data)

    def hold_caller(self, hold: bool) -> None:
        self.is_held = hold
        self._handler.make_room()

    def close(self, *, broken: bool) -> None:
        self._keeper.let_go(self.relay)
        self.is_held = False
        self._handler.make_room()
        self._handler.part(self._server, broken=broken)

    def _write(self, conn: connection.Connection, data: bytes) -> None:
        io = self._handler.transports.get(conn)
        if io is not None and isinstance(io.writer, asyncio.StreamWriter) and not io.writer.is_closing():
            io.writer.write(data)
