"""A stream of mitmproxy's user-space network stack (WireGuard), as a transport of asyncio's: so what is read from it is
read by the same protocols as from any socket."""

import asyncio
from typing import Any, Final

import mitmproxy_rs

_READ: Final = 64 << 10
_UNSENT: Final = 64 << 10
"""Bytes written and not taken yet, from which on the protocol is told to pause."""


class StreamTransport(asyncio.Transport):
    """`start` tells the protocol that the connection is there.

    What is written in one turn of the loop goes out together: that stack holds back a second small segment until the
    first is acknowledged (RFC 896), for which most systems take 40 ms, and a head and its body are two writes.
    """

    def __init__(self, stream: mitmproxy_rs.Stream, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._stream = stream
        self._protocol: Any = protocol
        self._loop = asyncio.get_running_loop()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._gathered = bytearray()  # written in this turn of the loop
        self._unsent = 0
        self._is_paused = self._is_lost = self._has_ended = False
        self._closing = False
        self._reading: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._protocol.connection_made(self)
        self._reading = self._loop.create_task(self._read(), name="stream")

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        failed: Exception | None = None
        try:
            while not self._closing:
                await self._may_read.wait()
                data = await self._stream.read(_READ)
                await self._may_read.wait()
                if self._closing:
                    break
                if not data:
                    if not self._protocol.eof_received():
                        break
                    return  # half-closed: what is still to be said goes out
                self._give(data)
        except OSError as problem:
            failed = problem
        if failed is not None or self._is_drained:
            self._lose(failed)
        else:
            self.close()  # what is written goes out first

    def _give(self, data: bytes) -> None:
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(data)
            return
        while data:
            room = memoryview(self._protocol.get_buffer(len(data)))
            count = min(len(room), len(data))
            room[:count] = data[:count]
            self._protocol.buffer_updated(count)
            data = data[count:]

    def pause_reading(self) -> None:
        self._may_read.clear()

    def resume_reading(self) -> None:
        self._may_read.set()

    def is_reading(self) -> bool:
        return self._may_read.is_set() and not self._closing

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_lost or self._has_ended or not data:
            return
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered += data
        self._unsent += len(data)
        if self._unsent > _UNSENT and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def _flush(self) -> None:
        data, self._gathered = bytes(self._gathered), bytearray()
        if self._is_lost or not data:
            return
        try:
            self._stream.write(data)
        except OSError as problem:
            self._lose(problem)
            return
        if self._draining is None:
            self._draining = self._loop.create_task(self._drain(), name="stream drain")

    async def _drain(self) -> None:
        try:
            while (sent := self._unsent - len(self._gathered)) and not self._is_lost:
                await self._stream.drain()
                self._unsent -= sent
                if self._is_paused and not self._unsent and not self._is_lost:
                    self._is_paused = False
                    self._protocol.resume_writing()  # which may write again, and so more is to be drained
        except OSError as problem:
            self._lose(problem)
        finally:
            self._draining = None
            if self._closing and self._is_drained:
                self._lose(None)

    @property
    def _is_drained(self) -> bool:
        return self._draining is None and not self._gathered

    def get_write_buffer_size(self) -> int:
        return self._unsent

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is one limit."""

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not (self._has_ended or self._is_lost):
            self._flush()
            self._has_ended = True
            self._stream.write_eof()  # type: ignore[no-untyped-call]

    # -- the end ------------------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._may_read.set()
        if self._is_drained:
            self._lose(None)

    def abort(self) -> None:
        self._closing = True
        self._lose(None)

    def _lose(self, problem: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = self._closing = True
        self._may_read.set()
        if not self._stream.is_closing():
            self._stream.close()  # type: ignore[no-untyped-call]
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
        self._loop.call_soon(self._protocol.connection_lost, problem)

    # -- small things -------------------------------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol  # type: ignore[no-any-return]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return caller_of(self._stream)
        return self._stream.get_extra_info("sockname") if name == "sockname" else default


def caller_of(stream: mitmproxy_rs.Stream) -> tuple[str, int]:
    """Where its packets come from: of a tunnel, outside of it, for the address inside is the peer's own choice."""
    try:
        return stream.get_extra_info("original_src")
    except KeyError:
        return stream.get_extra_info("peername")
