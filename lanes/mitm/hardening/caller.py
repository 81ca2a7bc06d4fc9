"""A caller's side of a connection: one request at a time is read, one answer written."""

import logging
import time
from typing import Final

from h11._receivebuffer import ReceiveBuffer
from mitmproxy import connection, http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import _base, _events, _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from lanes import pinned
from lanes.express.framing import Kind
from lanes.express.head import HeadProblem, RequestHead, parse_request, unfinished_problem
from lanes.express.request_body import RequestBody
from lanes.express.writing import BODILESS, announced_length, reply_head, whole_message
from lanes.mitm.asking import Body, BodyWanted, Fault, Late, Whole
from lanes.mitm.keeper import Keeper
from lanes.mitm.ways import Way

log = logging.getLogger(__name__)

type Commands = layer.CommandGenerator[None]

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class CallerConnection(_http1.Http1Server):
    """A caller's side: reads one request at a time, and none of its body before the stream asks for it."""

    is_swamped = False  # the transport says so

    def __init__(self, context: Context, keeper: Keeper, way: Way) -> None:
        super().__init__(context)
        self._keeper = keeper
        self._way = way
        self._head: RequestHead | None = None
        self._body: RequestBody | None = None
        self._since = keeper.now()  # of the idle time, the head, or the lingering
        self._begun = False  # some of a head is here
        self._dropped = 0
        self._last = False  # no request can follow on this connection
        self._kind: Kind | None = None  # how the answer ends; None: nothing of it was said
        self.must_reset = False
        """When the connection is closed, the caller is to see that it was not the end."""

    # -- deadlines and bounds, asked by the handler -----------------------------------------------------------------

    @property
    def is_choked(self) -> bool:
        """More is here than is kept of what a caller sends ahead."""
        waits = self.state in (self.hold, self.wait)
        return waits and len(self.buf) > self._keeper.limits.pipelined_bytes

    @property
    def is_idle(self) -> bool:
        return self.state == self.read_headers and not self.buf

    def has_lingered(self, now: float) -> bool:
        return self.state == self.discard and now - self._since > self._keeper.limits.linger_seconds

    def is_late(self, now: float, quiet: float) -> bool:
        """`now` is monotonic; `quiet` is how long no byte moved on this connection or its upstream's, in seconds."""
        limits = self._keeper.limits
        if self.state == self.read_headers:
            return now - self._since > (limits.head_seconds if self.buf else limits.keep_alive_seconds)
        if self.state == self.read_body:
            return self._body is not None and self._body.is_late(now)
        return self.state == self.wait and quiet > limits.reply_seconds

    # -- the states: what is made of what comes in ------------------------------------------------------------------

    def read_headers(self, event: events.Event) -> Commands:
        if isinstance(event, Late):
            if self.buf:
                yield from self._fault("header_timeout")
            else:
                yield from self._close()
        elif isinstance(event, events.ConnectionClosed):
            yield from self._close()
        else:
            yield from self._read_head(bytes(self.buf))

    def _read_head(self, data: bytes) -> Commands:
        limits = self._keeper.limits
        if data[:1] in (b"\r", b"\n"):
            data = self._keep(data.lstrip(b"\r\n"))  # empty lines before a request (RFC 9112 §2.2)
        if not data:
            return
        if not self._begun:
            self._begun = True
            self._since = self._keeper.now()
        end = data.find(b"\r\n\r\n", 0, limits.head_bytes + 4)
        if end < 0:
            if (code := unfinished_problem(data, limits.head_bytes, limits.head_fields)) is not None:
                yield from self._fault(code)
            return
        try:
            head = parse_request(data[:end], limits.head_fields)
        except HeadProblem as problem:
            yield from self._fault(problem.code)
            return
        self._keep(data[end + 4 :])
        self._head = head
        self._begun = False
        self.state = self.hold
        yield ReceiveHttp(_events.RequestHeaders(self.stream_id, self._request(head), end_stream=False))

    def hold(self, event: events.Event) -> Commands:
        """The head is being judged, or was refused: what follows waits in the buffer, bounded by the handler."""
        if isinstance(event, events.ConnectionClosed):
            yield from self._gone()

    def read_body(self, event: events.Event) -> Commands:
        if isinstance(event, Late):
            yield from self._turn_away("body_timeout")
        elif isinstance(event, events.ConnectionClosed):
            yield from self._gone()
        else:
            yield from self._feed()

    def wait(self, event: events.Event) -> Commands:
        """The request is whole, its answer under way. A caller that half-closes has left (RECORD.md)."""
        if isinstance(event, Late):
            yield ReceiveHttp(Fault(self.stream_id, "upstream_timeout"))
        elif isinstance(event, events.ConnectionClosed):
            yield from self._gone()

    def discard(self, event: events.Event) -> Commands:
        """Read on and drop, so that the caller can read its answer (RFC 9112 §9.6)."""
        self._dropped += len(self.buf)
        self._keep(b"")
        if isinstance(event, events.ConnectionClosed) or self._dropped > self._keeper.limits.linger_bytes:
            yield from self._close()

    def relayed(self, _event: events.Event) -> Commands:
        """A WebSocket: what comes is not for the layers."""
        yield from ()

    def hand_over(self) -> bytes:
        """It has become a WebSocket. Given: what the caller has sent ahead."""
        ahead = bytes(self.buf)
        self._keep(b"")
        self.state = self.relayed
        return ahead

    def part(self) -> None:
        """The WebSocket is over: read on for a while and drop (RFC 9112 §9.6)."""
        self._keep(b"")
        self._dropped, self._since = 0, self._keeper.now()
        self.state = self.discard

    # -- what goes out ----------------------------------------------------------------------------------------------

    def send(self, event: _base.HttpEvent) -> Commands:
        if isinstance(event, BodyWanted):
            yield from self._want_body()
        elif isinstance(event, Whole):
            yield from self._say(event.response)
        elif isinstance(event, _events.ResponseHeaders):
            yield from self._begin(event.response)
        elif isinstance(event, _events.ResponseData):
            data = event.data
            if data:  # an empty chunk would be the last
                framed = b"%x\r\n%b\r\n" % (len(data), data) if self._kind == "chunked" else data
                yield commands.SendData(self.conn, framed)
        elif isinstance(event, _events.ResponseEndOfMessage):
            if self._kind == "chunked":
                yield commands.SendData(self.conn, b"0\r\n\r\n")
            yield from self._finish()
        elif isinstance(event, _events.ResponseProtocolError):
            yield from self._break_off(event)
        else:
            raise TypeError(f"No part of an answer: {event}")

    def _want_body(self) -> Commands:
        head, limits = self._known_head(), self._keeper.limits
        code = head.fault
        if code is None and head.method == b"CONNECT":
            code = "connect_not_allowed"
        if code is None and head.length is not None and head.length > limits.body_bytes:
            code = "body_too_large"
        if code is not None:
            yield ReceiveHttp(Fault(self.stream_id, code))
            return
        self._body = RequestBody(head, limits, self._keeper.now(), self._keeper.bodies)
        self.state = self.read_body
        if self.buf or not (head.chunked or head.length):
            yield from self._feed()
        elif head.expects and head.version == b"HTTP/1.1":
            yield commands.SendData(self.conn, _CONTINUE)

    def _feed(self) -> Commands:
        body = self._body
        assert body is not None
        data = bytes(self.buf)
        self._keep(b"")
        fault = body.feed(data)
        if fault is not None:
            yield from self._turn_away(fault)
        elif body.whole is not None:
            self._body = None
            self._keep(body.rest)
            self.state = self.wait
            yield ReceiveHttp(Body(self.stream_id, body.whole))

    def _turn_away(self, code: str) -> Commands:
        """Refuse amid a body: from here on what comes is dropped, whatever the hooks of the refusal wait for."""
        self._body = None
        self.state = self.discard
        self._since = self._keeper.now()
        yield ReceiveHttp(Fault(self.stream_id, code))

    def _fault(self, code: str) -> Commands:
        """Answer something that never became a request."""
        yield commands.SendData(self.conn, whole_message(self._keeper.refusal(code), b"", close=True))
        yield from self._linger()

    def _say(self, response: http.Response) -> Commands:
        head = self._known_head()
        self._last = not self._may_keep()
        try:
            message = whole_message(response, head.method, close=self._last)
        except HeadProblem:
            log.error("What the addons left of a response cannot be sent.")
            self._last = True
            message = whole_message(self._keeper.refusal("checkpoint_error"), head.method, close=True)
        self._kind = "sized"
        yield commands.SendData(self.conn, message)
        yield from self._finish()

    def _begin(self, response: http.Response) -> Commands:
        """The head of a reply whose body follows. HEAD, 204 and 304 have none (RFC 9112 §6.3)."""
        head = self._known_head()
        status, length = response.status_code, announced_length(response)
        kind: Kind = "sized"
        if status in BODILESS or head.method == b"HEAD":
            length = length if status != 204 else None
        elif "transfer-encoding" in response.headers:
            kind, length = ("chunked" if head.version == b"HTTP/1.1" else "until_close"), None
        elif length is None:
            kind = "until_close"
        self._last = kind == "until_close" or not self._may_keep()
        self._kind = kind
        try:
            raw = reply_head(response, length, chunked=kind == "chunked", close=self._last)
        except HeadProblem:
            yield from self._gone("Checkpoint failed: what the addons left of a reply cannot be sent")
            return
        yield commands.SendData(self.conn, raw)

    def _may_keep(self) -> bool:
        return self._known_head().keep and not self._keeper.draining and self._skip_body()

    def _skip_body(self) -> bool:
        """Before an answer that did not wait for the body: is the connection at the next request all the same?"""
        if self.state == self.wait:
            return True
        head = self._known_head()
        length = head.length or 0
        if self.state != self.hold or head.chunked or head.fault is not None or len(self.buf) < length:
            return False
        self._keep(bytes(self.buf)[length:])
        self.state = self.wait
        return True

    def _finish(self) -> Commands:
        """The answer is all written."""
        self._since = self._keeper.now()
        if not self._last:
            self._head = self._kind = None
            self.stream_id += 2
            self.state = self.read_headers
            if self.buf:
                yield from self._read_head(bytes(self.buf))
        elif self.state == self.wait and not self.buf:
            yield from self._close()
        else:
            yield from self._linger()

    def _break_off(self, event: _events.ResponseProtocolError) -> Commands:
        if not self.conn.state & connection.ConnectionState.CAN_WRITE:
            return
        if self._kind is None and event.code.http_status_code() is not None:
            yield from self._fault("upstream_unreachable")
        else:
            self.must_reset = self._kind == "until_close"  # a mere close would look like the end
            yield from self._close()

    def _close(self) -> Commands:
        self.state = self.done
        self._body = None
        if self.conn.state is not connection.ConnectionState.CLOSED:
            yield commands.CloseConnection(self.conn)

    def _linger(self) -> Commands:
        """Close, but read on: closing with unread data would reset the connection, and with it the answer."""
        self._keep(b"")
        self._dropped = 0
        self._since = self._keeper.now()
        self.state = self.discard
        yield commands.CloseTcpConnection(self.conn, half_close=True)

    def _gone(self, why: str = "Client disconnected.") -> Commands:
        yield from self._close()
        code = _events.ErrorCode.CLIENT_DISCONNECTED
        yield ReceiveHttp(_events.RequestProtocolError(self.stream_id, why, code))

    # -- small things -----------------------------------------------------------------------------------------------

    def _known_head(self) -> RequestHead:
        assert self._head is not None
        return self._head

    def _keep(self, data: bytes) -> bytes:
        """Hold exactly this in the buffer."""
        self.buf = ReceiveBuffer()
        self.buf += data
        return data

    def _request(self, head: RequestHead) -> http.Request:
        host, port, scheme = self._way.target(head)
        return pinned.request(
            host, port, scheme, head.method, head.authority, head.path, head.version, head.fields, time.time()
        )
