"""A WebSocket in the middle: the provider's bytes go on as they come, a caller's message once it may.

Frames are passed in their very bytes, masks included (RFC 6455 §5.3). Control frames are handed on too: it is the two
ends that answer pings and closes, and keep to §5.5.1. We speak ourselves only to refuse, and to end what we must end.
"""

import asyncio
import logging
import os
from collections import deque
from typing import Protocol

from lanes.websocket.session import Observed, Session
from wire.websocket.frames import (
    CLOSE,
    GOING_AWAY,
    INTERNAL_ERROR,
    POLICY,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    FrameProblem,
    FrameWalker,
    Message,
    close_frame,
    frame,
)
from wire.websocket.verdict import Verdict

log = logging.getLogger(__name__)

COPIED = 16 << 20
"""Bytes of one message of a provider that are copied; a longer one goes on all the same."""
_FAREWELL = 30.0  # seconds after a close frame in which the connections have to end
_WAITING = 1 << 20
"""Bytes of messages that wait to be judged; past it a caller is not read."""


class Ends(Protocol):
    """The two connections, as a lane has them. Writing never waits, and to one that is gone it does nothing."""

    def to_caller(self, data: bytes) -> None: ...

    def to_provider(self, data: bytes) -> None: ...

    def hold_caller(self, hold: bool) -> None:
        """Stop reading from the caller, or go on."""

    def close(self, *, broken: bool) -> None:
        """Close both, once what was written is sent. `broken`: the caller is to see no orderly end."""


class Relay:
    """Feed it from both sides. The order of the caller's messages is kept; one is judged at a time.

    Args:
        message_limit: bytes of one message of the caller.
        silence: seconds without a byte from either side after which the connection is ended.
    """

    def __init__(self, session: Session, ends: Ends, *, message_limit: int, silence: float, now: float) -> None:
        self._session = session
        self._ends = ends
        self._silence = silence
        self._last = now
        self._of_caller = FrameWalker(message_limit, from_client=True)
        self._of_provider = FrameWalker(COPIED, from_client=False)
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._held = False
        self._judging: asyncio.Task[None] | None = None
        self._to_say: list[bytes] = []  # to the caller, as soon as no message of the provider is under way
        self._closing: Observed | None = None  # who sent a close frame first
        self._draining = False
        self.over = False

    # -- the caller -------------------------------------------------------------------------------------------------

    def from_caller(self, data: bytes, now: float) -> None:
        if self.over:
            return
        self._last = now
        try:
            messages = self._of_caller.feed(data)
        except FrameProblem as problem:
            log.info("A caller's WebSocket is closed: %s.", problem)
            self._refuse_frames(problem)
            return
        for message in messages:
            self._take(message)

    def _refuse_frames(self, problem: FrameProblem) -> None:
        """What came before the fault is not forwarded either: it waits for a verdict that has no taker any more."""
        self._say_close(problem.code, str(problem))
        self._ends.to_provider(close_frame(GOING_AWAY, "", os.urandom(4)))
        code = "body_too_large" if problem.code == TOO_BIG else "websocket_violation"
        self._finish("client_gone", clean=False, code=code)

    def _take(self, message: Message) -> None:
        if not message.is_data and message.opcode != CLOSE:
            self._ends.to_provider(message.raw)  # pings and pongs do not wait (§5.5.2)
            return
        self._waiting.append(message)
        self._waiting_bytes += len(message.raw)
        if self._judging is None:
            # Eager: where nothing has to be waited for, the message has gone on when this returns.
            self._judging = asyncio.Task(self._judge_all(), loop=asyncio.get_running_loop(), eager_start=True)
            if self._judging.done():
                self._judging = None
        if self._waiting_bytes > _WAITING and not self._held:
            self._held = True
            self._ends.hold_caller(True)

    async def _judge_all(self) -> None:
        try:
            while self._waiting and not self.over:
                message = self._waiting.popleft()
                self._waiting_bytes -= len(message.raw)
                await self._judge(message)
                if self._held and self._waiting_bytes <= _WAITING // 2:
                    self._held = False
                    self._ends.hold_caller(False)
        except Exception:
            log.exception("A message of a WebSocket could not be judged; the connection is closed.")
            self._end_by_us(INTERNAL_ERROR, "the checkpoint failed", "client_gone")
        finally:
            self._judging = None

    async def _judge(self, message: Message) -> None:
        if message.opcode == CLOSE:
            self._will_close("client_gone")
            self._ends.to_provider(message.raw)
            return
        assert message.payload is not None
        verdict = await self._session.judge(message.payload)
        if self.over:
            return
        if verdict.passes:
            self._ends.to_provider(message.raw)
        else:
            self._tell(verdict)

    def _tell(self, verdict: Verdict) -> None:
        if verdict.event is not None:
            self._say(frame(TEXT, verdict.event))
        if verdict.close is not None:
            self._end_by_us(*verdict.close, "client_gone")

    def _say(self, said: bytes) -> None:
        """Between two messages of the provider: amid one, it would become part of it (§5.4)."""
        if self._of_provider.is_between:
            self._ends.to_caller(said)
        else:
            self._to_say.append(said)

    def _say_close(self, code: int, why: str) -> None:
        """Amid a frame of the provider nothing can be said any more: the connection just ends."""
        if self._of_provider.is_between_frames:
            self._ends.to_caller(close_frame(code, why))

    def caller_gone(self) -> None:
        """Its connection is closed, or half of it."""
        if self.over:
            return
        if self._closing is None:
            self._ends.to_provider(close_frame(GOING_AWAY, "", os.urandom(4)))
        self._finish(self._closing or "client_gone", clean=self._closing is not None)

    # -- the provider -----------------------------------------------------------------------------------------------

    def from_provider(self, data: bytes, now: float) -> None:
        if self.over:
            return
        self._last = now
        fault: FrameProblem | None = None
        try:
            messages = self._of_provider.feed(data)
        except FrameProblem as problem:
            fault, messages = problem, problem.messages
            data = data[: problem.sound]
        ends = [message.end for message in messages if message.is_data] if self._to_say else ()
        if ends:
            end = ends[-1]
            self._ends.to_caller(data[:end] + b"".join(self._to_say))
            self._to_say.clear()
            data = data[end:]
        if data:
            self._ends.to_caller(data)
        for message in messages:
            if message.is_data:
                self._session.told(message.payload)
            elif message.opcode == CLOSE:
                self._will_close("response_ended")
        if self._draining and not self._session.is_answering:
            self.shut_down()
        if fault is not None:
            log.warning("The provider's WebSocket breaks the protocol: %s.", fault)
            self._ends.to_provider(close_frame(PROTOCOL_ERROR, str(fault), os.urandom(4)))
            self._finish("upstream_cut", clean=False)

    def provider_gone(self) -> None:
        """Its connection is closed. Without a close frame the caller's breaks off too."""
        self._finish(self._closing or "upstream_cut", clean=self._closing is not None)

    def _will_close(self, who: Observed) -> None:
        self._closing = self._closing or who
        self._silence = min(self._silence, _FAREWELL)

    # -- our own ends -----------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        if self._session.is_expelled():
            self._end_by_us(POLICY, "the identity behind this connection is refused", "refused", "invalid_token")
            return
        if now - self._last <= self._silence:
            return
        if self._closing is not None:
            self._finish(self._closing, clean=True)
        else:
            self._end_by_us(GOING_AWAY, "no byte for too long", "timed_out")

    def drain(self) -> None:
        """We are about to stop: end as soon as no response is under way."""
        self._draining = True
        if not self._session.is_answering:
            self.shut_down()

    def shut_down(self) -> None:
        """Our own end: both sides are told (§7.4.1, 1001)."""
        self._end_by_us(GOING_AWAY, "the checkpoint is shutting down", "proxy_died")

    def _end_by_us(self, code: int, why: str, observed: Observed, refused: str | None = None) -> None:
        if self.over:
            return
        self._say_close(code, why)
        self._ends.to_provider(close_frame(GOING_AWAY, "", os.urandom(4)))
        self._finish(observed, clean=True, code=refused, ordered=True)

    def _finish(self, observed: Observed, *, clean: bool, code: str | None = None, ordered: bool = False) -> None:
        if self.over:
            return
        self.over = True
        self._waiting.clear()
        self._session.end(observed, clean=clean and observed != "proxy_died", code=code)
        self._ends.close(broken=not clean and not ordered and code is None)
