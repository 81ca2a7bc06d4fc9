"""Sockets on one side, layers on the other: what carries bytes between them."""

import asyncio
import collections
import logging
import socket
import struct
import time
from collections.abc import Awaitable, Collection
from typing import Any, Final

from mitmproxy import connection
from mitmproxy.proxy import commands, events, mode_servers, server_hooks
from mitmproxy.proxy.server import ConnectionIO

from lanes.mitm.asking import Expel, Late, Recorded
from lanes.mitm.hardening.caller import CallerConnection
from lanes.mitm.hardening.top import CheckpointTop
from lanes.mitm.http2_connection import STREAMS
from lanes.mitm.keeper import Keeper
from lanes.mitm.switched import Carriage, Switched
from lanes.mitm.ways import Way

log = logging.getLogger(__name__)

NOT_ASKED_FOR: Final = "the gate did not ask for this connection"
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: close sends RST (socket(7))."""


class CheckpointHandler(mode_servers.ProxyConnectionHandler):
    """Carries bytes between sockets and layers, with back-pressure and deadlines."""

    def __init__(
        self, master: Any, reader: Any, writer: Any, options: Any, mode: Any, keeper: Keeper, way: Way
    ) -> None:
        super().__init__(master, reader, writer, options, mode)  # type: ignore[no-untyped-call]
        secured = writer.get_extra_info("ssl_object")
        alpn = secured.selected_alpn_protocol() if secured is not None else None
        self.client.alpn = alpn.encode() if alpn else None
        if alpn == "h2":  # mitmproxy opens 5 upstream connections at once, where a sixth would wait for ever
            self.max_conns = collections.defaultdict(lambda: asyncio.Semaphore(STREAMS))
        self._keeper = keeper
        self._writer: asyncio.StreamWriter = writer
        self._reading: asyncio.Task[Any] | None = None
        self._room, self._outlet = asyncio.Event(), asyncio.Event()
        self._unsent, self._stalled = 0, keeper.now()
        self._late: asyncio.Task[None] | None = None
        self._expelling: asyncio.Task[None] | None = None
        self._recordings: set[asyncio.Task[None]] = set()
        top = self._top = CheckpointTop(self.layer.context, keeper, way)
        self.layer = top
        top.take_over = self._take_over
        top.later = self._record_later
        self.caller = top.http.caller

    async def handle_connection(self, connection: connection.Connection) -> None:
        if connection is self.client:
            self._reading = asyncio.current_task()
            # Tasks start at once: what is here already may close the connection before mitmproxy notes whose it is.
            self.transports[connection].handler = self._reading
        await super().handle_connection(connection)

    async def open_connection(self, command: commands.OpenConnection) -> None:
        """Refused before the hook is asked: one that fails, too, opens nothing. MitmLane's takes the refusal away.

        As mitmproxy's, but for who dials: every address of a name in turn, or the company's proxy.
        """
        server = command.connection
        server.error = NOT_ASKED_FOR
        data = server_hooks.ServerConnectionHookData(client=self.client, server=server)
        await self.handle_hook(server_hooks.ServerConnectHook(data))
        if server.error or not server.address:
            await self._not_opened(command, data, f"Connection killed: {server.error or 'it has no address'}")
            return
        async with self.max_conns[server.address]:
            try:
                server.timestamp_start = time.time()
                reader, writer = await asyncio.open_connection(sock=await self._keeper.dial(*server.address[:2]))
            except (OSError, ValueError, asyncio.CancelledError) as failed:  # UnicodeError: a host's name
                server.error = str(failed) or "connection cancelled"
                await self._not_opened(command, data, server.error)
                if isinstance(failed, asyncio.CancelledError):
                    raise
                return
            server.timestamp_tcp_setup = time.time()
            server.state = connection.ConnectionState.OPEN
            server.peername = writer.get_extra_info("peername") or server.address
            server.sockname = writer.get_extra_info("sockname") or None
            self.transports[server] = ConnectionIO(handler=asyncio.current_task(), reader=reader, writer=writer)
            await self.handle_hook(server_hooks.ServerConnectedHook(data))
            await self.server_event(events.OpenConnectionCompleted(command, None))
            try:
                await self.handle_connection(server)
            finally:
                server.timestamp_end = time.time()
                await self.handle_hook(server_hooks.ServerDisconnectedHook(data))

    async def _not_opened(
        self, command: commands.OpenConnection, data: server_hooks.ServerConnectionHookData, why: str
    ) -> None:
        await self.handle_hook(server_hooks.ServerConnectErrorHook(data))
        await self.server_event(events.OpenConnectionCompleted(command, why))

    async def server_event(self, event: events.Event) -> None:
        if isinstance(event, events.ConnectionClosed):
            io = self.transports.get(event.connection)
            if io is not None and isinstance(io.reader, asyncio.StreamReader) and io.reader.exception() is not None:
                self._top.broken.add(event.connection)
        await super().server_event(event)
        self.make_room()

    def _record_later(self, stream_id: int, recording: Awaitable[str | None]) -> None:
        task = asyncio.get_running_loop().create_task(self._record(stream_id, recording), name="recording")
        self._recordings.add(task)
        task.add_done_callback(self._recordings.discard)

    async def _record(self, stream_id: int, recording: Awaitable[str | None]) -> None:
        try:
            code = await recording
        except Exception:
            log.exception("A part of a request could not be recorded.")
            code = "checkpoint_error"
        await self.server_event(Recorded(stream_id, code))

    def _take_over(self, switched: Switched) -> Carriage:
        assert isinstance(self.caller, CallerConnection)  # HTTP/2 knows no upgrade (RFC 9113 §8.2.2)
        provider = self._top.http.providers.pop(switched.server, None)
        rest = provider.hand_over() if provider is not None else b""
        carriage = Carriage(self, self._keeper, switched)
        carriage.begin(switched.raw, self.caller.hand_over(), rest)
        return carriage

    def part(self, server: connection.Server, *, broken: bool) -> None:
        """The end of a WebSocket. `broken`: the caller is to see no orderly end."""
        if server in self.transports and server.state is not connection.ConnectionState.CLOSED:
            self.close_connection(server)
        if self.client not in self.transports or self.client.state is connection.ConnectionState.CLOSED:
            return
        assert isinstance(self.caller, CallerConnection)
        half = not broken and self._writer.can_write_eof()
        self.caller.part()
        self.close_connection(self.client, half_close=half)

    def make_room(self) -> None:
        """Look who may be read."""
        held = self._top.carriage is not None and self._top.carriage.is_held
        for room, is_taken in ((self._room, self.caller.is_choked or held), (self._outlet, self.caller.is_swamped)):
            if is_taken:
                room.clear()
            else:
                room.set()

    async def drain_writers(self) -> None:
        """Awaited after every read: until there is room to write, and, for the caller, room for what it sends; for an
        upstream, until the caller takes what came before."""
        await super().drain_writers()  # type: ignore[no-untyped-call]
        await (self._room if asyncio.current_task() is self._reading else self._outlet).wait()

    def close_connection(self, connection: connection.Connection, half_close: bool = False) -> None:
        if half_close and not self._writer.can_write_eof():
            return  # TLS: the caller has its answer, and `Connection: close` in it
        if connection is self.client and self.caller.must_reset:
            if self._writer.get_extra_info("ssl_object") is not None:
                self._writer.transport.abort()  # no close_notify: a truncation (RFC 8446 §6.1)
            else:
                self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        super().close_connection(connection, half_close)

    def expel(self, flows: Collection[str]) -> None:
        """Cut what is under way of these: their caller may not go on."""
        if self._top.http.of_flows(flows) and (self._expelling is None or self._expelling.done()):
            self._expelling = asyncio.get_running_loop().create_task(self.server_event(Expel(flows)))

    def sweep(self, now: float) -> None:
        """Deadlines; called by the lane every `sweep_seconds`. `now` is monotonic."""
        limits = self._keeper.limits
        waiting = self._writer.transport.get_write_buffer_size()
        if waiting == 0 or waiting != self._unsent:
            self._unsent, self._stalled = waiting, now
        quiet = time.time() - self.timeout_watchdog.last_activity
        if now - self._stalled > limits.send_seconds or self.caller.has_lingered(now):
            self._writer.transport.abort()
        elif self._keeper.draining and self.caller.is_idle:
            self._writer.close()
        elif self.caller.is_late(now, quiet) and (self._late is None or self._late.done()):
            self._late = asyncio.get_running_loop().create_task(self.server_event(Late(self.client)))
        self._sweep_dials(time.time() - limits.connect_seconds)

    def _sweep_dials(self, since: float) -> None:
        """Name, TCP and TLS of an upstream together have `connect_seconds`; a cancelled dial is told as failed."""
        for conn, io in list(self.transports.items()):
            if isinstance(conn, connection.Server) and io.handler is not None and conn.timestamp_start is not None:
                ready = conn.timestamp_tls_setup if conn.tls else conn.timestamp_tcp_setup
                if ready is None and conn.timestamp_start < since and not io.handler.cancelling():
                    io.handler.cancel("connect timed out")
