"""HTTP/2 towards callers (RFC 9113): mitmproxy's layer with the limits of ours, and a body only after it was asked for.

`CallerStreams` answers what `CallerConnection` answers for HTTP/1.1, so that the handler and the streams need not know
which it is. What it changes, and what mitmproxy would have to offer for it to go:

windows      mitmproxy opens flow-control windows of 2 GiB, so that a body is in memory before anybody may say no.
             Here a stream has 256 KiB until its head was judged. It could go with: windows as options.
streams      No bound on streams, resets and fields. It could go with: options, and hyper-h2's own limit on resets.
slow callers What a caller's window holds back piles up without bounds. It could go with: back-pressure from layers.
"""

import time
from dataclasses import dataclass, field
from typing import Final

import h2.errors
import h2.events
import h2.exceptions
from mitmproxy import http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import _events, _http2
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from lanes import pinned
from lanes.express.request_body import Held
from lanes.express.writing import BODILESS
from lanes.mitm.asking import Body, BodyPart, BodyWanted, BreakOff, Fault, Late, Taken, Whole
from lanes.mitm.http2_connection import BoundedConnection
from lanes.mitm.keeper import Keeper
from lanes.mitm.ways import Way
from wire.grpc import is_grpc

type Commands = layer.CommandGenerator[None]

_CONNECTION_WINDOW: Final = 1 << 20
_RESETS: Final = 100  # of streams by the caller, beyond one for each that it let end
_SWAMPED: Final = 1 << 20  # bytes that wait for the caller to open its window


@dataclass(slots=True)
class _Asked:
    """A stream from its head to the end of its answer."""

    method: bytes
    length: int | None
    since: float
    flows: bool = False  # a call of gRPC: its body goes on as it comes
    wanted: bool = False
    ended: bool = False  # the request is whole
    faulty: bool = False  # refused: what still comes is not wanted
    body: bytearray = field(default_factory=bytearray)  # of frames of a byte a list would be many times their size
    received: int = 0
    owed: int = 0  # bytes to be acknowledged once they are wanted, or have gone on
    held: Held | None = None  # what all callers' bodies hold; this one's part is in it until nobody has it any more

    def take(self, data: bytes) -> None:
        self.received += len(data)
        self.body += data  # an empty frame costs nothing here (CVE-2019-9518)
        if self.held is not None:
            self.held.size += len(data)

    def let_go(self) -> bytes:
        """Of the body so far: somebody else has it, or nobody wants it."""
        given, self.body = bytes(self.body), bytearray()
        if self.held is not None:
            self.held.size -= len(given)
        return given

    def __del__(self) -> None:
        self.let_go()


class CallerStreams(_http2.Http2Server):
    """A caller's side of an HTTP/2 connection, through a tunnel."""

    h2_conn: BoundedConnection
    must_reset = False  # a stream that was cut is reset by itself

    def __init__(self, context: Context, keeper: Keeper, way: Way) -> None:
        super().__init__(context)
        self.h2_conf.validate_inbound_headers = True
        self.h2_conn = BoundedConnection(self.h2_conf, head_bytes=keeper.limits.head_bytes, window=_CONNECTION_WINDOW)
        self._keeper = keeper
        self._way = way
        self._asked: dict[int, _Asked] = {}
        self._since = keeper.now()  # of the idle time
        self._swamped_since: float | None = None
        self._resets = 0

    # -- deadlines and bounds, asked by the handler --------------------------------------------------------------------

    @property
    def is_choked(self) -> bool:
        return False  # windows hold the caller back

    @property
    def is_swamped(self) -> bool:
        """The caller takes less than it is sent: nothing more is read for it for now."""
        swamped = self.h2_conn.held_back > _SWAMPED
        if not swamped:
            self._swamped_since = None
        elif self._swamped_since is None:
            self._swamped_since = self._keeper.now()
        return swamped

    @property
    def is_idle(self) -> bool:
        return not self._asked

    def has_lingered(self, now: float) -> bool:
        stalled = self._swamped_since is not None and now - self._swamped_since > self._keeper.limits.send_seconds
        return stalled and self.is_swamped

    def is_late(self, now: float, quiet: float) -> bool:
        if not self._asked:
            return now - self._since > self._keeper.limits.keep_alive_seconds
        return any(self._is_late(one, now) for one in self._asked.values()) or quiet > self._keeper.limits.reply_seconds

    def _is_late(self, one: _Asked, now: float) -> bool:
        limits = self._keeper.limits
        return (
            not (one.ended or one.faulty or one.flows)
            and now - one.since > limits.body_seconds + one.received / limits.body_rate
        )

    def goes_on(self, stream: int) -> bool:
        """Is this a call of gRPC, whose body goes on as it comes?"""
        one = self._asked.get(stream)
        return one is not None and one.flows

    def holds(self, stream: int) -> bool:
        """Has the caller not taken yet what it was sent on this stream?"""
        return self.h2_conn.holds(stream)

    # -- what comes in -------------------------------------------------------------------------------------------------

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, Late):
            yield from self._late()
        elif isinstance(event, BodyWanted):
            yield from self._want_body(event.stream_id, as_it_comes=event.as_it_comes)
        elif isinstance(event, Taken):
            yield from self._taken(event.stream_id, event.size)
        elif isinstance(event, BreakOff):
            yield from self._break_off(event.stream_id, event.code)
        elif isinstance(event, Whole):
            yield from self._say(event.stream_id, event.response)
        else:
            yield from super()._handle_event(event)
            if isinstance(event, _events.ResponseEndOfMessage | _events.ResponseProtocolError):
                yield from self._answered(event.stream_id)

    def handle_h2_event(self, event: h2.events.Event) -> layer.CommandGenerator[bool]:
        if isinstance(event, h2.events.RequestReceived):
            return (yield from self._head(event))
        if isinstance(event, h2.events.DataReceived):
            yield from self._data(event)
            return False
        if isinstance(event, h2.events.TrailersReceived):
            yield from self._fault(event.stream_id, "trailers_not_supported")
            return False
        if isinstance(event, h2.events.StreamEnded):
            if (one := self._asked.get(event.stream_id or 0)) is not None:
                one.ended = True
                yield from self._hand_over(event.stream_id or 0, one)
            return False
        if isinstance(event, h2.events.StreamReset):
            self._forget(event.stream_id)
            self._resets += 1
            if self._resets > _RESETS:  # the "rapid reset" attack, CVE-2023-44487
                yield from self.protocol_error("Too many resets", h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
                return True
        return (yield from super().handle_h2_event(event))

    def _head(self, event: h2.events.RequestReceived) -> layer.CommandGenerator[bool]:
        stream, limits = event.stream_id, self._keeper.limits
        assert stream is not None
        named: dict[bytes, bytes] = {}
        fields: list[tuple[bytes, bytes]] = []
        for name, value in event.headers:
            assert isinstance(name, bytes)
            assert isinstance(value, bytes)
            if name.startswith(b":"):
                named[name] = value
            else:
                fields.append((name, value))
        method = named.get(b":method", b"")
        lengths = [value for name, value in fields if name == b"content-length"]
        length = int(lengths[0]) if lengths and lengths[0].isdigit() and len(lengths[0]) < 16 else None
        self.streams[stream] = _http2.StreamState.HEADERS_RECEIVED
        self._asked[stream] = _Asked(method, length, self._keeper.now(), held=self._keeper.bodies)
        way = self._way
        request = pinned.request(
            way.host,
            way.port,
            way.scheme,
            method,
            named.get(b":authority", b""),
            named.get(b":path", b""),
            b"HTTP/2.0",
            tuple(fields),
            time.time(),
        )
        fault = None
        if len(fields) > limits.head_fields:
            fault = "headers_too_large"
        elif method == b"CONNECT":
            fault = "connect_not_allowed"
        elif len(lengths) > 1 or named.get(b":scheme") != way.scheme:
            fault = "bad_request"  # RFC 9113 §8.1.1, §8.3.1
        self._asked[stream].flows = fault is None and is_grpc(method, fields)
        yield ReceiveHttp(_events.RequestHeaders(stream, request, end_stream=bool(event.stream_ended)))
        if fault is not None:
            yield from self._fault(stream, fault)
        return False

    def _data(self, event: h2.events.DataReceived) -> Commands:
        stream, size = event.stream_id, event.flow_controlled_length or 0
        assert stream is not None
        one = self._asked.get(stream)
        if one is None or one.faulty:
            self._acknowledge(size, stream)  # nobody wants it any more
            return
        data = event.data or b""
        one.take(data)
        if one.received > self._keeper.limits.body_bytes:
            self._acknowledge(size, stream)
            yield from self._fault(stream, "body_too_large")
        elif self._keeper.bodies.size > self._keeper.limits.bodies_bytes:
            self._acknowledge(size, stream)
            yield from self._fault(stream, "overloaded")
        elif one.flows:
            self._acknowledge(size - len(data), stream)  # padding
            one.owed += len(data)
            if one.wanted and data:
                yield ReceiveHttp(BodyPart(stream, one.let_go(), is_last=False))
        elif one.wanted:
            self._acknowledge(size, stream)
        else:
            one.owed += size

    def _acknowledge(self, size: int, stream: int) -> None:
        if size:
            self.h2_conn.acknowledge_received_data(size, stream)

    def _want_body(self, stream: int, *, as_it_comes: bool) -> Commands:
        one = self._asked.get(stream)
        if one is None or one.faulty:
            return
        one.wanted = True
        if one.length is not None and one.length > self._keeper.limits.body_bytes:
            yield from self._fault(stream, "body_too_large")
            return
        one.flows = as_it_comes
        if not as_it_comes:
            self._settle(stream, one)
            yield from self._flush()
        if one.ended or (one.flows and one.body):
            yield from self._hand_over(stream, one)

    def _hand_over(self, stream: int, one: _Asked) -> Commands:
        """What is wanted of the body is here."""
        if not one.wanted or one.faulty:
            return
        if one.flows:
            yield ReceiveHttp(BodyPart(stream, one.let_go(), is_last=one.ended))
        elif one.ended:
            yield ReceiveHttp(Body(stream, one.let_go()))

    def _taken(self, stream: int, size: int) -> Commands:
        """So much of a body has gone on: as much more may come."""
        one = self._asked.get(stream)
        if one is not None:
            size = min(size, one.owed)
            one.owed -= size
            self._acknowledge(size, stream)
            yield from self._flush()

    def _settle(self, stream: int, one: _Asked) -> None:
        """Nobody holds anything of it back any more: what came counts for the windows no longer."""
        owed, one.owed = one.owed, 0
        self._acknowledge(owed, stream)

    def _forget(self, stream: int) -> _Asked | None:
        one = self._asked.pop(stream, None)
        if one is not None:
            self._settle(stream, one)
        return one

    def _fault(self, stream: int | None, code: str) -> Commands:
        one = self._asked.get(stream or 0)
        if one is None or one.faulty:
            return
        one.faulty = True
        one.let_go()
        self._settle(stream or 0, one)
        yield ReceiveHttp(Fault(stream or 0, code))

    def _late(self) -> Commands:
        now, limits = self._keeper.now(), self._keeper.limits
        if not self._asked:
            self.h2_conn.close_connection()
            yield from self._flush()
            yield commands.CloseConnection(self.conn)
            return
        for stream, one in list(self._asked.items()):
            if self._is_late(one, now):
                yield from self._fault(stream, "body_timeout")
            elif (one.ended or one.flows) and now - one.since > limits.reply_seconds:
                yield ReceiveHttp(Fault(stream, "upstream_timeout"))

    # -- what goes out -------------------------------------------------------------------------------------------------

    def _say(self, stream: int, response: http.Response) -> Commands:
        """An answer that is all here. HEAD, 204 and 304 have no body (RFC 9110 §6.4.1)."""
        one = self._asked.get(stream)
        bodiless = (one is not None and one.method == b"HEAD") or response.status_code in BODILESS
        content = b"" if bodiless else response.raw_content or b""
        yield from super()._handle_event(_events.ResponseHeaders(stream, response, end_stream=not content))
        if content:
            yield from super()._handle_event(_events.ResponseData(stream, content))
            yield from super()._handle_event(_events.ResponseEndOfMessage(stream))
        yield from self._answered(stream)

    def _answered(self, stream: int) -> Commands:
        """The answer is whole. A request that is not need not come any more (RFC 9113 §8.1)."""
        one = self._forget(stream)
        self._since = self._keeper.now()
        if one is None:
            return
        self._resets -= self._resets > 0
        if self.is_closed(stream):
            self.streams.pop(stream, None)
        if not one.ended and not self.is_closed(stream) and stream not in self.h2_conn.stream_buffers:
            self.h2_conn.reset_stream(stream, h2.errors.ErrorCodes.NO_ERROR)
            self.streams.pop(stream, None)
        yield from self._flush()

    def _break_off(self, stream: int, code: int) -> Commands:
        if not self.is_closed(stream):
            self.h2_conn.reset_stream(stream, code)
            self.streams.pop(stream, None)
        yield from self._answered(stream)

    def _flush(self) -> Commands:
        if data := self.h2_conn.data_to_send():
            yield commands.SendData(self.conn, data)

    def close_connection(self, msg: str) -> Commands:
        self._asked.clear()
        yield from super().close_connection("Client disconnected." if msg == "peer closed connection" else msg)
