"""The first bytes of a connection: a head, a ClientHello, or one after the other, bounded and timed.

Until they are whole a connection costs one small object: no task, no layer, no thread. So many can say nothing.
"""

import asyncio
import ssl
from abc import ABC, abstractmethod
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Final

from lanes.express.head import HeadProblem, RequestHead, parse_request
from lanes.express.limits import Limits
from lanes.mitm.hello import LARGEST, Hello, NotTls, read_hello, worth_reading_at

_SHUTDOWN: Final = 5.0  # seconds for a caller to say goodbye in TLS


class Gone(Exception):  # noqa: N818 - it is what happened
    """The caller left, or said nothing for too long."""


class Knock(asyncio.Protocol, ABC):
    """Holds what came, until it is known who takes the connection over. What is waited for, subclasses say.

    `arrived` is called once when the connection is there; `left` when it is gone, unless somebody took it over.
    """

    def __init__(
        self,
        limits: Limits,
        now: float,
        *,
        arrived: Callable[["Knock"], None],
        left: Callable[["Knock"], None],
    ) -> None:
        self._limits = limits
        self._arrived, self._left = arrived, left
        self.since = now
        self.transport: asyncio.Transport
        self.data = bytearray()
        self.is_ready = False  # the first of what is waited for is here, and was told
        self.is_gone = False
        self.is_paused = False  # more is here than is looked at
        self._woken: asyncio.Future[None] | None = None

    # -- asyncio's ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "pause_reading")
        self.transport = transport  # type: ignore[assignment] # uvloop's are of no class of asyncio's
        self._arrived(self)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.is_ready:
            if len(self.data) > LARGEST:
                self.is_paused = True
                self.transport.pause_reading()
            self._wake()
        else:
            self._look()

    def eof_received(self) -> bool:
        self.is_gone = True
        self._wake()
        return False  # closed: whoever half-closes so early is gone

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self.is_gone = True
        self._left(self)
        self._wake()

    # -- the first of it ----------------------------------------------------------------------------------------------

    @abstractmethod
    def _look(self) -> None:
        """Is it here?"""

    def _is_late(self) -> None:
        """Some of it is here, and the rest did not come in time."""
        self.transport.abort()

    def sweep(self, now: float) -> None:
        """Closes a connection whose first bytes did not come in time."""
        if self.is_ready or self.is_gone:
            return
        if self.data and now - self.since > self._limits.head_seconds:
            self._is_late()
        elif now - self.since > min(self._limits.head_seconds, self._limits.keep_alive_seconds):
            self.transport.abort()

    # -- the ClientHello ----------------------------------------------------------------------------------------------

    async def hello(self, seconds: float) -> Hello:
        """What the caller says of TLS, which stays in `data`.

        Raises:
            NotTls: something else came, or more than may.
            Gone: it left, or did not say it within `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                wanted = 1  # what is no TLS is said at its first byte
                while True:
                    if len(self.data) >= wanted:
                        if (found := read_hello(bytes(self.data))) is not None:
                            return found
                        wanted = worth_reading_at(self.data)
                    await self.more()
        except TimeoutError:
            raise Gone("it began no TLS in time") from None

    async def more(self) -> None:
        if self.is_gone:
            raise Gone("it left")
        self._woken = asyncio.get_running_loop().create_future()
        await self._woken

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    # -- handing over -------------------------------------------------------------------------------------------------

    def take(self) -> bytes:
        """What came and nobody has read yet; from here on it is somebody else's."""
        data = bytes(self.data)
        self.data.clear()
        return data

    def hand_over(self, to: asyncio.Protocol) -> None:
        """The connection is `to`'s from here on, and what came of it already.

        Raises:
            Gone: there is no connection any more.
        """
        if self.is_gone:
            raise Gone("it left")
        self.transport.set_protocol(to)
        to.connection_made(self.transport)
        if data := self.take():
            to.data_received(data)
        self.transport.resume_reading()

    async def secure(self, context: ssl.SSLContext, to: asyncio.Protocol, seconds: float) -> None:
        """End the caller's TLS here; what is inside is `to`'s. `to.connection_made` gets the transport within.

        The ClientHello was read by us, which `loop.start_tls` has no way to take: so its protocol is made by hand.

        Raises:
            ssl.SSLError, OSError: the handshake failed; `ssl.SSLError.reason` has the caller's alert, if it sent one.
            Gone: there is no connection any more.
        """
        if self.is_gone:
            raise Gone("it left")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        tls = SSLProtocol(
            loop,
            to,
            context,
            waiter,
            server_side=True,
            ssl_handshake_timeout=seconds,  # type: ignore[arg-type] # seconds as a float, says its documentation
            ssl_shutdown_timeout=_SHUTDOWN,
        )
        self.transport.set_protocol(tls)
        tls.connection_made(self.transport)
        data = self.take()
        while data:
            room = memoryview(tls.get_buffer(len(data)))
            count = min(len(room), len(data))
            room[:count] = data[:count]
            tls.buffer_updated(count)
            data = data[count:]
        self.transport.resume_reading()
        await waiter


class HeadKnock(Knock):
    """Waits for the head of a request. `ready` is told it, or the code of what is wrong with it."""

    def __init__(
        self,
        limits: Limits,
        now: float,
        *,
        arrived: Callable[[Knock], None],
        ready: Callable[["HeadKnock", RequestHead | str], None],
        left: Callable[[Knock], None],
    ) -> None:
        super().__init__(limits, now, arrived=arrived, left=left)
        self._ready = ready
        self.head_end = 0  # where in `data` what follows the head begins
        self._looked = self._lines = self._breaks = 0  # bytes looked at, their line feeds, their line breaks

    def _look(self) -> None:
        limits, data = self._limits, self.data
        while data.startswith((b"\r", b"\n")):
            del data[:1]  # empty lines before a request (RFC 9112 §2.2)
        if not data:
            return
        # What comes a byte at a time is looked at once, not again with each.
        end = data.find(b"\r\n\r\n", max(self._looked - 3, 0), limits.head_bytes + 4)
        if end < 0:
            self._lines += data.count(b"\n", self._looked)
            self._breaks += data.count(b"\r\n", max(self._looked - 1, 0))
            self._looked = len(data)
            if len(data) > limits.head_bytes or self._lines > limits.head_fields:
                self._tell("headers_too_large")
            elif self._lines != self._breaks or not 0x20 < data[0] < 0x7F:
                self._tell("bad_request")
            return
        try:
            head = parse_request(bytes(data[:end]), limits.head_fields)
        except HeadProblem as problem:
            self._tell(problem.code)
            return
        self.head_end = end + 4
        self._tell(head)

    def _is_late(self) -> None:
        self._tell("header_timeout")

    def _tell(self, found: RequestHead | str) -> None:
        self.is_ready = True
        self._ready(self, found)


class HelloKnock(Knock):
    """Waits for a ClientHello. `ready` is told it; None: something else came."""

    def __init__(
        self,
        limits: Limits,
        now: float,
        *,
        arrived: Callable[[Knock], None],
        ready: Callable[["HelloKnock", Hello | None], None],
        left: Callable[[Knock], None],
    ) -> None:
        super().__init__(limits, now, arrived=arrived, left=left)
        self._ready = ready
        self._wanted = 1  # bytes, before it is worth looking again

    def _look(self) -> None:
        if len(self.data) < self._wanted:
            return
        try:
            found = read_hello(bytes(self.data))
        except NotTls:
            found = None
        else:
            if found is None:
                self._wanted = worth_reading_at(self.data)
                return
        self.is_ready = True
        self._ready(self, found)
