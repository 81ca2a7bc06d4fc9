"""A connection that passes unread: bytes go on as they came, with back-pressure, counted."""

import asyncio
from collections.abc import Callable
from typing import Any


class Passing:
    """Two connections, each carrying on what the other gets. `over` is done when both are closed. `ended` is told once,
    how many bytes came from the caller and from the host. `is_expelled`: may its caller go on no more?"""

    def __init__(
        self, now: float, ended: Callable[[int, int], None], is_expelled: Callable[[], bool] = lambda: False
    ) -> None:
        self.caller = _Side(self)
        self.host = _Side(self)
        self.caller.other, self.host.other = self.host, self.caller
        self.moved = 0  # bytes, both ways, when `sweep` looked last
        self.quiet_since = now
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: Callable[[int, int], None] | None = ended
        self._is_expelled = is_expelled

    def sweep(self, now: float, silence: float) -> None:
        """Ends it after so many seconds without a byte either way, or once its caller may not go on."""
        if self._is_expelled():
            self.cut()
            return
        moved = self.caller.count + self.host.count
        if moved != self.moved:
            self.moved, self.quiet_since = moved, now
        elif now - self.quiet_since > silence:
            self.cut()

    def cut(self) -> None:
        """Close both at once."""
        for side in (self.caller, self.host):
            if side.transport is not None:
                side.transport.abort()
        self._over()

    def _closed(self) -> None:
        if self.caller.closed and self.host.closed:
            self._over()

    def _over(self) -> None:
        if self._ended is not None:
            self._ended(self.caller.count, self.host.count)
            self._ended = None
        if not self.over.done():
            self.over.set_result(None)


class _Side(asyncio.Protocol):
    """One of the two. `count` is the number of bytes that came from it."""

    other: "_Side"

    def __init__(self, of: Passing) -> None:
        self._of = of
        self.transport: Any = None
        self.count = 0
        self.closed = False
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.count += len(data)
        if self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        other = self.other.transport
        if other is None:
            return False
        if other.can_write_eof():
            other.write_eof()
        else:
            other.close()  # TLS on the way to us knows no half-closing
        return not self.other._ended

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        other = self.other.transport
        if other is not None:
            if exc is None:
                other.close()
            else:
                other.abort()
        self._of._closed()

    def pause_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.resume_reading()
