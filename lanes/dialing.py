"""Where connections of ours leave, in both lanes: straight to a host, or through the company's proxy."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

from lanes.express.dial import AddressRefused, dial
from lanes.express.tls import verifying
from lanes.passing import Passing
from outbound.upstream_proxy import LARGEST_HEAD, UpstreamProxy, UpstreamProxyFailed
from policies.addresses import written_address

log = logging.getLogger(__name__)

_END = b"\r\n\r\n"


class Dialer:
    """`await dialer(host, port)` is a connected, non-blocking socket.

    What goes through the proxy never goes past it, whatever fails. The proxy resolves names: there, `permitted` is
    asked of hosts written as addresses alone.

    Args:
        head_start: seconds of each of a host's addresses over the next.
        proxy: None: everything goes straight.
        authorities: of an https proxy's certificate.
    """

    def __init__(
        self, head_start: float, proxy: UpstreamProxy | None = None, authorities: ssl.SSLContext | None = None
    ) -> None:
        self._head_start = head_start
        self._proxy = proxy
        self._authorities = authorities or (verifying() if proxy is not None and proxy.is_tls else None)
        self._said: str | None = None
        self._carrying: set[Passing] = set()
        self.our_ends: set[tuple[str, int]] = set()
        """Our ends of connections that pass, or ask the proxy right now: one that comes from there to us is a loop."""

    def carries(self, host: str) -> bool:
        """Do connections to this host go through the proxy?"""
        return self._proxy is not None and self._proxy.carries(host)

    def close(self) -> None:
        """Ends what is carried over TLS."""
        for passing in list(self._carrying):
            passing.cut()

    async def __call__(
        self, host: str, port: int, permitted: Callable[[str], bool] | None = None, *, at: str | None = None
    ) -> socket.socket:
        """`at` is the address to connect to where the host goes straight; else it is looked up.

        Raises:
            AddressRefused: `permitted` says no.
            UpstreamProxyFailed: the proxy is away, refuses, or speaks something else.
            OSError: as `dial`.
        """
        proxy = self._proxy
        for one in filter(None, (host, at)):
            if permitted is not None and written_address(one) is not None and not permitted(one):
                raise AddressRefused(f"nobody may be sent to {one}")
        if proxy is None or not proxy.carries(host) or (at is not None and not proxy.carries(at)):
            return await dial(at or host, port, self._head_start, permitted)
        try:
            opened = await self._through(proxy, host, port)
        except UpstreamProxyFailed as failed:
            if str(failed) != self._said:  # it may be so for every connection
                self._said = str(failed)
                log.error("%s", failed)
            raise
        self._said = None
        return opened

    async def _through(self, proxy: UpstreamProxy, host: str, port: int) -> socket.socket:
        asking = proxy.connect_head(host, port)
        try:
            opened = await dial(proxy.host, proxy.port, self._head_start)
        except OSError as problem:
            raise proxy.away(problem) from problem
        here = opened.getsockname()[:2]
        self.our_ends.add(here)
        try:
            if proxy.is_tls:
                return await self._through_tls(proxy, opened, asking, (host, port))
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(opened, asking)
            proxy.check(await _head(loop, proxy, opened), host, port)
        except BaseException as problem:
            opened.close()
            if isinstance(problem, OSError) and not isinstance(problem, (UpstreamProxyFailed, TimeoutError)):
                raise proxy.away(problem) from problem
            raise
        else:
            return opened
        finally:
            self.our_ends.discard(here)

    async def _through_tls(
        self, proxy: UpstreamProxy, opened: socket.socket, asking: bytes, to: tuple[str, int]
    ) -> socket.socket:
        """What goes through has a TLS of its own inside: whoever dials gets one end of a pair of sockets, and between
        the other and the proxy bytes are carried."""
        loop = asyncio.get_running_loop()
        answer = _Answer(proxy)
        transport: Any
        transport, _ = await loop.create_connection(
            lambda: answer, sock=opened, ssl=self._authorities, server_hostname=proxy.host
        )
        try:
            transport.write(asking)
            proxy.check(await answer.head, *to)
            near, far = socket.socketpair()
        except BaseException:
            transport.abort()
            raise
        near.setblocking(False)
        passing = Passing(loop.time(), lambda _sent, _got: None)
        self._carrying.add(passing)
        passing.over.add_done_callback(lambda _: self._carrying.discard(passing))
        passing.host.transport = transport
        transport.set_protocol(passing.host)
        await loop.create_connection(lambda: passing.caller, sock=far)
        if rest := answer.rest:
            passing.host.data_received(rest)
        transport.resume_reading()
        return near


async def _head(loop: asyncio.AbstractEventLoop, proxy: UpstreamProxy, opened: socket.socket) -> bytes:
    """The head of an answer, and not a byte of what follows it, which is somebody else's."""
    head = b""
    while True:
        await _readable(loop, opened)
        with contextlib.suppress(BlockingIOError):
            ahead = opened.recv(LARGEST_HEAD, socket.MSG_PEEK)
            if not ahead:
                raise proxy.silent()
            end = (head[-3:] + ahead).find(_END)
            wanted = len(ahead) if end < 0 else end + len(_END) - len(head[-3:])
            head += opened.recv(wanted)
            if end >= 0:
                return head.removesuffix(_END)
            if len(head) > LARGEST_HEAD:
                raise proxy.talkative()
            if not b"HTTP/1.".startswith(head[:7]):
                return head  # it is none: no need to wait for the rest


async def _readable(loop: asyncio.AbstractEventLoop, opened: socket.socket) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(opened, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(opened)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class _Answer(asyncio.Protocol):
    """The head of an answer over TLS; then reading stops, and `rest` is what came behind it."""

    def __init__(self, proxy: UpstreamProxy) -> None:
        self._proxy = proxy
        self._data = b""
        self._transport: Any = None
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self.head.done():
            self.rest += data
            return
        head, end, rest = self._data.partition(_END)
        if not end and not b"HTTP/1.".startswith(head[:7]):
            end = b"none"
        if end:
            self._transport.pause_reading()
            self.rest = rest
            self.head.set_result(head)
        elif len(self._data) > LARGEST_HEAD:
            self.head.set_exception(self._proxy.talkative())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.head.done():
            self.head.set_exception(self._proxy.away(exc) if exc is not None else self._proxy.silent())
