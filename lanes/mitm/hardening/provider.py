"""A provider's side of a connection: requests go out, replies are read."""

import time

from mitmproxy import connection
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import _base, _events
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from lanes import pinned
from lanes.express.bodies import UntilClose, Walk, walk_for
from lanes.express.chunks import ChunkProblem
from lanes.express.head import HeadProblem, parse_reply
from lanes.express.writing import BODILESS
from lanes.mitm.asking import Forget, Message
from lanes.mitm.hardening.top import CheckpointTop
from lanes.mitm.switched import Switch

type Commands = layer.CommandGenerator[None]


class ProviderConnection(_base.HttpConnection):
    """An upstream's side: requests go out as they are given; replies are read strictly, one at a time."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.server)
        self._top = next(one for one in context.layers if isinstance(one, CheckpointTop))
        self._stream: int | None = None  # whose reply is due
        self._method = b""
        self._buffer = b""
        self._walk: Walk | None = None  # None: its head is due
        self._keep = False
        self._is_switched = False
        self._top.http.providers[self.conn] = self

    @property
    def is_free(self) -> bool:
        """Can the next request go out here?"""
        return self._stream is None and self.conn.connected

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, Message):
            self._stream, self._method, self._buffer, self._walk = event.stream_id, event.method, b"", None
            yield commands.SendData(self.conn, event.data)
        elif isinstance(event, (Forget, _events.RequestProtocolError)):
            yield from self._abandon()
        elif isinstance(event, events.ConnectionClosed):
            yield from self._closed()
        elif isinstance(event, events.DataReceived):
            if self._is_switched:
                self._buffer += event.data
            elif self._stream is None:
                yield from self._abandon()  # it said something unasked
            elif self._walk is None:
                yield from self._head(self._stream, self._buffer + event.data)
            else:
                yield from self._reply_body(self._stream, self._walk, event.data)

    def _head(self, stream: int, data: bytes) -> Commands:
        at = 0
        while True:
            end = data.find(b"\r\n\r\n", at)
            if end < 0:
                self._buffer = data[at:]
                if len(self._buffer) > self._top.keeper.limits.reply_head_bytes:
                    yield from self._broken(stream, "its reply's head is too large")
                return
            try:
                head = parse_reply(data[at:end])
            except HeadProblem:
                yield from self._broken(stream, "its reply's head cannot be read")
                return
            if head.status == 101:
                self._buffer, self._is_switched = data[end + 4 :], True
                yield ReceiveHttp(Switch(stream, head, data[at : end + 4]))
                return
            if head.status >= 200:
                break
            at = end + 4  # an interim reply; the final one follows
        walk = self._walk = walk_for(head, bodiless=head.status in BODILESS or self._method == b"HEAD")
        self._keep = head.keep and not isinstance(walk, UntilClose)
        response = pinned.response(head.version, head.status, head.reason, head.fields, time.time())
        yield ReceiveHttp(_events.ResponseHeaders(stream, response, end_stream=walk.end == 0))
        if self._stream is None:
            return  # not wanted after all
        rest = data[end + 4 :]
        if walk.end == 0:
            yield from self._ended(stream, rest)
        elif rest:
            yield from self._reply_body(stream, walk, rest)

    def hand_over(self) -> bytes:
        """The layers have no more to do with this connection. Given: what it has said meanwhile."""
        self._stream = None
        rest, self._buffer = self._buffer, b""
        return rest

    def _reply_body(self, stream: int, walk: Walk, data: bytes) -> Commands:
        try:
            pieces = walk.feed(data)
        except ChunkProblem as problem:
            for piece in problem.pieces:  # what came before the fault is the caller's, and on record
                yield ReceiveHttp(_events.ResponseData(stream, piece))
            yield from self._broken(stream, str(problem))
            return
        for piece in pieces:
            yield ReceiveHttp(_events.ResponseData(stream, piece))
        if walk.end >= 0:
            yield from self._ended(stream, data[walk.end :])

    def _ended(self, stream: int, rest: bytes) -> Commands:
        self._stream = None
        if rest or not self._keep:  # more than a reply: this connection has no next
            yield from self._abandon()
        yield ReceiveHttp(_events.ResponseEndOfMessage(stream))

    def _closed(self) -> Commands:
        stream = self._stream
        yield from self._abandon()
        if stream is None:
            return
        if isinstance(self._walk, UntilClose) and self.conn not in self._top.broken:
            yield ReceiveHttp(_events.ResponseEndOfMessage(stream))
        else:
            yield from self._broken(stream, None)

    def _broken(self, stream: int, why: str | None) -> Commands:
        yield from self._abandon()
        said = f"Upstream disconnected: {why}" if why else "Upstream disconnected"
        code = _events.ErrorCode.GENERIC_SERVER_ERROR
        yield ReceiveHttp(_events.ResponseProtocolError(stream, said, code))

    def _abandon(self) -> Commands:
        self._stream = None
        self._top.http.providers.pop(self.conn, None)
        if self.conn.state is not connection.ConnectionState.CLOSED:
            yield commands.CloseConnection(self.conn)
