"""A provider's side of an HTTP/2 connection (RFC 9113), for calls of gRPC: HTTP/1.1 has no road for their trailers.

mitmproxy's client opens windows of 2 GiB, has no bound on heads and on frames that say nothing, and takes GOAWAY for
the end of every stream, where a server only asks for the next ones elsewhere. It could go with: those as options.
"""

import time
from dataclasses import dataclass
from typing import Final

import h2.config
import h2.errors
import h2.events
import h2.exceptions
from hyperframe.frame import Frame, GoAwayFrame
from mitmproxy import connection, http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import _base, _events
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from lanes import pinned
from lanes.express.head import HeadProblem
from lanes.mitm.asking import ProviderReset, Taken
from lanes.mitm.hardening.top import CheckpointTop
from lanes.mitm.http2_connection import STREAMS, BoundedConnection
from lanes.mitm.http2_head import http2_head
from wire.grpc import may_follow

type Commands = layer.CommandGenerator[None]

_CONNECTION_WINDOW: Final = 4 << 20
_CHATTER: Final = 256 << 10
"""Bytes of frames in a row that are no part of any answer: PING, SETTINGS, empty DATA, interim replies. Then it
ends."""

_CONFIG: Final = h2.config.H2Configuration(
    client_side=True,
    header_encoding=False,
    validate_inbound_headers=True,
    normalize_inbound_headers=False,
    normalize_outbound_headers=False,
)


class _GoingAway(h2.events.Event):
    def __init__(self, last_stream: int) -> None:
        self.last_stream = last_stream


class _Connection(BoundedConnection):
    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[h2.events.Event]]:
        """hyper-h2 takes nothing more of a connection after it; up to its last stream, answers still come (§6.8)."""
        return [], [_GoingAway(frame.last_stream_id)]


@dataclass(slots=True)
class _Call:
    stream: int  # as the caller counts
    owed: int = 0  # bytes of its answer that nobody has taken yet


class ProviderStreams(_base.HttpConnection):
    """An upstream's side: several calls at once, each in a stream of its own."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.server)
        self._top = next(one for one in context.layers if isinstance(one, CheckpointTop))
        self._h2 = _Connection(_CONFIG, head_bytes=self._top.keeper.limits.reply_head_bytes, window=_CONNECTION_WINDOW)
        self._ours: dict[int, int] = {}  # the caller's number of a stream: ours
        self._calls: dict[int, _Call] = {}  # by our number
        self._chatter = 0
        self._is_leaving = False
        self._is_over = False
        self._top.http.streaming[self.conn] = self

    @property
    def has_room(self) -> bool:
        """Can one more call go out here?"""
        if self._is_over or self._is_leaving or not self.conn.connected:
            return False
        return self._h2.open_outbound_streams < min(self._h2.remote_settings.max_concurrent_streams, STREAMS)

    def holds(self, stream: int) -> bool:
        """Has the provider not taken yet what it was sent for this stream of the caller?"""
        return self._h2.holds(self._ours.get(stream, 0))

    # -- what goes out ------------------------------------------------------------------------------------------------

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, _events.RequestHeaders):
            yield from self._open(event.stream_id, event.request)
        elif self._is_over:
            return
        elif isinstance(event, events.DataReceived):
            yield from self._received(event.data)
        elif isinstance(event, events.ConnectionClosed):
            yield from self._end("Upstream disconnected")
        elif isinstance(event, events.Start):
            self._h2.initiate_connection()
        elif isinstance(event, _base.HttpEvent):
            try:
                self._say(event)
            except h2.exceptions.ProtocolError as problem:
                yield from self._end(f"Upstream disconnected: {problem}"[:500])
        if not self._is_over:
            yield from self._flush()
            if self._is_leaving and not self._calls:
                yield from self._close()

    def _open(self, stream: int, request: http.Request) -> Commands:
        try:
            if not self.has_room:
                raise h2.exceptions.TooManyStreamsError("no room for another stream")
            ours = self._h2.get_next_available_stream_id()
            self._h2.send_headers(ours, http2_head(request))
        except (h2.exceptions.ProtocolError, HeadProblem) as problem:
            self._is_leaving = self._is_leaving or not self._calls  # a connection that takes no call at all
            said = f"Upstream disconnected: {problem}"
            code = _events.ErrorCode.GENERIC_SERVER_ERROR
            yield ReceiveHttp(_events.ResponseProtocolError(stream, said, code))
        else:
            self._ours[stream], self._calls[ours] = ours, _Call(stream)

    def _say(self, event: _base.HttpEvent) -> None:
        ours = self._ours.get(event.stream_id)
        if ours is None:
            return  # it is over, and a word crossed that
        self._chatter = 0
        if isinstance(event, _events.RequestData):
            self._h2.send_data(ours, event.data)
        elif isinstance(event, _events.RequestEndOfMessage):
            self._h2.end_stream(ours)
        elif isinstance(event, _events.RequestProtocolError):
            self._forget(ours)
            self._h2.reset_stream(ours, h2.errors.ErrorCodes.CANCEL)
        elif isinstance(event, Taken):
            call = self._calls[ours]
            size = min(event.size, call.owed)
            call.owed -= size
            self._acknowledge(size, ours)

    # -- what comes in ------------------------------------------------------------------------------------------------

    def _received(self, data: bytes) -> Commands:
        try:
            found = self._h2.receive_data(data)
        except (h2.exceptions.ProtocolError, ValueError, IndexError) as problem:  # the latter two: hyper-h2 #1231
            yield from self._flush()
            yield from self._end(f"Upstream disconnected: {problem}"[:500])
            return
        self._chatter += len(data)
        for event in found:
            yield from self._heard(event)
            if self._is_over:
                return
        if self._chatter > _CHATTER:
            self._h2.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
            yield from self._flush()
            yield from self._end("Upstream disconnected: it sends frames without end that say nothing")

    def _heard(self, event: h2.events.Event) -> Commands:
        if isinstance(event, _GoingAway):
            self._is_leaving = True
            for ours in [each for each in self._calls if each > event.last_stream]:
                yield from self._reset(ours, h2.errors.ErrorCodes.REFUSED_STREAM)
            return
        ours = getattr(event, "stream_id", 0) or 0
        call = self._calls.get(ours)
        if isinstance(event, h2.events.DataReceived):
            yield from self._body(ours, call, event)
        elif call is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            yield from self._head(ours, call, event)
        elif isinstance(event, h2.events.TrailersReceived):
            self._chatter = 0
            kept = [field for field in _fields(event.headers) if may_follow(field[0])]
            yield ReceiveHttp(_events.ResponseTrailers(call.stream, http.Headers(kept)))
        elif isinstance(event, h2.events.StreamEnded):
            self._forget(ours)
            if self._h2.is_open(ours):  # it need not hear the rest of what is asked (§8.1)
                self._h2.reset_stream(ours, h2.errors.ErrorCodes.NO_ERROR)
            yield ReceiveHttp(_events.ResponseEndOfMessage(call.stream))
        elif isinstance(event, h2.events.StreamReset):
            yield from self._reset(ours, int(event.error_code or 0))

    def _head(self, ours: int, call: _Call, event: h2.events.ResponseReceived) -> Commands:
        self._chatter = 0
        fields = _fields(event.headers)
        status = next((value for name, value in fields if name == b":status"), b"")
        if len(status) != 3 or not status.isdigit() or status < b"200":
            self._h2.reset_stream(ours, h2.errors.ErrorCodes.PROTOCOL_ERROR)
            yield from self._reset(ours, h2.errors.ErrorCodes.PROTOCOL_ERROR)
            return
        kept = tuple(field for field in fields if not field[0].startswith(b":"))
        response = pinned.response(b"HTTP/2.0", int(status), b"", kept, time.time())
        yield ReceiveHttp(_events.ResponseHeaders(call.stream, response, end_stream=event.stream_ended is not None))

    def _body(self, ours: int, call: _Call | None, event: h2.events.DataReceived) -> Commands:
        data, size = event.data or b"", event.flow_controlled_length or 0
        if call is None:
            self._acknowledge(size, ours)  # nobody wants it any more
            return
        self._acknowledge(size - len(data), ours)  # padding
        if data:
            self._chatter = 0
            call.owed += len(data)
            yield ReceiveHttp(_events.ResponseData(call.stream, bytes(data)))

    # -- its end ------------------------------------------------------------------------------------------------------

    def _reset(self, ours: int, code: int) -> Commands:
        call = self._forget(ours)
        if call is not None:
            yield ReceiveHttp(ProviderReset(call.stream, code))

    def _end(self, why: str) -> Commands:
        """Of the connection, and so of every call."""
        left = list(self._calls.values())
        self._calls.clear()
        self._ours.clear()
        yield from self._close()
        for call in left:
            code = _events.ErrorCode.GENERIC_SERVER_ERROR
            yield ReceiveHttp(_events.ResponseProtocolError(call.stream, why, code))

    def _close(self) -> Commands:
        self._is_over = True
        self._top.http.streaming.pop(self.conn, None)
        if self.conn.state is not connection.ConnectionState.CLOSED:
            yield commands.CloseConnection(self.conn)

    # -- small things -------------------------------------------------------------------------------------------------

    def _forget(self, ours: int) -> _Call | None:
        call = self._calls.pop(ours, None)
        if call is not None:
            self._ours.pop(call.stream, None)
            self._acknowledge(call.owed, ours)
        return call

    def _acknowledge(self, size: int, ours: int) -> None:
        if size:
            self._h2.acknowledge_received_data(size, ours)

    def _flush(self) -> Commands:
        if data := self._h2.data_to_send():
            yield commands.SendData(self.conn, data)


def _fields(given: object) -> list[tuple[bytes, bytes]]:
    """hyper-h2's, which are tuples of a class of its own."""
    assert isinstance(given, list)
    return [(bytes(name), bytes(value)) for name, value in given]
