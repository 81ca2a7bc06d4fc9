"""Two connections that have become one WebSocket: their bytes to the relay, with back-pressure."""

import asyncio
from typing import TYPE_CHECKING

from lanes.websocket.relay import Relay
from lanes.websocket.session import Session

if TYPE_CHECKING:
    from lanes.express.caller import Caller
    from lanes.express.upstream import Upstream


class Switched:
    """Both protocols are replaced: the connections carry frames from here on, and end together."""

    def __init__(self, caller: "Caller", upstream: "Upstream", session: Session) -> None:
        self._caller = caller
        self._upstream = upstream
        self._lane = lane = caller.lane
        self._held: set[str] = set()  # why the caller is not read
        self._relay = Relay(
            session,
            self,
            message_limit=lane.limits.body_bytes,
            silence=lane.limits.reply_seconds,
            now=lane.now(),
        )
        self._to_upstream = upstream.hand_over(_OfUpstream(self))
        self._ahead = b""

    def begin(self, raw: bytes, rest: bytes) -> None:
        """Tell the caller, with the provider's own head; then what came with both heads."""
        self._caller_transport, self._ahead = self._caller.hand_over(_OfCaller(self))
        self._caller_transport.write(raw)
        self._lane.carry(self._relay)
        now = self._lane.now()
        if rest:
            self._relay.from_provider(rest, now)
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            self._relay.from_caller(ahead, now)

    # -- Ends, for the relay ----------------------------------------------------------------------------------------

    def to_caller(self, data: bytes) -> None:
        if not self._caller_transport.is_closing():
            self._caller_transport.write(data)

    def to_provider(self, data: bytes) -> None:
        if not self._to_upstream.is_closing():
            self._to_upstream.write(data)

    def hold_caller(self, hold: bool) -> None:
        self.hold("judged", hold)

    def close(self, *, broken: bool) -> None:
        self._lane.let_go(self._relay)
        if not self._to_upstream.is_closing():
            self._to_upstream.close()
            # One that takes nothing any more would keep what is unsent for ever.
            asyncio.get_running_loop().call_later(self._lane.limits.linger_seconds, self._to_upstream.abort)
        if self._held and not self._caller_transport.is_closing():
            self._caller_transport.resume_reading()
        self._caller.take_back(broken=broken)

    # -- the two protocols ------------------------------------------------------------------------------------------

    def hold(self, why: str, hold: bool) -> None:
        was = bool(self._held)
        self._held.add(why) if hold else self._held.discard(why)
        if was == bool(self._held) or self._caller_transport.is_closing():
            return
        if self._held:
            self._caller_transport.pause_reading()
        else:
            self._caller_transport.resume_reading()

    def hold_upstream(self, hold: bool) -> None:
        """The caller does not keep up, or does again."""
        self._caller.stalled = self._lane.now() if hold else None
        if self._to_upstream.is_closing():
            return
        if hold:
            self._to_upstream.pause_reading()
        else:
            self._to_upstream.resume_reading()

    def from_caller(self, data: bytes) -> None:
        self._relay.from_caller(data, self._lane.now())

    def from_upstream(self, data: bytes) -> None:
        self._relay.from_provider(data, self._lane.now())

    def caller_lost(self, exc: Exception | None) -> None:
        self._relay.caller_gone()
        self._caller.connection_lost(exc)

    def caller_left(self) -> None:
        self._relay.caller_gone()

    def upstream_lost(self, exc: Exception | None) -> None:
        self._relay.provider_gone()
        self._upstream.connection_lost(exc)


class _OfCaller(asyncio.Protocol):
    def __init__(self, switched: Switched) -> None:
        self._switched = switched
        self.data_received = switched.from_caller  # type: ignore[method-assign]

    def eof_received(self) -> None:
        self._switched.caller_left()

    def pause_writing(self) -> None:
        self._switched.hold_upstream(True)

    def resume_writing(self) -> None:
        self._switched.hold_upstream(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._switched.caller_lost(exc)


class _OfUpstream(asyncio.Protocol):
    def __init__(self, switched: Switched) -> None:
        self._switched = switched
        self.data_received = switched.from_upstream  # type: ignore[method-assign]

    def pause_writing(self) -> None:
        self._switched.hold("unsent", True)

    def resume_writing(self) -> None:
        self._switched.hold("unsent", False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._switched.upstream_lost(exc)
