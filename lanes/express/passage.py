"""One exchange on its way: its flow, the hooks in mitmproxy's order, and exactly one end, `response` or `error`."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mitmproxy.flow import Error

from lanes import pinned
from lanes.express.bodies import Walk
from lanes.express.delivery import Delivery, Kept, ReplyTooLarge, Stream, framing_for
from lanes.express.door import REVOKED
from lanes.express.framing import BrokenFraming, Kind
from lanes.express.head import HeadProblem, ReplyHead, RequestHead
from lanes.express.hooks import Ran, Waiting, fire
from lanes.express.switched import Switched
from lanes.express.writing import can_go_as_it_came, request_message, streamed_head, whole_message
from lanes.websocket.upgrade import request_id_of, switched_head, upgrade_message
from wire.websocket.handshake import fault_of_reply

if TYPE_CHECKING:
    from lanes.express.caller import Caller
    from lanes.express.upstream import Upstream
    from lanes.websocket.session import Session

log = logging.getLogger(__name__)


class Passage:
    """Until `reply`, whatever goes wrong refuses; afterwards it breaks the caller's connection off.

    A hook that waits holds the passage, not the loop; what happens meanwhile (the caller leaves) is dealt with when it
    is done, so that an addon never sees `error` before its own `request` has returned.
    """

    __slots__ = (
        "_again",
        "_begun",
        "_bodiless",
        "_delivery",
        "_ended",
        "_gone",
        "_head",
        "_keep",
        "_kind",
        "_last",
        "_message",
        "_pending",
        "_raw_head",
        "_reply",
        "_session",
        "caller",
        "flow",
        "method",
        "take",
        "upstream",
    )

    take: Callable[[bytes, list[bytes]], None]
    """The reply's body goes in here, as Delivery.take."""

    def __init__(self, caller: "Caller", head: RequestHead, started: float) -> None:
        self.caller = caller
        self.method = head.method
        self.upstream: Upstream | None = None
        self._session: Session | None = None
        self._head = head
        self._again = self._begun = self._ended = self._gone = self._pending = False
        self._keep = True
        self._kind: Kind | None = None
        host, port = caller.destination
        self.flow = pinned.flow(
            caller.conn,
            caller.server,
            pinned.request(
                host,
                port,
                head.scheme or caller.scheme,
                head.method,
                head.authority,
                head.path,
                head.version,
                head.fields,
                started,
            ),
        )

    # -- the request -------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """The head is here."""
        self._after(fire(self.caller.lane.hooks.requestheaders, self.flow), self._entered)

    def _entered(self, clean: bool) -> None:
        if self._is_over():
            return
        caller = self.caller
        head = self._head
        if not clean:
            self.refuse("checkpoint_error")
        elif caller.lane.is_settled(self.flow):
            self._answer()
        elif head.fault is not None:
            self.refuse(head.fault)
        elif head.method == b"CONNECT":
            self.refuse("connect_not_allowed")
        elif head.length is not None and head.length > caller.lane.limits.body_bytes:
            self.refuse("body_too_large")
        else:
            caller.read_body(head)

    def whole(self, body: bytes) -> None:
        """The body is here."""
        data = self.flow.request.data
        data.content = body
        data.timestamp_end = time.time()
        self._after(fire(self.caller.lane.hooks.request, self.flow, halt=True), self._decided)

    def _decided(self, clean: bool) -> None:
        if self._is_over():
            return
        if not clean:
            self.refuse("checkpoint_error")
        elif self.flow.response is not None:
            self._answer()
        else:
            self._forward()

    def _forward(self) -> None:
        data = self.flow.request.data
        try:
            # The name in an absolute-form request line is the caller's; only what an addon put in its place counts.
            self._message = request_message(self.flow.request, b"" if self._head.authority else data.authority)
        except HeadProblem as problem:
            log.info("A request cannot be sent as it is: %s", problem.code)
            self.refuse(problem.code)
            return
        lane = self.caller.lane
        self._session = lane.session(self.flow) if self.method == b"GET" else None
        if self._session is not None:
            self._message = upgrade_message(self._message)
        destination = (data.scheme, data.host, data.port)
        upstream = lane.pool.take(destination)
        if upstream is not None:
            self.connected(upstream)
        else:
            lane.start(lane.pool.connect(self, destination), self)

    def connected(self, upstream: "Upstream") -> None:
        """A connection to send on. When the caller has left meanwhile, it is kept for the next one."""
        if self._ended:
            self.caller.lane.pool.put(upstream)
            return
        self.upstream = upstream
        self.flow.server_conn = upstream.server
        message, self._message = self._message, b""
        upstream.send(self, message)

    def switch(self, head: ReplyHead, raw: bytes, rest: bytes) -> bool:
        """The upstream has switched protocols; `raw` is its head, `rest` what came with it. False: nobody asked for
        that."""
        session, upstream, flow, lane = self._session, self.upstream, self.flow, self.caller.lane
        if session is None or upstream is None or self._gone:
            return False
        fault = fault_of_reply(flow.request.data.headers.fields, head.fields)
        if fault is not None:
            log.warning("A provider's answer to a WebSocket is refused: %s.", fault)
            return False
        flow.response = pinned.response(head.version, head.status, head.reason, head.fields, time.time())
        self._ended = True
        self.upstream = None
        session.begin(request_id_of(flow.response))
        lane.tell(lane.hooks.responseheaders, flow)
        lane.tell(lane.hooks.response, flow)
        flow.live = False
        Switched(self.caller, upstream, session).begin(switched_head(flow.response, head.fields, raw), rest)
        return True

    def _send_again(self) -> None:
        """The request as it is now, once. The answer to the first is nobody's, nor is its connection used again: what
        is left of it need not be read."""
        self._again = True
        assert self.upstream is not None
        self.upstream.abandon()
        self.upstream = None
        self._forward()

    # -- an answer of our own ----------------------------------------------------------------------------------------

    def refuse(self, code: str) -> None:
        """Answer with what the door makes of this code."""
        if not self._ended:
            self.caller.lane.refuse(self.flow, code)
            self._answer()

    def _answer(self) -> None:
        """`flow.response` goes out; addons see it as mitmproxy shows them a response set by an addon."""
        self._after(fire(self.caller.lane.hooks.responseheaders, self.flow), self._answering)

    def _answering(self, _clean: bool) -> None:
        if self._is_over():
            return
        self._ended = True
        self._after(fire(self.caller.lane.hooks.response, self.flow), self._answered)

    def _answered(self, _clean: bool) -> None:
        self._write_whole(self.caller.skip_body(self._head))

    def _write_whole(self, keep: bool) -> None:
        flow = self.flow
        caller = self.caller
        if self._gone or self._was_killed() or caller.is_gone():
            caller.abort()
            self._leave(keep=False)
            return
        response = flow.response
        assert response is not None
        keep = keep and caller.may_keep(self._head)
        try:
            message = whole_message(response, self.method, close=not keep)
        except HeadProblem:
            log.error("What the addons left of a response cannot be sent.")
            keep = False
            message = whole_message(caller.lane.refusal("checkpoint_error"), self.method, close=True)
        caller.write(message)
        self._leave(keep)

    # -- the reply ---------------------------------------------------------------------------------------------------

    def reply(self, head: ReplyHead, raw: bytes, walk: Walk, bodiless: bool) -> bool:
        """The reply's head, `raw` with its empty line. False: a hook waits, and `upstream.go_on` will be called."""
        flow = self.flow
        if head.status == 401 and not self._again and self.caller.lane.again(flow):
            self._send_again()
            return True
        flow.response = pinned.response(head.version, head.status, head.reason, head.fields, time.time())
        self._reply = head
        self._raw_head = raw
        self._bodiless = bodiless
        ran = fire(self.caller.lane.hooks.responseheaders, flow)
        if isinstance(ran, bool):
            self._deliver(walk)
            return True

        def ready(_clean: bool) -> None:
            self._deliver(walk)
            if self.upstream is not None:
                self.upstream.go_on()

        self._after(ran, ready)
        return not self._pending

    def _deliver(self, walk: Walk) -> None:
        if self._is_over():
            return
        response = self.flow.response
        assert response is not None
        stream = response.stream
        delivery: Delivery
        if not stream or self._bodiless:
            delivery = Kept(self.caller.lane.limits.reply_bytes)
        else:
            kind, framing = framing_for(walk, response, self._reply, self._head.version == b"HTTP/1.1")
            message = self._begin(kind)
            if message is None:
                return
            tap = stream if callable(stream) else None
            delivery = Stream(self.caller.write, message, tap, walk, kind, framing)
        self._delivery = delivery
        self.take = delivery.take

    def flush(self) -> None:
        """Nothing of the reply's body came with its head."""
        if isinstance(self._delivery, Stream):
            self._delivery.flush()

    def _begin(self, kind: Kind) -> bytes | None:
        response = self.flow.response
        assert response is not None
        close = kind == "until_close" or not self.caller.may_keep(self._head)
        self._keep = not close
        self._kind = kind
        try:
            message = streamed_head(response, self._reply, self._raw_head, kind, close)
        except HeadProblem:
            self.fail("Checkpoint failed: what the addons left of a reply cannot be sent", "checkpoint_error")
            return None
        self._begun = True
        return message

    def reply_ended(self, data: bytes, pieces: list[bytes], trailers: bytes) -> None:
        """The reply is whole; `data` is the last of it. It is written once the `response` hooks are through."""
        if self._ended:
            return
        flow = self.flow
        response = flow.response
        assert response is not None
        response.data.timestamp_end = time.time()
        delivery = self._delivery
        try:
            self._last = delivery.last(data, pieces, trailers)
        except BrokenFraming as problem:
            self.fail(f"Checkpoint failed: {problem}", "checkpoint_error")
            return
        except ReplyTooLarge:
            self.fail("Upstream disconnected: its reply is larger than what is kept", "upstream_unreachable")
            return
        if isinstance(delivery, Kept):
            response.data.content = b"".join(delivery.pieces)
            if trailers:
                log.info("The trailers of a reply that was kept whole are not passed on.")
            if self._bodiless and callable(response.stream):
                response.stream(b"")
        self._ended = True
        self._after(fire(self.caller.lane.hooks.response, flow), self._replied)

    def _replied(self, _clean: bool) -> None:
        caller = self.caller
        if not self._begun:
            if self._is_as_it_came():
                assert self.flow.response is not None
                caller.write(self._raw_head + (self.flow.response.data.content or b""))
                self._leave(keep=True)
            else:
                self._write_whole(keep=True)
        elif self._gone or self._was_killed() or caller.is_gone():
            caller.abort()
            self._leave(keep=False)
        else:
            if self._last:
                caller.write(self._last)
            self._leave(keep=self._keep)

    def _is_as_it_came(self) -> bool:
        """Whether a reply that was kept whole can be sent in the bytes it came in."""
        response = self.flow.response
        if (
            response is None
            or self.caller.is_gone()
            or self.flow.error is not None
            or not self.caller.may_keep(self._head)
        ):
            return False
        return can_go_as_it_came(response, self._reply, self._bodiless)

    # -- other ends --------------------------------------------------------------------------------------------------

    def caller_gone(self) -> None:
        """The caller closed its connection, or half of it."""
        self._gone = True
        if not self._ended and not self._pending:
            self.fail("Client disconnected")

    def cut(self, why: str) -> None:
        """Our own doing: the caller's connection breaks off, whatever was about to be said."""
        self._gone = self._ended
        self.fail(why)

    def expel(self) -> None:
        """Whoever asked is refused by now. While a hook waits that is left to the next sweep."""
        if not self._pending:
            self.fail(REVOKED, "invalid_token")

    def fail(self, why: str, code: str | None = None) -> None:
        """`error`, once. The caller is told `code` if nothing was said to it yet; else its connection breaks off."""
        if self._ended:
            return
        self._ended = True
        flow = self.flow
        if self.upstream is not None:
            self.upstream.abandon()
            self.upstream = None
        told = code is not None and not self._begun and not self._gone
        if told and code is not None:
            # Before `error`: the door still knows which API was called, and what its refusals look like.
            self.caller.lane.refuse(flow, code)
        if not self._was_killed():
            flow.error = Error(why)
        self._after(fire(self.caller.lane.hooks.error, flow), self._fail_told if told else self._fail_silent)

    def _fail_told(self, _clean: bool) -> None:
        self._write_whole(keep=True)

    def _fail_silent(self, _clean: bool) -> None:
        if self._gone:
            self.caller.abort()
        else:
            self.caller.break_off(reset=self._kind == "until_close")
        self._leave(keep=False)

    def _is_over(self) -> bool:
        """After each hook: did an addon kill the flow, or the caller leave?"""
        if not self._ended and not self._gone and self.flow.error is None:
            return False
        if self._ended:
            return True
        if self._was_killed():
            self._gone = True
            self.fail("Connection killed.")
            return True
        if self._gone:
            self.fail("Client disconnected")
            return True
        return False

    def _was_killed(self) -> bool:
        error = self.flow.error
        return error is not None and error.msg == Error.KILLED_MESSAGE

    def _leave(self, keep: bool) -> None:
        self.flow.live = False
        # A caller knows of the end that was to come: it asked for it, or the close is the end of the reply.
        expected = (not self._head.keep and self._head.fault is None) or self._kind == "until_close"
        self.caller.finished(keep, expected=expected)

    # -- hooks that wait ---------------------------------------------------------------------------------------------

    def _after(self, ran: Ran, then: Callable[[bool], None]) -> None:
        if isinstance(ran, bool):
            then(ran)
            return
        self._pending = True
        if isinstance(ran.first, asyncio.Future):
            ran.first.add_done_callback(partial(self._came, ran, then))  # no task for what only waits
        else:
            self.caller.lane.start(ran.then(partial(self._went_on, then)), self)

    def _came(self, ran: Waiting, then: Callable[[bool], None], first: asyncio.Future[object]) -> None:
        """What a hook waited for is here, or failed."""
        if first.cancelled() or first.exception() is not None:
            self.caller.lane.start(ran.then(partial(self._went_on, then)), self)
            return
        try:
            rest = ran.rest()
            if isinstance(rest, bool):
                self._went_on(then, rest)
            else:
                self.caller.lane.start(rest.then(partial(self._went_on, then)), self)
        except Exception as fault:  # noqa: BLE001 - as in a task: a fault of the lane's own ends the passage
            self.crashed(fault)

    def _went_on(self, then: Callable[[bool], None], clean: bool) -> None:
        self._pending = False
        then(clean)

    def crashed(self, problem: BaseException) -> None:
        """A fault in the lane itself: nothing passes."""
        if not isinstance(problem, asyncio.CancelledError):
            log.error("The express lane failed on an exchange.", exc_info=problem)
        self._pending = False
        self.cut("Checkpoint failed: a fault in the lane")
