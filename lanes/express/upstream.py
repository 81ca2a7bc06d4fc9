"""One connection to an upstream: a request goes in, a reply comes out, then it rests in the pool."""

import asyncio
import contextlib
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from lanes.express.bodies import SizedWalk, UntilClose, Walk, walk_for
from lanes.express.chunks import ChunkProblem
from lanes.express.delivery import ReplyTooLarge
from lanes.express.framing import BrokenFraming
from lanes.express.head import HeadProblem, parse_reply
from lanes.express.tls import ResumingContext
from lanes.express.writing import BODILESS

if TYPE_CHECKING:
    from lanes.express.lane import Lane
    from lanes.express.passage import Passage

type Destination = tuple[bytes, str, int]
"""Scheme, host, port: what connections are pooled by."""

_A_MOMENT = 0.05  # seconds
_NOTICE = select.POLLIN | select.POLLHUP | select.POLLERR


class Upstream(asyncio.Protocol):
    """Reads replies strictly; a reply whose framing is wrong counts as broken off."""

    __slots__ = (
        "_buffer",
        "_held",
        "_lane",
        "_on_data",
        "_opener",
        "_paused",
        "_poll",
        "_proved",
        "_reusable",
        "_transport",
        "_waiting",
        "_walk",
        "born",
        "destination",
        "passage",
        "quiet",
        "remember",
        "rested",
        "server",
    )

    def __init__(self, lane: "Lane", destination: Destination, server: Server, opener: Client) -> None:
        self._lane = lane
        self._opener = opener
        self.destination = destination
        self.server = server
        self.passage: Passage | None = None
        self.quiet = 0.0
        """Seconds without a byte while a reply is due, counted by the lane's sweep."""
        self.born = self.rested = 0.0
        self._proved = False  # it was kept open after a reply
        self.remember: tuple[ResumingContext, str, Any] | None = None
        """Whose TLS session is to be kept once a reply has come."""
        self._buffer = self._held = b""
        self._on_data: Callable[[bytes], None] = self._unasked
        self._walk: Walk = SizedWalk(0)
        self._reusable = False
        self._paused = self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), _NOTICE)
        self.born = self._lane.now()
        self._lane.upstreams.add(self)

    def is_usable(self) -> bool:
        """Whether the other side has neither closed nor said anything unasked, as far as the kernel knows.

        A request is sent once. Looking here, before writing, is what makes it safe not to try again later. The look
        is a system call, a twentieth of a request: a server that has kept this connection open before, and spoke on
        it a moment ago, is taken to keep it.
        """
        if self._transport.is_closing():
            return False
        if self._proved and self._lane.now() - self.rested < _A_MOMENT:
            return True
        self._proved = not self._poll.poll(0)
        return self._proved

    def send(self, passage: "Passage", message: bytes) -> None:
        self.passage = passage
        self.quiet = 0.0
        self._on_data = self._head
        if passage.caller.stalled:
            self.pause()
        self._transport.write(message)

    def pause(self) -> None:
        """The caller does not keep up."""
        if not self._paused:
            self._paused = True
            if not self._waiting:
                self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            if not self._waiting:
                self._transport.resume_reading()

    def is_due(self) -> bool:
        return self.passage is not None and not self._paused and not self._waiting

    def go_on(self) -> None:
        """The hook that held the reply is done. Does nothing when it did not wait after all."""
        if not self._waiting:
            return
        self._waiting = False
        held, self._held = self._held, b""
        self._rest(held)
        if not self._paused and not self._waiting and not self._transport.is_closing():
            self._transport.resume_reading()

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """From here on another reads this connection; it has no next request."""
        self.passage = None
        self._transport.set_protocol(protocol)
        return self._transport

    def abandon(self) -> None:
        """Whoever asked is gone; so is the use of this connection."""
        self.passage = None
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self.quiet = 0.0
        self._on_data(data)

    def _unasked(self, _data: bytes) -> None:
        self._transport.abort()

    def _head(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        at = 0
        while True:
            end = data.find(b"\r\n\r\n", at)
            if end < 0:
                self._buffer = data[at:]
                if len(self._buffer) > self._lane.limits.reply_head_bytes:
                    self._break_off("its reply's head is too large")
                return
            try:
                head = parse_reply(data[at:end])
            except HeadProblem:
                self._break_off("its reply's head cannot be read")
                return
            if head.status >= 200:
                break
            if head.status == 101:
                if self.passage is None or not self.passage.switch(head, data[at : end + 4], data[end + 4 :]):
                    self._break_off("it switched protocols unasked")
                return
            at = end + 4  # an interim reply (RFC 9110 §15.2); the final one follows
        passage = self.passage
        if passage is None:
            return
        self._reusable = head.keep
        bodiless = head.status in BODILESS or passage.method == b"HEAD"
        walk = walk_for(head, bodiless=bodiless)
        if isinstance(walk, UntilClose):
            self._reusable = False
        self._walk = walk
        self._on_data = self._body
        rest = data[end + 4 :]
        if passage.reply(head, data[at : end + 4], walk, bodiless):
            self._rest(rest)
        else:
            self._held = rest
            self._waiting = True
            if not self._paused:
                self._transport.pause_reading()

    def _rest(self, rest: bytes) -> None:
        if self.passage is None:
            return
        if self._walk.end == 0:
            self._end(b"", [], rest)
        elif rest:
            self._body(rest)
        else:
            self.passage.flush()

    def _body(self, data: bytes) -> None:
        passage = self.passage
        if passage is None:
            return
        walk = self._walk
        try:
            pieces = walk.feed(data)
            end = walk.end
            if end < 0:
                passage.take(data, pieces)
                return
        except ChunkProblem as problem:
            with contextlib.suppress(BrokenFraming, ReplyTooLarge):  # it breaks off either way
                # What came before the fault is the caller's, and on record.
                passage.take(data[: problem.sound], problem.pieces) if problem.sound else passage.flush()
            self._break_off(str(problem))
        except BrokenFraming as problem:
            passage.fail(f"Checkpoint failed: {problem}", "checkpoint_error")
        except ReplyTooLarge:
            passage.fail("Upstream disconnected: its reply is larger than what is kept", "upstream_unreachable")
        else:
            if end == len(data):
                self._end(data, pieces, b"")
            else:
                self._end(data[:end], pieces, data[end:])

    def _end(self, data: bytes, pieces: list[bytes], rest: bytes) -> None:
        passage = self.passage
        assert passage is not None
        trailers = self._walk.trailers
        self.passage = passage.upstream = None
        self._on_data = self._unasked
        if self.remember is not None:
            context, host, secured = self.remember
            context.remember(host, secured)
            self.remember = None
        transport = self._transport
        if self._reusable and not rest and not transport.is_closing() and not transport.get_write_buffer_size():
            self.resume()
            self._lane.pool.put(self)
        else:
            # More than a whole reply, or one that came before the request was through: this connection has no next.
            transport.abort() if rest else transport.close()
        passage.reply_ended(data, pieces, trailers)

    def _break_off(self, why: str) -> None:
        passage = self.passage
        self.abandon()
        if passage is not None:
            passage.upstream = None
            passage.fail(f"Upstream disconnected: {why}", "upstream_unreachable")

    def connection_lost(self, exc: Exception | None) -> None:
        lane = self._lane
        lane.upstreams.discard(self)
        lane.pool.forget(self)
        passage, self.passage = self.passage, None
        if passage is not None:
            passage.upstream = None
            if exc is None and self._on_data == self._body and isinstance(self._walk, UntilClose):
                passage.reply_ended(b"", [], b"")
            else:
                passage.fail("Upstream disconnected", "upstream_unreachable")
        self._on_data = self._unasked
        self.server.state = ConnectionState.CLOSED
        self.server.timestamp_end = lane.wall()
        if lane.hooks.server_disconnected:
            lane.tell(lane.hooks.server_disconnected, ServerConnectionHookData(self.server, self._opener))
