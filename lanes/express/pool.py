"""Warm upstream connections, shared by all callers; the one used last is used next."""

import asyncio
import contextlib
import logging
import ssl
from typing import TYPE_CHECKING

from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from lanes import pinned
from lanes.express.dial import dial_local
from lanes.express.hooks import fire
from lanes.express.tls import ResumingContext, UnreadableCertificate, describe
from lanes.express.upstream import Destination, Upstream
from outbound.upstream_proxy import UpstreamProxyFailed
from settings.fronts import LOCAL

if TYPE_CHECKING:
    from lanes.express.lane import Lane
    from lanes.express.passage import Passage

log = logging.getLogger(__name__)


class Pool:
    def __init__(self, lane: "Lane") -> None:
        self._lane = lane
        self._idle: dict[Destination, list[Upstream]] = {}
        self._closed = False

    def take(self, destination: Destination) -> Upstream | None:
        idle = self._idle.get(destination)
        while idle:
            upstream = idle.pop()
            if upstream.is_usable():
                return upstream
            upstream.close()
        return None

    def put(self, upstream: Upstream) -> None:
        idle = self._idle.setdefault(upstream.destination, [])
        limits = self._lane.limits
        now = upstream.rested = self._lane.now()
        if self._closed or len(idle) >= limits.idle_connections or now - upstream.born > limits.age_seconds:
            upstream.close()
        else:
            idle.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        idle = self._idle.get(upstream.destination)
        if idle and upstream in idle:
            idle.remove(upstream)

    def sweep(self, now: float) -> None:
        limits = self._lane.limits
        for destination, idle in list(self._idle.items()):
            for upstream in idle:
                if now - upstream.rested > limits.idle_seconds or now - upstream.born > limits.age_seconds:
                    upstream.close()
            self._idle[destination] = [
                u for u in idle if now - u.rested <= limits.idle_seconds and now - u.born <= limits.age_seconds
            ]
            if not self._idle[destination]:
                del self._idle[destination]

    def close(self) -> None:
        self._closed = True
        for idle in self._idle.values():
            for upstream in idle:
                upstream.close()
        self._idle.clear()

    async def connect(self, passage: "Passage", destination: Destination) -> None:
        """A new connection for this passage: it is told `connected`, or fails with what went wrong."""
        lane = self._lane
        scheme, host, port = destination
        server = pinned.server((host, port))
        server.tls = scheme == b"https"
        data = ServerConnectionHookData(server, passage.caller.conn)
        if not await lane.ran(fire(lane.hooks.server_connect, data, halt=True)):
            passage.refuse("checkpoint_error")
            return
        if server.error is not None or server.via is not None:
            why = server.error or "the proxy is named in the settings, as upstream_proxy"
            await self._failed(passage, data, f"Upstream unreachable: {why}", "upstream_unreachable")
            return
        assert server.address is not None
        destination = (scheme, *server.address[:2])
        try:
            async with asyncio.timeout(lane.limits.connect_seconds):
                upstream = await self._open(destination, server, passage)
        except UpstreamProxyFailed as failed:
            await self._failed(passage, data, f"Upstream unreachable: {failed}", "upstream_proxy_failed")
        except TimeoutError:
            await self._failed(passage, data, "Upstream timed out: no connection", "upstream_timeout")
        except (
            OSError,
            ValueError,
        ) as problem:  # ssl.SSLError is an OSError; UnicodeError (a host's name) a ValueError
            await self._failed(passage, data, f"Upstream unreachable: {problem}", "upstream_unreachable")
        else:
            await lane.ran(fire(lane.hooks.server_connected, data))
            passage.connected(upstream)

    async def _open(self, destination: Destination, server: Server, passage: "Passage") -> Upstream:
        lane = self._lane
        loop = asyncio.get_running_loop()
        scheme, host, port = destination
        context: ssl.SSLContext | None = lane.upstream_tls(host, port) if scheme == b"https" else None
        server.timestamp_start = lane.wall()
        local = scheme == LOCAL
        opened = await (dial_local(host) if local else lane.dial(host, port))

        def made() -> Upstream:
            return Upstream(lane, destination, server, passage.caller.conn)

        try:
            server.timestamp_tcp_setup = lane.wall()
            if local:
                transport, upstream = await loop.create_unix_connection(made, sock=opened)
            else:
                server.peername, server.sockname = opened.getpeername()[:2], opened.getsockname()[:2]
                name = (server.sni or host).rstrip(".") if context is not None else None
                transport, upstream = await loop.create_connection(made, sock=opened, ssl=context, server_hostname=name)
        except BaseException:
            opened.close()
            raise
        if context is not None:
            server.timestamp_tls_setup = lane.wall()
            secured = transport.get_extra_info("ssl_object")
            with contextlib.suppress(UnreadableCertificate):  # OpenSSL has verified it; addons are told less
                describe(server, secured)
            if isinstance(context, ResumingContext):
                upstream.remember = (context, name or host, secured)
        server.state = ConnectionState.OPEN
        return upstream

    async def _failed(self, passage: "Passage", data: ServerConnectionHookData, why: str, code: str) -> None:
        data.server.error = why
        await self._lane.ran(fire(self._lane.hooks.server_connect_error, data))
        passage.fail(why, code)
