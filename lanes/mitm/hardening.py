"""What a checkpoint needs of mitmproxy's HTTP/1.1 layers and stock 12.2 does not do: all of it, in this one file.

Subclasses of its layers, put in place by `CheckpointHttp`, and one name replaced by `install`. Each says what mitmproxy
would have to offer for it to go; tests/attacks/test_canaries.py fails when one of the internals moves.

CallerConnection   Heads without bounds in size, number of lines and time; request trailers crash (#2474); a body is
                   read before anybody may say no, and `100 Continue` is sent to a request that will be refused; a
                   connection closed while the peer still sends is neither read nor ended. Heads and bodies are read,
                   and answers written, by the express lane's own code instead: both lanes judge the same bytes.
                   It could go with: limits and deadlines as options, a hook that refuses before the body, a closing
                   that lingers (RFC 9112 §9.6), trailers.
CheckpointStream   `requestheaders` cannot answer; errors are told in HTML with the resolver's words; a refused key
                   cannot be replaced. It could go with: an answer set in `requestheaders` that is final, a hook for
                   what errors look like, one that sends a request again.
ProviderConnection Heads are read leniently and without bounds, interim replies (RFC 9110 §15.2) are taken for the
                   reply, trailers crash, an unasked `101` opens a tunnel. Replies, too, are read by the express lane's
                   code.
                   It could go with: a strict reader, and those fixed.
CheckpointHandler  Nothing stops a caller who sends ahead while a hook waits; no deadline on connecting; half-closing
                   TLS raises; a reset looks like an end; upstreams are dialled at one address, and straight. It could
                   go with: back-pressure from layers, a connect timeout, an event that says how a connection ended, a
                   dialler that one may bring.
CheckpointTop      `NextLayer` guesses the protocol from the first bytes, with raw TCP among the guesses. It could go
                   with: a reverse mode that is HTTP and nothing else.
"""

import asyncio
import collections
import logging
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final

from h11._receivebuffer import ReceiveBuffer
from mitmproxy import connection, flow, http
from mitmproxy.proxy import commands, events, layer, mode_servers, server_hooks
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _base, _events, _hooks, _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.server import ConnectionIO

from lanes import pinned
from lanes.express.bodies import UntilClose, Walk, walk_for
from lanes.express.chunks import ChunkProblem
from lanes.express.framing import Kind
from lanes.express.head import HeadProblem, RequestHead, parse_reply, parse_request, unfinished_problem
from lanes.express.request_body import RequestBody
from lanes.express.writing import BODILESS, announced_length, reply_head, request_message, whole_message
from lanes.mitm.asking import Body, BodyWanted, Fault, Forget, Late, Message, Whole
from lanes.mitm.http2 import STREAMS, CallerStreams
from lanes.mitm.keeper import Keeper
from lanes.mitm.switched import Carriage, Switch, Switched
from lanes.mitm.ways import Way
from lanes.websocket.session import Observed, Session
from lanes.websocket.upgrade import request_id_of, upgrade_message
from outbound.upstream_proxy import PROXY_SAYS
from wire.websocket.handshake import fault_of_reply

log = logging.getLogger(__name__)

type Commands = layer.CommandGenerator[None]

TIMED_OUT: Final = "Upstream timed out: no byte for too long"
NOT_ASKED_FOR: Final = "the gate did not ask for this connection"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: close sends RST (socket(7))."""


def install() -> None:
    """Replace mitmproxy's HTTP/1 client by ours, in this process. Calling it again changes nothing.

    Raises:
        UnknownVersion: this is not the line of mitmproxy whose internals were read.
    """
    pinned.check_version()
    http_layers.Http1Client = ProviderConnection  # type: ignore[assignment,attr-defined] # the name that HttpClient looks up


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


class CheckpointStream(http_layers.HttpStream):
    """One exchange: a refusal is answered as soon as it is final, and every error is told by the door."""

    def __init__(self, context: Context, stream_id: int, keeper: Keeper) -> None:
        super().__init__(context, stream_id)
        self._keeper = keeper
        self._sent_again = False
        self._session: Session | None = None
        self._is_switched = False

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, Body):
            if self.client_state != self.state_errored:
                yield from self._judge(event.data)
        elif isinstance(event, Switch):
            yield from self._switch(event)
        elif not isinstance(event, Fault):
            yield from super()._handle_event(event)
        elif event.code == "upstream_timeout":
            yield from self._give_up(TIMED_OUT)
        elif self.client_state != self.state_errored:
            self._keeper.refuse(self.flow, event.code)
            yield from self._answer()

    def state_wait_for_request_headers(self, event: _events.RequestHeaders) -> Commands:
        self.flow = http.HTTPFlow(self.context.client, self.context.server, live=True)
        self.flow.request = event.request
        yield _hooks.HttpRequestHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self._keeper.is_settled(self.flow):
            yield from self._answer()
            return
        self.client_state = self.state_consume_request_body
        self.server_state = self.state_wait_for_response_headers
        yield http_layers.SendHttp(BodyWanted(self.stream_id), self.context.client)

    def _judge(self, body: bytes) -> Commands:
        data = self.flow.request.data
        data.content = body
        data.timestamp_end = time.time()
        self.client_state = self.state_done
        yield _hooks.HttpRequestHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self.flow.response is not None:
            yield from self._answer()
        else:
            yield from self._forward()

    def _forward(self) -> Commands:
        try:
            message = request_message(self.flow.request)
        except HeadProblem as problem:
            log.info("A request cannot be sent as it is: %s", problem.code)
            self._keeper.refuse(self.flow, problem.code)
            yield from self._answer()
            return
        self._session = self._keeper.session(self.flow) if self.flow.request.data.method == b"GET" else None
        if self._session is not None:
            message = upgrade_message(message)
        if (yield from self.make_server_connection()):
            method = self.flow.request.data.method
            yield http_layers.SendHttp(Message(self.stream_id, method, message), self.context.server)

    def state_wait_for_response_headers(self, event: _events.ResponseHeaders) -> Commands:
        if event.response.status_code == 401 and not self._sent_again and self._keeper.again(self.flow):
            # Once. The answer to the first is nobody's, nor is its connection used again.
            self._sent_again = True
            yield http_layers.SendHttp(Forget(self.stream_id), self.context.server)
            yield from self._forward()
            return
        self.flow.response = event.response
        yield _hooks.HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self.flow.response.stream and not event.end_stream:
            yield from self.start_response_stream()
        else:
            self.server_state = self.state_consume_response_body

    def handle_protocol_error(self, event: _events.RequestProtocolError | _events.ResponseProtocolError) -> Commands:
        if self._is_switched:
            yield from self._lose_switched(event)
            return
        told_nothing = self.client_state != self.state_errored and self.server_state in (
            self.state_wait_for_response_headers,
            self.state_consume_response_body,
        )
        if not isinstance(event, _events.ResponseProtocolError) or not told_nothing:
            yield from super().handle_protocol_error(event)
            return
        # Before `error`: the door still knows which API was called, and what its refusals look like.
        late, proxy = event.message.startswith("Upstream timed out"), event.message.startswith(PROXY_SAYS)
        code = "upstream_timeout" if late else "upstream_proxy_failed" if proxy else "upstream_unreachable"
        self._keeper.refuse(self.flow, code)
        self.flow.error = flow.Error(event.message)
        self.client_state = self.server_state = self.state_errored
        yield _hooks.HttpErrorHook(self.flow)
        yield from self._tell()

    def _lose_switched(self, event: _events.RequestProtocolError | _events.ResponseProtocolError) -> Commands:
        """A connection of a WebSocket ended before its first frame was passed."""
        assert self._session is not None
        self.client_state = self.server_state = self.state_errored
        gone: Observed = "client_gone" if isinstance(event, _events.RequestProtocolError) else "upstream_cut"
        self._session.end(gone, clean=False)
        for conn in (self.context.server, self.context.client):
            if conn.state is not connection.ConnectionState.CLOSED:
                yield commands.CloseConnection(conn)

    def _give_up(self, why: str) -> Commands:
        """On the upstream: its connection goes, the caller is told as far as it still can be."""
        if self.server_state in (self.state_done, self.state_errored):
            return
        if self.context.server.connected:
            yield commands.CloseConnection(self.context.server)
        code = _events.ErrorCode.GENERIC_SERVER_ERROR
        yield from self.handle_protocol_error(_events.ResponseProtocolError(self.stream_id, why, code))

    def _switch(self, event: Switch) -> Commands:
        """The upstream has become a WebSocket: its frames are the handler's, once the hooks have seen the answer."""
        session, head, flow_ = self._session, event.head, self.flow
        fault = fault_of_reply(flow_.request.data.headers.fields, head.fields) if session else "nobody asked for that"
        if session is None or fault is not None:
            log.warning("A provider's answer to a WebSocket is refused: %s.", fault)
            yield from self._give_up("Upstream disconnected: it switched protocols unasked")
            return
        flow_.response = pinned.response(head.version, head.status, head.reason, head.fields, time.time())
        session.begin(request_id_of(flow_.response))
        self._is_switched = True
        yield _hooks.HttpResponseHeadersHook(flow_)
        yield _hooks.HttpResponseHook(flow_)
        flow_.live = False
        if self.client_state == self.state_errored:
            return  # one of them left while the hooks ran
        self.client_state = self.server_state = self.state_errored
        top = next(one for one in self.context.layers if isinstance(one, CheckpointTop))
        top.switched = Switched(session, self.context.server, event.raw)
        yield http_layers.DropStream(self.stream_id)

    def _answer(self) -> Commands:
        """`flow.response` goes out; addons see it as mitmproxy shows them a response set by an addon."""
        self.client_state = self.server_state = self.state_errored  # what still comes of the request is not wanted
        yield _hooks.HttpResponseHeadersHook(self.flow)
        yield _hooks.HttpResponseHook(self.flow)
        yield from self._tell()

    def _tell(self) -> Commands:
        assert self.flow.response is not None
        self.flow.live = False
        yield http_layers.DropStream(self.stream_id)
        yield http_layers.SendHttp(Whole(self.stream_id, self.flow.response), self.context.client)


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


class CheckpointHttp(http_layers.HttpLayer):
    """mitmproxy's HTTP layer with our caller's side and our streams."""

    def __init__(self, context: Context, keeper: Keeper, way: Way) -> None:
        super().__init__(context, http_layers.HTTPMode.transparent)
        self._keeper = keeper
        side = CallerStreams if context.client.alpn == b"h2" else CallerConnection
        self.caller: CallerConnection | CallerStreams = side(context.fork(), keeper, way)
        self.connections[context.client] = self.caller  # an entry that is there already is kept
        self.providers: dict[connection.Connection, ProviderConnection] = {}

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
        stream = self.streams[stream_id] = CheckpointStream(self.context.fork(), stream_id, self._keeper)
        yield from self.event_to_child(stream, events.Start())


class CheckpointTop(layer.Layer):
    """What comes is HTTP and nothing else, whatever the first bytes look like: HTTP/2 where TLS agreed on it."""

    def __init__(self, context: Context, keeper: Keeper, way: Way) -> None:
        super().__init__(context)
        context.server.address = (way.host, way.port)
        self.keeper = keeper
        self.broken: set[connection.Connection] = set()
        """Connections that were reset, not ended."""
        self.http = CheckpointHttp(context, keeper, way)
        self.switched: Switched | None = None
        """Set once the connections have become a WebSocket."""
        self.take_over: Callable[[Switched], Carriage] | None = None
        self.carriage: Carriage | None = None

    def _handle_event(self, event: events.Event) -> Commands:
        # Here and not in the handler: there an event may wait for its turn while the connection changes hands.
        if self.carriage is not None and not self.carriage.relay.over:
            self.carriage.take(event)
            return
        yield from self.http.handle_event(event)
        if self.switched is not None and self.carriage is None and self.take_over is not None:
            self.carriage = self.take_over(self.switched)


class CheckpointHandler(mode_servers.ProxyConnectionHandler):
    """Carries bytes between sockets and layers, with back-pressure and deadlines."""

    def __init__(
        self, master: Any, reader: Any, writer: Any, options: Any, mode: Any, keeper: Keeper, way: Way
    ) -> None:
        super().__init__(master, reader, writer, options, mode)  # type: ignore[no-untyped-call]
        secured = writer.get_extra_info("ssl_object")
        alpn = secured.selected_alpn_protocol() if secured is not None else None
        self.client.alpn = alpn.encode() if alpn else None
        if alpn == "h2":  # mitmproxy opens 5 upstream connections at once, where a sixth would wait for ever
            self.max_conns = collections.defaultdict(lambda: asyncio.Semaphore(STREAMS))
        self._keeper = keeper
        self._writer: asyncio.StreamWriter = writer
        self._reading: asyncio.Task[Any] | None = None
        self._room, self._outlet = asyncio.Event(), asyncio.Event()
        self._unsent, self._stalled = 0, keeper.now()
        self._late: asyncio.Task[None] | None = None
        top = self._top = CheckpointTop(self.layer.context, keeper, way)
        self.layer = top
        top.take_over = self._take_over
        self.caller = top.http.caller

    async def handle_connection(self, connection: connection.Connection) -> None:
        if connection is self.client:
            self._reading = asyncio.current_task()
            # Tasks start at once: what is here already may close the connection before mitmproxy notes whose it is.
            self.transports[connection].handler = self._reading
        await super().handle_connection(connection)

    async def open_connection(self, command: commands.OpenConnection) -> None:
        """Refused before the hook is asked: one that fails, too, opens nothing. MitmLane's takes the refusal away.

        As mitmproxy's, but for who dials: every address of a name in turn, or the company's proxy.
        """
        server = command.connection
        server.error = NOT_ASKED_FOR
        data = server_hooks.ServerConnectionHookData(client=self.client, server=server)
        await self.handle_hook(server_hooks.ServerConnectHook(data))
        if server.error or not server.address:
            await self._not_opened(command, data, f"Connection killed: {server.error or 'it has no address'}")
            return
        async with self.max_conns[server.address]:
            try:
                server.timestamp_start = time.time()
                reader, writer = await asyncio.open_connection(sock=await self._keeper.dial(*server.address[:2]))
            except (OSError, ValueError, asyncio.CancelledError) as failed:  # UnicodeError: a host's name
                server.error = str(failed) or "connection cancelled"
                await self._not_opened(command, data, server.error)
                if isinstance(failed, asyncio.CancelledError):
                    raise
                return
            server.timestamp_tcp_setup = time.time()
            server.state = connection.ConnectionState.OPEN
            server.peername = writer.get_extra_info("peername") or server.address
            server.sockname = writer.get_extra_info("sockname") or None
            self.transports[server] = ConnectionIO(handler=asyncio.current_task(), reader=reader, writer=writer)
            await self.handle_hook(server_hooks.ServerConnectedHook(data))
            await self.server_event(events.OpenConnectionCompleted(command, None))
            try:
                await self.handle_connection(server)
            finally:
                server.timestamp_end = time.time()
                await self.handle_hook(server_hooks.ServerDisconnectedHook(data))

    async def _not_opened(
        self, command: commands.OpenConnection, data: server_hooks.ServerConnectionHookData, why: str
    ) -> None:
        await self.handle_hook(server_hooks.ServerConnectErrorHook(data))
        await self.server_event(events.OpenConnectionCompleted(command, why))

    async def server_event(self, event: events.Event) -> None:
        if isinstance(event, events.ConnectionClosed):
            io = self.transports.get(event.connection)
            if io is not None and isinstance(io.reader, asyncio.StreamReader) and io.reader.exception() is not None:
                self._top.broken.add(event.connection)
        await super().server_event(event)
        self.make_room()

    def _take_over(self, switched: Switched) -> Carriage:
        assert isinstance(self.caller, CallerConnection)  # HTTP/2 knows no upgrade (RFC 9113 §8.2.2)
        provider = self._top.http.providers.pop(switched.server, None)
        rest = provider.hand_over() if provider is not None else b""
        carriage = Carriage(self, self._keeper, switched)
        carriage.begin(switched.raw, self.caller.hand_over(), rest)
        return carriage

    def part(self, server: connection.Server, *, broken: bool) -> None:
        """The end of a WebSocket. `broken`: the caller is to see no orderly end."""
        if server in self.transports and server.state is not connection.ConnectionState.CLOSED:
            self.close_connection(server)
        if self.client not in self.transports or self.client.state is connection.ConnectionState.CLOSED:
            return
        assert isinstance(self.caller, CallerConnection)
        half = not broken and self._writer.can_write_eof()
        self.caller.part()
        self.close_connection(self.client, half_close=half)

    def make_room(self) -> None:
        """Look who may be read."""
        held = self._top.carriage is not None and self._top.carriage.is_held
        for room, is_taken in ((self._room, self.caller.is_choked or held), (self._outlet, self.caller.is_swamped)):
            if is_taken:
                room.clear()
            else:
                room.set()

    async def drain_writers(self) -> None:
        """Awaited after every read: until there is room to write, and, for the caller, room for what it sends; for an
        upstream, until the caller takes what came before."""
        await super().drain_writers()  # type: ignore[no-untyped-call]
        await (self._room if asyncio.current_task() is self._reading else self._outlet).wait()

    def close_connection(self, connection: connection.Connection, half_close: bool = False) -> None:
        if half_close and not self._writer.can_write_eof():
            return  # TLS: the caller has its answer, and `Connection: close` in it
        if connection is self.client and self.caller.must_reset:
            if self._writer.get_extra_info("ssl_object") is not None:
                self._writer.transport.abort()  # no close_notify: a truncation (RFC 8446 §6.1)
            else:
                self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        super().close_connection(connection, half_close)

    def sweep(self, now: float) -> None:
        """Deadlines; called by the lane every `sweep_seconds`. `now` is monotonic."""
        limits = self._keeper.limits
        waiting = self._writer.transport.get_write_buffer_size()
        if waiting == 0 or waiting != self._unsent:
            self._unsent, self._stalled = waiting, now
        quiet = time.time() - self.timeout_watchdog.last_activity
        if now - self._stalled > limits.send_seconds or self.caller.has_lingered(now):
            self._writer.transport.abort()
        elif self._keeper.draining and self.caller.is_idle:
            self._writer.close()
        elif self.caller.is_late(now, quiet) and (self._late is None or self._late.done()):
            self._late = asyncio.get_running_loop().create_task(self.server_event(Late(self.client)))
        self._sweep_dials(time.time() - limits.connect_seconds)

    def _sweep_dials(self, since: float) -> None:
        """Name, TCP and TLS of an upstream together have `connect_seconds`; a cancelled dial is told as failed."""
        for conn, io in list(self.transports.items()):
            if isinstance(conn, connection.Server) and io.handler is not None and conn.timestamp_start is not None:
                ready = conn.timestamp_tls_setup if conn.tls else conn.timestamp_tcp_setup
                if ready is None and conn.timestamp_start < since and not io.handler.cancelling():
                    io.handler.cancel("connect timed out")
