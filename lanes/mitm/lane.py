"""The mitm lane as an addon: the second line behind the gate, and the clock of its connections."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from mitmproxy import ctx, exceptions, http, tcp, udp
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from lanes.express.writing import whole_message
from lanes.mitm.hardening import NOT_ASKED_FOR, CheckpointHandler
from lanes.mitm.keeper import Keeper
from lanes.mitm.knock import Knock
from lanes.mitm.options import FIXED
from lanes.passing import Passing

log = logging.getLogger(__name__)

type Granted = tuple[bytes, str, int]
"""Scheme, host and port that the gate set on a request it let pass."""


class MitmLane:
    """Must be the last of the addons: it sees what the others made of each request.

    Whatever way a request may have found past the gate (a tunnel, a stream, raw bytes), it finds no connection here:
    an upstream is dialled only for a request whose door was shut by the gate and opened by it, and only where the
    gate sent it.
    """

    name = "mitm_lane"

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._shut: set[str] = set()  # flows that came with their door shut
        self._granted: dict[str, dict[str, Granted]] = {}  # by connection and flow: HTTP/2 has several at once
        self._handlers: set[CheckpointHandler] = set()
        self._passing: set[Passing] = set()
        self.knocks: set[Knock] = set()
        self._ticker: asyncio.TimerHandle | None = None

    # -- the second line --------------------------------------------------------------------------------------------

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self._forget(flow)
        if flow.response is None:
            log.error("No gate has shut the door on a request: refused.")
            self.keeper.refuse(flow, "checkpoint_error")
        self._shut.add(flow.id)

    def request(self, flow: http.HTTPFlow) -> None:
        if flow.response is not None:
            return
        if flow.id not in self._shut:
            log.error("A request was let pass that nobody saw shut: refused.")
            self.keeper.refuse(flow, "checkpoint_error")
            return
        data = flow.request.data
        self._granted.setdefault(flow.client_conn.id, {})[flow.id] = (data.scheme, data.host, data.port)

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """The connection comes here refused (CheckpointHandler); this opens it, or leaves it so."""
        server, granted = data.server, self._granted.get(data.client.id, {})
        server.error = NOT_ASKED_FOR
        asked = (b"https" if server.tls else b"http", *(server.address or ())[:2])
        if asked not in granted.values() or server.via is not None or server.transport_protocol != "tcp":
            log.error("Stopped a connection that the gate did not ask for, to %s.", server.address)
            return
        if server.tls:
            server.sni = asked[1]  # never the caller's
        server.error = None

    def response(self, flow: http.HTTPFlow) -> None:
        self._forget(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self._forget(flow)

    def _forget(self, flow: http.HTTPFlow) -> None:
        if (granted := self._granted.get(flow.client_conn.id)) is not None:
            granted.pop(flow.id, None)
        self._shut.discard(flow.id)

    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        flow.kill()

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        flow.messages[-1].content = b""  # a killed flow still carries on what is left in it

    def udp_start(self, flow: udp.UDPFlow) -> None:
        flow.kill()

    def udp_message(self, flow: udp.UDPFlow) -> None:
        flow.messages[-1].content = b""

    def configure(self, updated: set[str]) -> None:
        """mitmproxy's hook. Raises OptionsError, which takes the change back, for an option that opens a way past."""
        for name in sorted(updated & FIXED.keys()):
            if (value := getattr(ctx.options, name)) != FIXED[name]:
                raise exceptions.OptionsError(
                    f"Sekisho keeps {name} at {FIXED[name]!r}; {value!r} would open a way past it."
                )

    # -- connections ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def admitted(self, handler: CheckpointHandler) -> Iterator[None]:
        """As long as this connection is served."""
        self._handlers.add(handler)
        try:
            yield
        finally:
            self._handlers.discard(handler)
            self._granted.pop(handler.client.id, None)

    @contextlib.contextmanager
    def letting_pass(self, passing: Passing) -> Iterator[None]:
        """As long as this one carries on."""
        self._passing.add(passing)
        try:
            yield
        finally:
            self._passing.discard(passing)

    @property
    def is_full(self) -> bool:
        open_now = len(self._handlers) + len(self._passing) + len(self.knocks)
        return open_now >= self.keeper.limits.connections

    async def turn_away(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, response: http.Response
    ) -> None:
        """Answer, then read on for a while and drop it: closing at once could take the answer back (RFC 9112 §9.6)."""
        left = self.keeper.limits.linger_bytes
        with contextlib.suppress(OSError, TimeoutError):  # it left, or stayed too long: closed either way
            async with asyncio.timeout(self.keeper.limits.linger_seconds):
                writer.write(whole_message(response, b"", close=True))
                if writer.can_write_eof():
                    writer.write_eof()
                while left > 0 and (data := await reader.read(65536)):
                    left -= len(data)
        writer.close()

    def watch(self) -> None:
        """Start to look after deadlines."""
        if self._ticker is None:
            self._tick()

    def _tick(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(self.keeper.limits.sweep_seconds, self._tick)
        now = self.keeper.now()
        expelled = self.keeper.expelled()
        for handler in list(self._handlers):
            handler.sweep(now)
            if expelled:
                handler.expel(expelled)
        for passing in list(self._passing):
            passing.sweep(now, self.keeper.limits.reply_seconds)
        for knock in list(self.knocks):
            knock.sweep(now)

    def done(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        for passing in list(self._passing):
            passing.cut()


def mitm_lane(keeper: Keeper) -> MitmLane:
    """The master's MitmLane: added, behind all other addons, with its first listener."""
    lane: MitmLane | None = ctx.master.addons.get(MitmLane.name)
    if lane is None:
        lane = MitmLane(keeper)
        ctx.master.addons.add(lane)
    return lane
