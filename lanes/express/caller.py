"""A caller's connection: heads and bodies in, strictly read; answers out, in order."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Collection
from typing import TYPE_CHECKING, cast

from mitmproxy.connection import Client, ConnectionState, Server

from lanes import pinned
from lanes.express.head import HeadProblem, RequestHead, parse_request, unfinished_problem
from lanes.express.hooks import fire
from lanes.express.passage import Passage
from lanes.express.request_body import RequestBody
from lanes.express.tls import UnreadableCertificate, describe
from lanes.express.writing import whole_message

if TYPE_CHECKING:
    from lanes.express.lane import Lane
    from lanes.express.mode import ExpressMode

_HEAD, _BODY, _BUSY, _LINGER, _CLOSING = range(5)
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: close sends RST (socket(7))."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Caller(asyncio.Protocol):
    """One request at a time; what is sent ahead waits, bounded (RFC 9112 §9.3.2).

    A caller that closes, or half-closes, while it is owed an answer is gone at once: its exchange ends, and so does
    the upstream's work for it.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_choked",
        "_deadline",
        "_dropped",
        "_head_since",
        "_mode",
        "_passage",
        "_running",
        "_since",
        "_started",
        "_state",
        "_transport",
        "_unread",
        "conn",
        "destination",
        "lane",
        "scheme",
        "server",
        "stalled",
        "write",
    )

    conn: Client
    server: Server
    """Where requests go that no addon directs; each flow begins with it, as with mitmproxy."""

    def __init__(self, lane: "Lane", mode: "ExpressMode") -> None:
        self.lane = lane
        self.destination = mode.address
        self.scheme = mode.scheme.encode()
        self._mode = mode
        self.stalled: float | None = None
        """When the caller stopped taking what we write; None while it does."""
        self._state = _BUSY
        self._buffer = b""
        self._passage: Passage | None = None
        self._running = self._choked = self._unread = False
        self._head_since: float | None = None
        self._started = 0.0
        self._since = lane.now()
        self._deadline = 0.0
        self._dropped = 0
        self._body: RequestBody | None = None

    # -- the connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.write = self._transport.write
        lane = self.lane
        # A peer that is gone already has no name any more.
        peer = (transport.get_extra_info("peername") or ("", 0))[:2]
        here = (transport.get_extra_info("sockname") or ("", 0))[:2]
        conn = self.conn = pinned.client(peer, here, self._mode)
        self.server = pinned.server(self.destination)
        secured = transport.get_extra_info("ssl_object")
        readable = True
        if secured is not None:
            conn.timestamp_tls_setup = lane.wall()
            try:
                describe(conn, secured)
            except UnreadableCertificate:
                readable = False
        if not lane.admit(self):
            self._fault("overloaded")
            return
        if not readable:
            self._fault("bad_request")
            return
        ran = fire(lane.hooks.client_connected, conn)
        if isinstance(ran, bool):
            self._welcome(ran)
        else:
            lane.start(self._awaited(ran))

    async def _awaited(self, ran: object) -> None:
        self._welcome(await ran)  # type: ignore[misc]

    def _welcome(self, clean: bool) -> None:
        if self._transport.is_closing():
            return
        if not clean:
            self._fault("checkpoint_error")
        elif self.conn.error is not None:
            self.abort()
        else:
            self._ready()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it was lost makes no difference
        lane = self.lane
        self._state = _CLOSING
        lane.left(self)
        passage, self._passage = self._passage, None
        if passage is not None:
            passage.caller_gone()
        self._buffer = b""
        self._body = None
        self.conn.state = ConnectionState.CLOSED
        self.conn.timestamp_end = lane.wall()
        if lane.hooks.client_disconnected:
            lane.tell(lane.hooks.client_disconnected, self.conn)

    def eof_received(self) -> None:
        """Half-closed is closed (RECORD.md): returning None lets the transport close."""
        passage = self._passage
        if passage is not None:
            passage.caller_gone()

    def pause_writing(self) -> None:
        self.stalled = self.lane.now()
        passage = self._passage
        if passage is not None and passage.upstream is not None:
            passage.upstream.pause()

    def resume_writing(self) -> None:
        self.stalled = None
        passage = self._passage
        if passage is not None and passage.upstream is not None:
            passage.upstream.resume()

    # -- what comes in -----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state == _HEAD:
            self._buffer = self._buffer + data if self._buffer else data
            if not self._running:
                self._run()
        elif state == _BODY:
            self._body_came(data)
        elif state == _BUSY:
            self._buffer += data
            if len(self._buffer) > self.lane.limits.pipelined_bytes and not self._choked:
                self._choked = True
                self._transport.pause_reading()
        else:
            self._dropped += len(data)
            if self._dropped > self.lane.limits.linger_bytes:
                self.abort()

    def _run(self) -> None:
        self._running = True
        while self._state == _HEAD and self._buffer and self._head():
            pass
        self._running = False

    def _head(self) -> bool:
        """Read one head; False: more must come first."""
        data = self._buffer
        lane = self.lane
        if data[0] in b"\r\n":
            # Empty lines before a request are skipped (RFC 9112 §2.2).
            data = self._buffer = data.lstrip(b"\r\n")
            if not data:
                return False
        if self._head_since is None:
            self._head_since = lane.now()
            self._started = lane.wall()
        most = lane.limits.head_bytes
        end = data.find(b"\r\n\r\n", 0, most + 4)
        if end < 0:
            code = unfinished_problem(data, lane.limits.head_bytes, lane.limits.head_fields)
            if code is not None:
                self._fault(code)
            return False
        try:
            head = parse_request(data[:end], lane.limits.head_fields)
        except HeadProblem as problem:
            self._fault(problem.code)
            return False
        self._buffer = data[end + 4 :]
        self._state = _BUSY
        self._head_since = None
        passage = self._passage = Passage(self, head, self._started)
        passage.enter()
        return True

    def read_body(self, head: RequestHead) -> None:
        """Called by the passage when it wants the body; it gets `whole`."""
        passage = self._passage
        assert passage is not None
        length = head.length or 0
        buffer = self._buffer
        if not head.chunked and len(buffer) >= length:
            self._buffer = buffer[length:]
            passage.whole(buffer[:length])
            return
        self._body = RequestBody(head, self.lane.limits, self.lane.now(), self.lane.bodies)
        self._state = _BODY
        if self._choked:
            self._choked = False
            self._transport.resume_reading()
        if buffer:
            self._buffer = b""
            self._body_came(buffer)
        elif head.expects and head.version == b"HTTP/1.1":
            self.write(_CONTINUE)

    def _body_came(self, data: bytes) -> None:
        body = self._body
        passage = self._passage
        assert body is not None
        assert passage is not None
        fault = body.feed(data)
        if fault is not None:
            self._turn_away(passage, fault)
        elif body.whole is not None:
            self._body = None
            self._buffer = body.rest
            self._state = _BUSY
            passage.whole(body.whole)

    def _turn_away(self, passage: Passage, code: str) -> None:
        """Refuse amid a body: from here on what comes is dropped, whatever the hooks of the refusal wait for."""
        self._state = _LINGER
        self._deadline = self.lane.now() + self.lane.limits.linger_seconds
        self._body = None
        passage.refuse(code)

    def skip_body(self, head: RequestHead) -> bool:
        """Before an answer that did not wait for the body: is the connection at the next request all the same?"""
        if self._state != _BUSY:
            self._unread = True
            return False
        if self._passage is None or self._passage.flow.request.data.timestamp_end is not None:
            return True
        length = head.length or 0
        if head.chunked or head.fault is not None or len(self._buffer) < length:
            self._unread = True
            return False
        self._buffer = self._buffer[length:]
        return True

    # -- WebSockets -------------------------------------------------------------------------------------------------

    def hand_over(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, bytes]:
        """From here on another reads this connection. Given with it: what the caller has sent ahead."""
        ahead, self._buffer = self._buffer, b""
        self._transport.set_protocol(protocol)
        if self._choked:
            self._choked = False
            self._transport.resume_reading()
        return self._transport, ahead

    def take_back(self, *, broken: bool) -> None:
        """It is to be closed; `broken`: at once, with nothing said."""
        self._passage = None
        if self._transport.is_closing():
            return
        self._transport.set_protocol(self)
        if broken:
            self.break_off(reset=False)
        else:
            self._linger()

    # -- what goes out -----------------------------------------------------------------------------------------------

    def may_keep(self, head: RequestHead) -> bool:
        return head.keep and not self.lane.draining

    def finished(self, keep: bool, expected: bool) -> None:
        """The passage is over, its last byte written. `expected`: the caller itself asked for the end."""
        self._passage = None
        if self._state == _CLOSING or self._transport.is_closing():
            return
        if keep and self._state == _BUSY and not self.lane.draining:
            self._ready()
        elif (expected or self.lane.draining) and not self._unread and not self._buffer:
            self._close()
        else:
            self._linger()

    def _ready(self) -> None:
        """For the next request."""
        self._state = _HEAD
        self._since = self.lane.now()
        if self._choked:
            self._choked = False
            self._transport.resume_reading()
        if self._buffer and not self._running:
            self._run()

    def _fault(self, code: str) -> None:
        """Answer something that never became a request."""
        self.write(whole_message(self.lane.refusal(code), b"", close=True))
        self._linger()

    def _linger(self) -> None:
        """Close, but read on until the caller has had its answer: closing with unread data would reset the
        connection and may take the answer with it (RFC 9112 §9.6). What is read is dropped, bounded."""
        self._state = _LINGER
        self._deadline = self.lane.now() + self.lane.limits.linger_seconds
        self._buffer = b""
        self._body = None
        self._dropped = 0
        if self._choked:
            self._choked = False
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            # OSError: the caller is gone already, which connection_lost will say.
            with contextlib.suppress(OSError):
                self._transport.write_eof()

    def _close(self) -> None:
        self._state = _CLOSING
        self._deadline = self.lane.now() + self.lane.limits.linger_seconds
        self._transport.close()

    def close_idle(self) -> None:
        """For draining: whoever waits for nothing more than a farewell is let go."""
        if self._state == _LINGER or (self._state == _HEAD and not self._buffer):
            self._close()

    def break_off(self, reset: bool) -> None:
        """End amid a reply: what came goes out, an end does not. `reset`: where a mere close would look like one."""
        if self._state == _CLOSING:
            return
        self._state = _CLOSING
        self._deadline = self.lane.now() + self.lane.limits.linger_seconds
        if not reset:
            self._transport.close()
        elif self._transport.get_extra_info("ssl_object") is not None:
            self._transport.abort()  # no close_notify: the caller's TLS reports the truncation (RFC 8446 §6.1)
        else:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.close()

    def is_gone(self) -> bool:
        """Whether writing is pointless; uvloop raises RuntimeError on a closed handle."""
        return self._state == _CLOSING or self._transport.is_closing()

    def abort(self) -> None:
        self._state = _CLOSING
        self._transport.abort()

    def cut(self, why: str) -> None:
        """Ends whatever is under way."""
        if self._passage is not None:
            self._passage.cut(why)
        if self._state != _CLOSING:
            self.abort()

    # -- time --------------------------------------------------------------------------------------------------------

    def expel(self, flows: Collection[str]) -> None:
        """Cut what is under way, if it is one of these: its caller may not go on."""
        if self._passage is not None and self._passage.flow.id in flows:
            self._passage.expel()

    def sweep(self, now: float) -> None:
        """Deadlines; called by the lane every `sweep_seconds`."""
        limits = self.lane.limits
        state = self._state
        if self.stalled is not None and now - self.stalled > limits.send_seconds:
            if self._passage is not None:
                self._passage.caller_gone()
            self.abort()
        elif state == _HEAD:
            if self._head_since is not None:
                if now - self._head_since > limits.head_seconds:
                    self._fault("header_timeout")
            elif now - self._since > limits.keep_alive_seconds:
                self.close_idle()
        elif state == _BODY:
            if self._body is not None and self._passage is not None and self._body.is_late(now):
                self._turn_away(self._passage, "body_timeout")
        elif state in (_LINGER, _CLOSING) and now > self._deadline:
            self.abort()
