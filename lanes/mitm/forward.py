"""Forward mode: `HTTPS_PROXY`. A connection begins with a CONNECT, or asks for whole addresses in plain HTTP."""

import asyncio
import logging
import ssl
import time
from pathlib import Path
from typing import Any, Final

from mitmproxy import connection, ctx, http
from mitmproxy.proxy import layer, mode_servers, mode_specs
from mitmproxy.proxy.context import Context

from certificates.authority import UnusableAuthority
from certificates.folder import AuthorityFolder
from lanes import pinned
from lanes.express.dial import AddressRefused, dial
from lanes.express.head import RequestHead
from lanes.express.lane import Lane
from lanes.express.tls import UnreadableCertificate, describe
from lanes.express.writing import whole_message
from lanes.mitm import hardening
from lanes.mitm.hardening import CheckpointHandler
from lanes.mitm.hello import UNRECOGNIZED_NAME, Hello, NotTls
from lanes.mitm.knock import Gone, Knock
from lanes.mitm.lane import MitmLane, mitm_lane
from lanes.mitm.leaves import Leaves
from lanes.mitm.passing import Passing
from lanes.mitm.tunnels import NAME, Tunnel, Tunnels
from lanes.mitm.ways import Way, split_authority

log = logging.getLogger(__name__)

_BACKLOG: Final = 4096
_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ForwardMode(mode_specs.ProxyMode):
    """`forward@127.0.0.1:3128`."""

    description = "forward proxy"
    transport_protocol = mode_specs.TCP

    def __post_init__(self) -> None:
        if self.data:
            raise ValueError("forward takes no arguments")


class ForwardInstance(mode_servers.AsyncioServerInstance[ForwardMode]):
    """Registers itself for its mode by being defined. As CheckpointInstance; an addon named `tunnels` must be there,
    who judges (lanes.mitm.tunnels)."""

    def make_top_layer(self, context: Context) -> layer.Layer:
        raise NotImplementedError("CheckpointHandler brings its own")

    async def listen(self, host: str, port: int) -> list[asyncio.Server]:  # type: ignore[override] # a narrower list
        """Raises OSError as `create_server` does, RuntimeError without a Lane or tunnels, UnusableAuthority."""
        keeper: Lane | None = ctx.master.addons.get(Lane.name)
        tunnels: Tunnels | None = ctx.master.addons.get(NAME)
        if keeper is None or tunnels is None:
            raise RuntimeError("add a Lane and tunnels to the master before a forward listener")
        hardening.install()
        self._keeper, self._tunnels = keeper, tunnels
        self._lane: MitmLane = mitm_lane(keeper)
        authority = AuthorityFolder(Path(ctx.options.confdir).parent).current()
        if authority is None:
            raise UnusableAuthority(f"There is no CA in {ctx.options.confdir}. Make one: sekisho ca init")
        self._leaves = Leaves(authority)
        self._tasks: set[asyncio.Task[None]] = set()
        context = keeper.listener_tls(host, port)
        server = await asyncio.get_running_loop().create_server(
            self._knock,
            host or None,
            port,
            reuse_port=True,
            backlog=_BACKLOG,
            ssl=context,
            ssl_handshake_timeout=keeper.limits.head_seconds if context is not None else None,
        )
        self._lane.watch()
        return [server]

    # -- the first bytes ----------------------------------------------------------------------------------------------

    def _knock(self) -> Knock:
        lane = self._lane
        return Knock(
            self._keeper.limits,
            self._keeper.now(),
            arrived=self._arrived,
            headed=self._headed,
            left=lane.knocks.discard,
        )

    def _arrived(self, knock: Knock) -> None:
        if self._lane.is_full:
            knock.transport.write(whole_message(self._keeper.refusal("overloaded"), b"", close=True))
            knock.transport.close()
        else:
            self._lane.knocks.add(knock)

    def _headed(self, knock: Knock, head: RequestHead | str) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(knock, head))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, knock: Knock, head: RequestHead | str) -> None:
        try:
            if isinstance(head, str):
                await self._turn_away(knock, self._keeper.refusal(head))
            elif head.method == b"CONNECT":
                await self._connect(knock, head)
            else:
                await self._plain(knock)
        except Gone:
            log.debug("A caller left before it was served.")
        except Exception:
            log.exception("A connection on the forward listener failed.")
            knock.transport.abort()
        finally:
            self._lane.knocks.discard(knock)

    async def _turn_away(self, knock: Knock, response: http.Response) -> None:
        streams = _Streams()
        knock.take()
        knock.hand_over(streams)
        await self._lane.turn_away(streams.reader, streams.writer, response)

    # -- plain HTTP ---------------------------------------------------------------------------------------------------

    async def _plain(self, knock: Knock) -> None:
        """Whole addresses in request lines (RFC 9112 §3.2.2): each is judged like any other request."""
        streams = _Streams()
        knock.hand_over(streams)
        handler = self._handler(streams, Way("", 0, b"http", absolute=True))
        if (code := _shown(handler.client, streams.transport)) is not None:
            await self._lane.turn_away(streams.reader, streams.writer, self._keeper.refusal(code))
            return
        self._lane.knocks.discard(knock)
        with self.manager.register_connection(handler.client.id, handler), self._lane.admitted(handler):
            await handler.handle_client()

    def _handler(self, streams: "_Streams", way: Way) -> CheckpointHandler:
        return CheckpointHandler(ctx.master, streams.reader, streams.writer, ctx.options, self.mode, self._keeper, way)

    # -- tunnels ------------------------------------------------------------------------------------------------------

    async def _connect(self, knock: Knock, head: RequestHead) -> None:
        del knock.data[: knock.head_end]
        host, port = split_authority(head.authority, None) or ("", 0)
        caller = pinned.client(_address(knock, "peername"), _address(knock, "sockname"), self.mode)
        if (code := _shown(caller, knock.transport)) is not None:
            await self._turn_away(knock, self._keeper.refusal(code))
            return
        asked = pinned.request(
            host, port, b"", head.method, head.authority, b"", head.version, head.fields, time.time()
        )
        tunnel = await self._tunnels.judge(pinned.flow(caller, pinned.server((host, port)), asked), head.fault)
        if tunnel.refusal is not None:
            await self._turn_away(knock, tunnel.refusal)
        elif tunnel.becomes == "open":
            await self._open(knock, tunnel, host, caller)
        else:
            await self._pass(knock, tunnel, host, port)

    async def _open(self, knock: Knock, tunnel: Tunnel, host: str, caller: connection.Client) -> None:
        limits, tunnels = self._keeper.limits, self._tunnels
        knock.transport.write(_ESTABLISHED)
        try:
            hello = await knock.hello(limits.head_seconds)
        except NotTls:
            tunnels.refuse(tunnel, "not_tls", "what came after CONNECT is no TLS")
            knock.transport.abort()
            return
        except Gone as gone:
            tunnels.unread(tunnel, "tls_failed", detail=str(gone))
            knock.transport.abort()
            return
        if hello.name != host:
            said = f"TLS names {hello.name[:253]}" if hello.name else "TLS names no host"
            tunnels.refuse(tunnel, "sni_mismatch", f"{said}, and CONNECT {host}")
            _alert(knock)
            return
        streams = _Streams()
        try:
            await knock.secure(self._leaves.context(host), streams, limits.head_seconds)
        except (OSError, Gone) as failed:
            by_alert = isinstance(failed, ssl.SSLError) and "ALERT" in (failed.reason or "")
            why = _sentence(failed)
            tunnels.unread(tunnel, "tls_refused_by_client" if by_alert else "tls_failed", name=host, detail=why)
            return
        handler = self._handler(streams, Way(host, 443, b"https", tunnel=True))
        handler.client.tls, handler.client.sni = True, host
        handler.client.certificate_list = caller.certificate_list  # of the caller's own connection to us
        self._lane.knocks.discard(knock)
        tunnels.entered(tunnel, handler.client.id)
        try:
            with self.manager.register_connection(handler.client.id, handler), self._lane.admitted(handler):
                await handler.handle_client()
        finally:
            tunnels.left(handler.client.id)

    async def _pass(self, knock: Knock, tunnel: Tunnel, host: str, port: int) -> None:
        limits, tunnels, loop = self._keeper.limits, self._tunnels, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limits.connect_seconds):
                to = await dial(host, port, limits.happy_eyeballs_seconds, tunnels.may_reach)
        except AddressRefused as refused:
            await self._turn_away(knock, tunnels.refuse(tunnel, "destination_not_allowed", str(refused)))
            return
        except OSError as failed:  # TimeoutError is one
            tunnels.unread(tunnel, "unreachable", detail=_sentence(failed))
            await self._turn_away(knock, self._keeper.refusal("upstream_unreachable"))
            return
        try:
            name, detail = await self._named(knock, tunnel)
            passing = Passing(self._keeper.now(), lambda sent, got: tunnels.ended(tunnel, sent, got))
            passing.caller.transport = knock.transport
            await loop.create_connection(lambda: passing.host, sock=to)
        except BaseException:
            to.close()
            raise
        tunnels.unread(tunnel, "passed" if tunnel.becomes == "pass" else "noted", name=name, detail=detail)
        self._lane.knocks.discard(knock)
        with self._lane.letting_pass(passing):
            try:
                knock.hand_over(passing.caller)
            except Gone:
                passing.cut()
            await passing.over

    async def _named(self, knock: Knock, tunnel: Tunnel) -> tuple[str | None, str | None]:
        """The name that the caller asks for in TLS, and what is to be noted of it.

        Raises:
            Gone: it said nothing, or asked for a name that may not be behind this tunnel: it has got its alert.
        """
        knock.transport.write(_ESTABLISHED)
        try:
            hello: Hello = await knock.hello(self._keeper.limits.head_seconds)
        except NotTls:
            return None, "no TLS"
        except Gone as gone:
            self._tunnels.unread(tunnel, "tls_failed", detail=str(gone))
            knock.transport.abort()
            raise
        if hello.name is None:
            return None, "TLS without a name"
        if not self._tunnels.may_be_behind(tunnel, hello.name):
            self._tunnels.refuse(tunnel, "sni_mismatch", f"TLS names {hello.name[:253]}")
            _alert(knock)
            raise Gone("it asked for another name")
        return hello.name, "encrypted ClientHello" if hello.encrypted else None


class _Streams(asyncio.StreamReaderProtocol):
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


def _address(knock: Knock, which: str) -> tuple[str, int]:
    found = knock.transport.get_extra_info(which)
    return (found[0], found[1]) if found else ("", 0)


def _shown(caller: connection.Client, transport: Any) -> str | None:
    """Fill in what the caller's TLS with us says of it; a code when that cannot be read."""
    secured = transport.get_extra_info("ssl_object")
    if secured is None:
        return None
    try:
        describe(caller, secured)
    except UnreadableCertificate:
        return "bad_request"
    return None


def _alert(knock: Knock) -> None:
    knock.transport.write(UNRECOGNIZED_NAME)
    knock.transport.close()


def _sentence(failed: BaseException) -> str:
    """What went wrong, for the record; no more of it than a line."""
    said = getattr(failed, "reason", None) or getattr(failed, "strerror", None) or str(failed) or type(failed).__name__
    return str(said)[:200]
