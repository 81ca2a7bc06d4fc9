"""What becomes of a connection once its first bytes are known: turned away, opened, or let pass. For every mode in
which callers connect to somebody else."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mitmproxy import connection, ctx, http
from mitmproxy.proxy import mode_servers, mode_specs

from certificates.authority import UnusableAuthority
from certificates.folder import AuthorityFolder
from lanes.express.lane import Lane
from lanes.express.tls import UnreadableCertificate, describe
from lanes.express.writing import whole_message
from lanes.mitm import hardening
from lanes.mitm.hardening import CheckpointHandler
from lanes.mitm.hello import UNRECOGNIZED_NAME
from lanes.mitm.knock import Gone, Knock
from lanes.mitm.lane import MitmLane, mitm_lane
from lanes.mitm.leaves import Leaves
from lanes.mitm.tunnels import NAME, Tunnel, Tunnels
from lanes.mitm.ways import Way
from lanes.passing import Passing

log = logging.getLogger(__name__)

BACKLOG = 4096
_LOOK_S = 5.0  # seconds between looks at the file of the CA


class Roads:
    """Those of one listener.

    Raises:
        RuntimeError: the master has no Lane, or nobody named `tunnels` who judges.
        UnusableAuthority: there is no CA to sign with, or it cannot be used.
    """

    def __init__(self, mode: mode_specs.ProxyMode, manager: mode_servers.ServerManager) -> None:
        keeper: Lane | None = ctx.master.addons.get(Lane.name)
        tunnels: Tunnels | None = ctx.master.addons.get(NAME)
        if keeper is None or tunnels is None:
            raise RuntimeError("add a Lane and tunnels to the master before a listener of this mode")
        hardening.install()
        self.keeper, self.tunnels = keeper, tunnels
        self.lane: MitmLane = mitm_lane(keeper)
        self._mode, self._manager = mode, manager
        folder = AuthorityFolder(Path(ctx.options.confdir).parent)
        authority = folder.current()
        if authority is None:
            raise UnusableAuthority(f"There is no CA in {ctx.options.confdir}. Make one: sekisho ca init")
        self._leaves = Leaves(authority)
        self._tasks: set[asyncio.Task[None]] = set()
        self._following = asyncio.get_running_loop().create_task(self._follow(folder), name="authority")

    async def _follow(self, folder: AuthorityFolder) -> None:
        """After `sekisho ca rotate --switch` the next authority signs. One that cannot be used changes nothing."""
        said = None
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                found = await asyncio.to_thread(folder.current)
            except UnusableAuthority as unusable:
                if str(unusable) != said:
                    log.error("%s Until then the former one signs on.", said := str(unusable))
                continue
            said = None
            if found is not None and self._leaves.sign_with(found):
                log.info("Another CA signs from now on: %s.", found.root.subject.rfc4514_string())

    # -- the first bytes ----------------------------------------------------------------------------------------------

    def arrived(self, knock: Knock) -> None:
        """A connection is there; with too many it is told so, in HTTP, and closed."""
        if self.lane.is_full:
            knock.transport.write(whole_message(self.keeper.refusal("overloaded"), b"", close=True))
            knock.transport.close()
        else:
            self.lane.knocks.add(knock)

    def serve(self, knock: Knock, work: Callable[[], Awaitable[None]]) -> None:
        """Do this for it, in a task of its own. Gone is no fault; whatever else `work` raises ends the connection."""
        task = asyncio.get_running_loop().create_task(self._serve(knock, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, knock: Knock, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Gone:
            log.debug("A caller left before it was served.")
        except Exception:
            log.exception("A connection could not be served.")
            knock.transport.abort()
        finally:
            self.lane.knocks.discard(knock)

    # -- turned away --------------------------------------------------------------------------------------------------

    async def turn_away(self, knock: Knock, response: http.Response) -> None:
        streams = Streams()
        knock.take()
        knock.hand_over(streams)
        await self.lane.turn_away(streams.reader, streams.writer, response)

    # -- opened -------------------------------------------------------------------------------------------------------

    async def plain(self, knock: Knock) -> None:
        """Whole addresses in request lines (RFC 9112 §3.2.2): each is judged like any other request."""
        streams = Streams()
        knock.hand_over(streams)
        handler = self._handler(streams, Way("", 0, b"http", absolute=True))
        if (code := shown(handler.client, streams.transport)) is not None:
            await self.lane.turn_away(streams.reader, streams.writer, self.keeper.refusal(code))
            return
        self.lane.knocks.discard(knock)
        with self._manager.register_connection(handler.client.id, handler), self.lane.admitted(handler):
            await handler.handle_client()

    async def open(self, knock: Knock, tunnel: Tunnel, host: str, caller: connection.Client) -> None:
        """End its TLS, whose ClientHello names `host`, and have each request judged."""
        tunnels = self.tunnels
        streams = Streams()
        try:
            await knock.secure(self._leaves.context(host), streams, self.keeper.limits.head_seconds)
        except (OSError, Gone) as failed:
            by_alert = isinstance(failed, ssl.SSLError) and "ALERT" in (failed.reason or "")
            why = sentence(failed)
            tunnels.unread(tunnel, "tls_refused_by_client" if by_alert else "tls_failed", name=host, detail=why)
            return
        if streams.transport is None:  # it ended amid the handshake, and nothing says why
            tunnels.unread(tunnel, "tls_failed", name=host, detail="it left in the handshake")
            return
        handler = self._handler(streams, Way(host, 443, b"https", tunnel=True))
        handler.client.tls, handler.client.sni = True, host
        handler.client.certificate_list = caller.certificate_list  # of the caller's own connection to us
        self.lane.knocks.discard(knock)
        tunnels.entered(tunnel, handler.client.id)
        try:
            with self._manager.register_connection(handler.client.id, handler), self.lane.admitted(handler):
                await handler.handle_client()
        finally:
            tunnels.left(handler.client.id)

    def _handler(self, streams: "Streams", way: Way) -> CheckpointHandler:
        return CheckpointHandler(ctx.master, streams.reader, streams.writer, ctx.options, self._mode, self.keeper, way)

    # -- let pass -----------------------------------------------------------------------------------------------------

    async def dial(self, host: str, port: int, *, at: str | None = None) -> Any:
        """A socket to where a caller wants to go. Raises as Dialer."""
        async with asyncio.timeout(self.keeper.limits.connect_seconds):
            return await self.keeper.dial(host, port, self.tunnels.may_reach, at=at)

    async def let_pass(self, knock: Knock, tunnel: Tunnel, to: Any, name: str | None, detail: str | None) -> None:
        """Carry on both ways until both are over. `to` is the connected socket; it is closed whatever happens."""
        tunnels = self.tunnels
        here = to.getsockname()[:2]
        self.keeper.dial.our_ends.add(here)
        try:
            passing = Passing(
                self.keeper.now(),
                lambda sent, got: tunnels.ended(tunnel, sent, got),
                lambda: tunnels.is_expelled(tunnel),
            )
            passing.caller.transport = knock.transport
            await asyncio.get_running_loop().create_connection(lambda: passing.host, sock=to)
        except BaseException:
            to.close()
            self.keeper.dial.our_ends.discard(here)
            raise
        tunnels.unread(tunnel, "passed" if tunnel.becomes == "pass" else "noted", name=name, detail=detail)
        self.lane.knocks.discard(knock)
        with self.lane.letting_pass(passing):
            try:
                knock.hand_over(passing.caller)
            except Gone:
                passing.cut()
            await passing.over
        self.keeper.dial.our_ends.discard(here)


class Streams(asyncio.StreamReaderProtocol):
    """A reader and a writer, once there is a connection."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader(loop=loop)
        self.transport: Any = None
        super().__init__(self.reader, loop=loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport = transport
        loop = asyncio.get_running_loop()
        self.writer = asyncio.StreamWriter(self.transport, self, self.reader, loop)


def address(knock: Knock, which: str) -> tuple[str, int]:
    found = knock.transport.get_extra_info(which)
    return (found[0], found[1]) if found else ("", 0)


def shown(caller: connection.Client, transport: Any) -> str | None:
    """Fill in what the caller's TLS with us says of it; a code when that cannot be read."""
    secured = transport.get_extra_info("ssl_object")
    if secured is None:
        return None
    try:
        describe(caller, secured)
    except UnreadableCertificate:
        return "bad_request"
    return None


def alert(knock: Knock) -> None:
    knock.transport.write(UNRECOGNIZED_NAME)
    knock.transport.close()


def sentence(failed: BaseException) -> str:
    """What went wrong, for the record; no more of it than a line."""
    said = getattr(failed, "reason", None) or getattr(failed, "strerror", None) or str(failed) or type(failed).__name__
    return str(said)[:200]
