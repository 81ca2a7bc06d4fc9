"""What a checkpoint needs of mitmproxy's HTTP/1.1 layers and stock 12.2 does not do: all of it, in this one file.

Subclasses of its layers, put in place by `CheckpointHttp`, and one name replaced by `install`. Each says what mitmproxy
would have to offer for it to go; tests/attacks/test_canaries.py fails when one of the internals moves.

CallerConnection   Heads without bounds in size, number of lines and time; request trailers crash (#2474); a body is
                   read before anybody may say no, and `100 Continue` is sent to a request that will be refused; a
                   connection closed while the peer still sends is neither read nor ended. Heads and bodies are read by
                   the express lane's own readers instead, so that both lanes judge the same bytes.
                   It could go with: limits and deadlines as options, a hook that refuses before the body, a closing
                   that lingers (RFC 9112 §9.6), trailers.
CheckpointStream   `requestheaders` cannot answer; errors are told in HTML with the resolver's words; an unasked `101`
                   opens a tunnel. It could go with: an answer set in `requestheaders` that is final, a hook for what
                   errors look like, an option that refuses 101.
ProviderConnection Interim replies (RFC 9110 §15.2) are taken for the reply, a reply's trailers crash, its head is not
                   bounded. It could go with: those three fixed.
CheckpointHandler  Nothing stops a caller who sends ahead while a hook waits; no deadline on connecting; half-closing
                   TLS raises. It could go with: back-pressure from layers, a connect timeout.
CheckpointTop      `NextLayer` guesses the protocol from the first bytes, with raw TCP among the guesses. It could go
                   with: a reverse mode that is HTTP and nothing else.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from h11._receivebuffer import ReceiveBuffer
from mitmproxy import connection, flow, http
from mitmproxy.proxy import commands, events, layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _base, _events, _hooks, _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from lanes import pinned
from lanes.express.head import HeadProblem, RequestHead, parse_request
from lanes.express.request_body import RequestBody
from lanes.express.writing import whole_message
from lanes.mitm.keeper import Keeper

type Commands = layer.CommandGenerator[None]

TIMED_OUT: Final = "Upstream timed out: no byte for too long"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_REPLY_HEAD_BYTES: Final = 256 << 10


@dataclass
class Late(events.ConnectionEvent):
    """The caller's connection is past the deadline of whatever it is doing."""


@dataclass
class BodyWanted(_base.HttpEvent):
    """From the stream to the caller's connection: the head may pass, the body is needed to decide."""


@dataclass
class Fault(_base.HttpEvent):
    """From the caller's connection to the stream: refuse with this code of exchange.decision.CODES."""

    code: str


def install() -> None:
    """Replace mitmproxy's HTTP/1 client by ours, in this process. Calling it again changes nothing.

    Raises:
        UnknownVersion: this is not the line of mitmproxy whose internals were read.
    """
    pinned.check_version()
    http_layers.Http1Client = ProviderConnection  # type: ignore[attr-defined] # the name that HttpClient looks up


class CallerConnection(_http1.Http1Server):
    """A caller's side: reads one request at a time, and none of its body before the stream asks for it."""

    def __init__(self, context: Context, keeper: Keeper) -> None:
        super().__init__(context)
        self._keeper = keeper
        self._head: RequestHead | None = None
        self._body: RequestBody | None = None
        self._since = keeper.now()  # of the idle time, the head, or the lingering
        self._begun = False  # some of a head is here
        self._dropped = 0
        self._last = False  # no request can follow on this connection

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
                yield commands.CloseConnection(self.conn)
        elif isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)
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
            if (code := self._unfinished(data)) is not None:
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
        self.request = self._request(head)
        yield ReceiveHttp(_events.RequestHeaders(self.stream_id, self.request, end_stream=False))

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
            self.state = self.done
            yield commands.CloseConnection(self.conn)

    # -- what goes out ----------------------------------------------------------------------------------------------

    def send(self, event: _base.HttpEvent) -> Commands:
        if isinstance(event, BodyWanted):
            yield from self._want_body()
        elif isinstance(event, _events.ResponseHeaders):
            response = self._for_this_connection(event.response)
            yield from super().send(_events.ResponseHeaders(event.stream_id, response, event.end_stream))
        elif isinstance(event, _events.ResponseData):
            if self._head is None or self._head.method != b"HEAD":  # an answer of ours to HEAD has no body either
                yield from super().send(event)
        elif isinstance(event, _events.ResponseEndOfMessage):
            yield from self._finish(event)
        elif isinstance(event, _events.ResponseProtocolError):
            yield from self._break_off(event)
        else:
            yield from super().send(event)

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
        self._body = RequestBody(head, limits, self._keeper.now())
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
            if body.whole:
                yield ReceiveHttp(_events.RequestData(self.stream_id, body.whole))
            yield ReceiveHttp(_events.RequestEndOfMessage(self.stream_id))
            yield from self.mark_done(request=True)

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

    def _for_this_connection(self, response: http.Response) -> http.Response:
        self._last = not (self._known_head().keep and not self._keeper.draining and self._skip_body())
        if not self._last:
            return response
        response = response.copy()  # a refusal may be shared by many
        response.headers["connection"] = "close"
        return response

    def _skip_body(self) -> bool:
        """Before an answer that did not wait for the body: is the connection at the next request all the same?"""
        head = self._known_head()
        length = head.length or 0
        if self.request_done:
            return True
        if self.state != self.hold or head.chunked or head.fault is not None or len(self.buf) < length:
            return False
        self._keep(bytes(self.buf)[length:])
        self.request_done = True
        return True

    def _finish(self, event: _events.ResponseEndOfMessage) -> Commands:
        self._since = self._keeper.now()
        if not self._last:
            yield from super().send(event)
            return
        response = self.response
        if response is not None and "chunked" in response.headers.get("transfer-encoding", "").lower():
            yield commands.SendData(self.conn, b"0\r\n\r\n")
        yield from self._linger()

    def _break_off(self, event: _events.ResponseProtocolError) -> Commands:
        if not self.conn.state & connection.ConnectionState.CAN_WRITE:
            return
        if self.response is None and event.code.http_status_code() is not None:
            yield from self._fault("upstream_unreachable")
        else:
            yield commands.CloseConnection(self.conn)

    def _linger(self) -> Commands:
        """Close, but read on: closing with unread data would reset the connection, and with it the answer."""
        self._keep(b"")
        self._dropped = 0
        self._since = self._keeper.now()
        self.state = self.discard
        yield commands.CloseTcpConnection(self.conn, half_close=True)

    def _gone(self) -> Commands:
        self.state = self.done
        if self.conn.state is not connection.ConnectionState.CLOSED:
            yield commands.CloseConnection(self.conn)
        code = _events.ErrorCode.CLIENT_DISCONNECTED
        yield ReceiveHttp(_events.RequestProtocolError(self.stream_id, "Client disconnected.", code))

    # -- small things -----------------------------------------------------------------------------------------------

    def _known_head(self) -> RequestHead:
        assert self._head is not None
        return self._head

    def _keep(self, data: bytes) -> bytes:
        """Hold exactly this in the buffer."""
        self.buf = ReceiveBuffer()
        self.buf += data
        return data

    def _unfinished(self, data: bytes) -> str | None:
        """What can be told of a head that is not all here: is waiting for the rest pointless?"""
        limits = self._keeper.limits
        lines = data.count(b"\n")
        if len(data) > limits.head_bytes or lines > limits.head_fields:
            return "headers_too_large"
        if lines != data.count(b"\r\n") or not 0x20 < data[0] < 0x7F:
            return "bad_request"
        return None

    def _request(self, head: RequestHead) -> http.Request:
        server = self.context.client.proxy_mode
        assert isinstance(server, mode_specs.ReverseMode)
        host, port = server.address
        scheme = head.scheme or server.scheme.encode()
        return pinned.request(
            host, port, scheme, head.method, head.authority, head.path, head.version, head.fields, time.time()
        )


class CheckpointStream(http_layers.HttpStream):
    """One exchange: a refusal is answered as soon as it is final, and every error is told by the door."""

    def __init__(self, context: Context, stream_id: int, keeper: Keeper) -> None:
        super().__init__(context, stream_id)
        self._keeper = keeper

    def _handle_event(self, event: events.Event) -> Commands:
        if not isinstance(event, Fault):
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

    def state_wait_for_response_headers(self, event: _events.ResponseHeaders) -> Commands:
        if event.response.status_code == 101:
            yield from self._give_up("Upstream switched protocols, which it was not asked to")
        else:
            yield from super().state_wait_for_response_headers(event)

    def handle_protocol_error(self, event: _events.RequestProtocolError | _events.ResponseProtocolError) -> Commands:
        told_nothing = self.client_state != self.state_errored and self.server_state in (
            self.state_wait_for_response_headers,
            self.state_consume_response_body,
        )
        if not isinstance(event, _events.ResponseProtocolError) or not told_nothing:
            yield from super().handle_protocol_error(event)
            return
        # Before `error`: the door still knows which API was called, and what its refusals look like.
        late = event.message.startswith("Upstream timed out")
        self._keeper.refuse(self.flow, "upstream_timeout" if late else "upstream_unreachable")
        self.flow.error = flow.Error(event.message)
        self.client_state = self.server_state = self.state_errored
        yield _hooks.HttpErrorHook(self.flow)
        yield from self._tell()

    def _give_up(self, why: str) -> Commands:
        """On the upstream: its connection goes, the caller is told as far as it still can be."""
        if self.server_state in (self.state_done, self.state_errored):
            return
        if self.context.server.connected:
            yield commands.CloseConnection(self.context.server)
        code = _events.ErrorCode.GENERIC_SERVER_ERROR
        yield from self.handle_protocol_error(_events.ResponseProtocolError(self.stream_id, why, code))

    def _answer(self) -> Commands:
        """`flow.response` goes out; addons see it as mitmproxy shows them a response set by an addon."""
        self.client_state = self.server_state = self.state_errored  # what still comes of the request is not wanted
        yield _hooks.HttpResponseHeadersHook(self.flow)
        yield _hooks.HttpResponseHook(self.flow)
        yield from self._tell()

    def _tell(self) -> Commands:
        response, caller = self.flow.response, self.context.client
        assert response is not None
        content = response.raw_content
        yield http_layers.SendHttp(_events.ResponseHeaders(self.stream_id, response, not content), caller)
        if content:
            yield http_layers.SendHttp(_events.ResponseData(self.stream_id, content), caller)
        self.flow.live = False
        yield http_layers.DropStream(self.stream_id)
        yield http_layers.SendHttp(_events.ResponseEndOfMessage(self.stream_id), caller)


class ProviderConnection(_http1.Http1Client):
    """An upstream's side: interim replies are passed over, trailers dropped, heads bounded."""

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        while isinstance(event, events.DataReceived) and self._is_interim():
            self.buf.maybe_extract_lines()
        if isinstance(event, events.DataReceived) and len(self.buf) > _REPLY_HEAD_BYTES and self.stream_id is not None:
            yield commands.CloseConnection(self.conn)
            code = _events.ErrorCode.GENERIC_SERVER_ERROR
            why = "Upstream disconnected: the head of its reply is too large"
            yield ReceiveHttp(_events.ResponseProtocolError(self.stream_id, why, code))
            return
        yield from super().read_headers(event)

    def _is_interim(self) -> bool:
        data = bytes(self.buf)
        return data[:10] in (b"HTTP/1.1 1", b"HTTP/1.0 1") and data[9:12] != b"101" and b"\r\n\r\n" in data

    def read_body(self, event: events.Event) -> Commands:
        try:
            yield from super().read_body(event)
        except NotImplementedError:  # how 12.2 meets trailers; the body before them is whole
            assert self.stream_id is not None
            yield ReceiveHttp(_events.ResponseEndOfMessage(self.stream_id))
            yield from self.mark_done(response=True)


class CheckpointHttp(http_layers.HttpLayer):
    """mitmproxy's HTTP layer with our caller's side and our streams."""

    def __init__(self, context: Context, keeper: Keeper) -> None:
        super().__init__(context, http_layers.HTTPMode.transparent)
        self._keeper = keeper
        self.caller = CallerConnection(context.fork(), keeper)
        self.connections[context.client] = self.caller  # an entry that is there already is kept

    def make_stream(self, stream_id: int) -> Commands:
        stream = self.streams[stream_id] = CheckpointStream(self.context.fork(), stream_id, self._keeper)
        yield from self.event_to_child(stream, events.Start())


class CheckpointTop(layer.Layer):
    """Reverse traffic is HTTP/1.1 and nothing else, whatever the first bytes look like."""

    def __init__(self, context: Context, keeper: Keeper) -> None:
        super().__init__(context)
        mode = context.client.proxy_mode
        assert isinstance(mode, mode_specs.ReverseMode)
        context.server.address = mode.address
        self.http = CheckpointHttp(context, keeper)

    def _handle_event(self, event: events.Event) -> Commands:
        yield from self.http.handle_event(event)


class CheckpointHandler(mode_servers.ProxyConnectionHandler):
    """Carries bytes between sockets and layers, with back-pressure and deadlines."""

    def __init__(self, master: Any, reader: Any, writer: Any, options: Any, mode: Any, keeper: Keeper) -> None:
        super().__init__(master, reader, writer, options, mode)  # type: ignore[no-untyped-call]
        self._keeper = keeper
        self._writer: asyncio.StreamWriter = writer
        self._reading: asyncio.Task[Any] | None = None
        self._room = asyncio.Event()
        self._unsent, self._stalled = 0, keeper.now()
        self._late: asyncio.Task[None] | None = None
        top = CheckpointTop(self.layer.context, keeper)
        self.layer = top
        self.caller = top.http.caller

    async def handle_connection(self, connection: connection.Connection) -> None:
        if connection is self.client:
            self._reading = asyncio.current_task()
        await super().handle_connection(connection)

    async def server_event(self, event: events.Event) -> None:
        await super().server_event(event)
        if self.caller.is_choked:
            self._room.clear()
        else:
            self._room.set()

    async def drain_writers(self) -> None:
        """Awaited after every read: until there is room to write, and, for the caller, room for what it sends."""
        await super().drain_writers()  # type: ignore[no-untyped-call]
        if asyncio.current_task() is self._reading:
            await self._room.wait()

    def close_connection(self, connection: connection.Connection, half_close: bool = False) -> None:
        if half_close and not self._writer.can_write_eof():
            return  # TLS: the caller has its answer, and `Connection: close` in it
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
