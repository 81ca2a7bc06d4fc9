"""The lane itself: what its connections share, and its end."""

import asyncio
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Any

from mitmproxy import http
from mitmproxy.addonmanager import Loader
from mitmproxy.master import Master

from lanes import pinned
from lanes.dialing import Dialer
from lanes.express.caller import Caller
from lanes.express.door import Door, answer_for
from lanes.express.hooks import Hook, Hooks, Ran, fire
from lanes.express.limits import Limits
from lanes.express.passage import Passage
from lanes.express.pool import Pool
from lanes.express.probing import probe
from lanes.express.request_body import Held
from lanes.express.tls import verifying
from lanes.express.upstream import Upstream
from lanes.upload import Upload
from lanes.websocket.relay import Relay
from lanes.websocket.session import Session
from outbound.upstream_proxy import UpstreamProxy

if TYPE_CHECKING:
    from lanes.express.mode import ExpressMode

log = logging.getLogger(__name__)

type ContextFor = Callable[[str, int], ssl.SSLContext]
type ListenerContextFor = Callable[[str, int], ssl.SSLContext | None]


class Lane:
    """Add one to the master, before its `mode` option names an `express:` listener.

    `upstream_tls(host, port)` gives the context for an https upstream; the default verifies against the system's CAs
    and takes up sessions again. A request is read whole before it goes on (`flow.request.stream` is not honoured): what
    decides on it must have seen it. `listener_tls(host, port)` gives a listener's context, None for plain HTTP.
    `upstream_proxy`: what is no exemption of its goes through it; `upstream_proxy_tls` verifies an https one.
    """

    name = "express_lane"

    def __init__(
        self,
        door: Door,
        limits: Limits | None = None,
        *,
        upstream_tls: ContextFor | None = None,
        listener_tls: ListenerContextFor | None = None,
        upstream_proxy: UpstreamProxy | None = None,
        upstream_proxy_tls: ssl.SSLContext | None = None,
    ) -> None:
        pinned.install()
        self.limits = limits or Limits()
        self.dial = Dialer(self.limits.happy_eyeballs_seconds, upstream_proxy, upstream_proxy_tls)
        self.bodies = Held()
        self.hooks = Hooks()
        self.pool = Pool(self)
        self.callers: set[Caller] = set()
        self.upstreams: set[Upstream] = set()
        self.relays: set[Relay] = set()
        """WebSockets, of both lanes."""
        self.draining = False
        self.now = time.monotonic
        self.wall = time.time
        self._door = door
        self._upstream_tls = upstream_tls
        self._listener_tls = listener_tls
        self._verifying: ssl.SSLContext | None = None
        self._servers: list[asyncio.Server] = []
        self._addresses: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._master: Master | None = None

    def load(self, loader: Loader) -> None:
        """mitmproxy's hook."""
        self._master = loader.master

    # -- beginning and end -------------------------------------------------------------------------------------------

    async def listen(self, host: str, port: int, mode: "ExpressMode") -> asyncio.Server:
        """Raises OSError when the address cannot be had. An empty host means all addresses."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Caller(self, mode),
            host or None,
            port,
            reuse_port=True,
            backlog=4096,
            ssl=self.listener_tls(host, port),
        )
        for opened in server.sockets:
            probe(opened)
        self._servers.append(server)
        if self._ticker is None:
            self._tick()
        return server

    async def drain(self, seconds: float) -> None:
        """Stop accepting, let go whoever waits for nothing, give the others `seconds`, then cut them off."""
        self.draining = True
        self._emptied = asyncio.Event()
        for server in self._servers:
            server.close()
        for caller in list(self.callers):
            caller.close_idle()
        for relay in list(self.relays):
            relay.drain()
        if self.callers or self.relays:
            try:
                async with asyncio.timeout(seconds):
                    await self._emptied.wait()
            except TimeoutError:
                log.info("Cutting %d connections that did not end in time.", len(self.callers))
        for relay in list(self.relays):
            relay.shut_down()
        for caller in list(self.callers):
            caller.cut("Proxy shutting down")
        self.pool.close()
        for upstream in list(self.upstreams):
            upstream.close()
        self.dial.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    def _tick(self) -> None:
        interval = self.limits.sweep_seconds
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(interval, self._tick)
        now = self.now()
        self.resolve()
        expelled = self.expelled()
        for caller in list(self.callers):
            caller.sweep(now)
            if expelled:
                caller.expel(expelled)
        for upstream in list(self.upstreams):
            if upstream.is_due():
                upstream.quiet += interval
                if upstream.quiet > self.limits.reply_seconds and upstream.passage is not None:
                    upstream.passage.fail("Upstream timed out: no byte for too long", "upstream_timeout")
        for relay in list(self.relays):
            relay.sweep(now)
        self.pool.sweep(now)

    def resolve(self) -> None:
        """Look which addons there are now; the lane does so itself with every sweep."""
        if self._master is not None:
            self.hooks.resolve(self._master.addons.chain)

    # -- for the lane's own connections ------------------------------------------------------------------------------

    def admit(self, caller: Caller) -> bool:
        """Counts a new connection; False when there are too many."""
        address = caller.conn.peername[0]
        most = self.limits.connections_per_address
        fits = len(self.callers) < self.limits.connections and (most is None or self._addresses[address] < most)
        self.callers.add(caller)
        self._addresses[address] += 1
        return fits

    def left(self, caller: Caller) -> None:
        self.callers.discard(caller)
        address = caller.conn.peername[0]
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]
        self._see_whether_empty()

    def carry(self, relay: Relay) -> None:
        """A WebSocket has begun: its time is looked after, and its end when we end."""
        self.relays.add(relay)
        if self._ticker is None:
            self._tick()  # there is no listener of ours, and the mitm lane's sweeps its own connections alone
        if self.draining:
            relay.drain()

    def let_go(self, relay: Relay) -> None:
        """It is over."""
        self.relays.discard(relay)
        self._see_whether_empty()

    def _see_whether_empty(self) -> None:
        if self._emptied is not None and not self.callers and not self.relays:
            self._emptied.set()

    def listener_tls(self, host: str, port: int) -> ssl.SSLContext | None:
        """The context of this listener; None for plain HTTP."""
        return self._listener_tls(host, port) if self._listener_tls is not None else None

    def upstream_tls(self, host: str, port: int) -> ssl.SSLContext:
        if self._upstream_tls is not None:
            return self._upstream_tls(host, port)
        if self._verifying is None:
            self._verifying = verifying()
        return self._verifying

    def is_settled(self, flow: http.HTTPFlow) -> bool:
        """A door that fails is shut: its `flow.response` stands, and the body is not read."""
        try:
            settled = self._door.settled(flow)
        except Exception:
            log.exception("The door failed.")
            self.refuse(flow, "checkpoint_error")
            return True
        return settled and flow.response is not None

    def refuse(self, flow: http.HTTPFlow, code: str) -> None:
        before = flow.response
        try:
            self._door.refuse(flow, code)
        except Exception:
            log.exception("The door failed to refuse with %s.", code)
        if flow.response is None or flow.response is before:
            flow.response = answer_for(code)

    def again(self, flow: http.HTTPFlow) -> bool:
        """Is a request that was answered 401 to be sent once more? A door that fails says no."""
        try:
            return self._door.again(flow)
        except Exception:
            log.exception("The door failed; the answer goes on as it is.")
            return False

    def session(self, flow: http.HTTPFlow) -> Session | None:
        """What judges the messages of this flow, if it may become a WebSocket. A door that fails says no."""
        try:
            return self._door.session(flow)
        except Exception:
            log.exception("The door failed; this becomes no WebSocket.")
            return None

    def upload(self, flow: http.HTTPFlow) -> Upload | None:
        """What records the body of this flow as it goes on. A door that fails has nothing that does."""
        try:
            return self._door.upload(flow)
        except Exception:
            log.exception("The door failed; the body of this request goes nowhere.")
            return None

    def expelled(self) -> Collection[str]:
        """The ids of flows whose callers may not go on."""
        try:
            return self._door.expelled()
        except Exception:
            log.exception("The door failed to say whose streams are to end.")
            return ()

    def refusal(self, code: str) -> http.Response:
        try:
            return self._door.refusal(code)
        except Exception:
            log.exception("The door has no answer for %s.", code)
            return answer_for(code)

    def tell(self, functions: tuple[Hook, ...], subject: object) -> None:
        """A hook whose end nobody waits for."""
        ran = fire(functions, subject)
        if not isinstance(ran, bool):
            self.start(self._told(ran))

    async def _told(self, ran: Ran) -> None:
        await self.ran(ran)

    async def ran(self, ran: Ran) -> bool:
        return ran if isinstance(ran, bool) else await ran

    def start(self, work: Coroutine[Any, Any, None], passage: Passage | None = None) -> None:
        """Run it now, as far as it goes without waiting; a fault in it ends `passage`."""
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        if task.done():
            self._done(task, passage)
        else:
            self._tasks.add(task)
            task.add_done_callback(lambda t: self._done(t, passage))

    def _done(self, task: asyncio.Task[None], passage: Passage | None) -> None:
        self._tasks.discard(task)
        problem = asyncio.CancelledError() if task.cancelled() else task.exception()
        if problem is not None:
            if passage is not None:
                passage.crashed(problem)
            else:
                log.error("The express lane failed.", exc_info=problem)
