"""One worker: mitmproxy's Master with our addons and nothing else, on uvloop, all workers on one port."""

import asyncio
import gc
import logging
import signal
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import uvloop
from mitmproxy import master, options
from mitmproxy.addons import next_layer, proxyserver, tlsconfig

from lanes import pinned
from lanes.descriptors import room_for
from lanes.express import mode as _express_mode  # noqa: F401 - registers the mode
from lanes.express.door import Door
from lanes.express.lane import Lane
from lanes.express.limits import Limits
from lanes.express.tls import verifying
from lanes.mitm import forward as _forward  # noqa: F401 - registers the mode
from lanes.mitm import local as _captured  # noqa: F401 - registers the mode
from lanes.mitm import mode as _checkpoint  # noqa: F401 - registers the mode
from lanes.mitm import transparent as _diverted  # noqa: F401 - registers the mode
from lanes.mitm import wireguard as _tunnelled  # noqa: F401 - registers the mode
from lanes.mitm.options import insist
from settings.issuers import client_authorities
from settings.listening import Listener, ListenerTls
from settings.schema import Settings

log = logging.getLogger(__name__)

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h); the ssl module does not name it


class Pipeline(Protocol):
    """What the lane needs of the addons' room."""

    @property
    def addons(self) -> tuple[object, ...]: ...

    @property
    def door(self) -> Door: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class CannotListen(Exception):  # noqa: N818 - said to a person
    """An address to listen on cannot be had."""


def run(settings: Settings, pipeline_from: Callable[[Settings], Pipeline], ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; then let open streams end for `drain_s`, and return.

    Raises:
        CannotListen: an address is taken, or not ours.
    """
    pinned.install()
    uvloop.run(_serve(settings, pipeline_from, ready))


async def _serve(settings: Settings, pipeline_from: Callable[[Settings], Pipeline], ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pipeline = pipeline_from(settings)
    await pipeline.start()
    this = master.Master(options.Options())
    server = proxyserver.Proxyserver()
    lane = _express(settings, pipeline.door)
    this.addons.add(server, next_layer.NextLayer(), tlsconfig.TlsConfig(), lane)
    insist(this.options, settings)
    this.addons.add(*pipeline.addons)
    modes = [mode_of(listener, settings) for listener in settings.listen]
    if settings.capture:
        modes.append(f"captured:{','.join(settings.capture)}")
    this.options.update(mode=modes)
    running = asyncio.ensure_future(this.run())
    await _until_listening(server, running)
    _settle_memory()
    ready()
    await stop.wait()
    log.info("Stopping: open streams have %g s to end.", settings.drain_s)
    await asyncio.gather(lane.drain(settings.drain_s), _drain(server, settings.drain_s))
    this.should_exit.set()
    await running
    await pipeline.stop()


def _settle_memory() -> None:
    """What was built until now stays: the garbage collector need not walk it again and again under load."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _express(settings: Settings, door: Door) -> Lane:
    limits, timeouts = settings.limits, settings.timeouts
    certificates = {
        (listener.address.host, listener.address.port): _shown(
            listener.tls, client_authorities(settings.identity.issuers, listener.issuers)
        )
        for listener in settings.listen
        if listener.tls is not None
    }
    authorities = {
        _destination(provider.upstream): _trusting(provider.ca_file)
        for provider in settings.providers.values()
        if provider.ca_file is not None
    }
    public = verifying()
    proxy = settings.upstream_proxy.resolved() if settings.upstream_proxy is not None else None
    return Lane(
        door,
        Limits(
            connections=room_for(limits.connections),
            head_bytes=limits.head,
            head_fields=limits.head_fields,
            head_seconds=limits.head_time,
            keep_alive_seconds=limits.idle,
            body_bytes=limits.body,
            bodies_bytes=max(limits.bodies, limits.body),
            body_seconds=limits.body_time,
            connect_seconds=timeouts.connect,
            reply_seconds=timeouts.silence,
        ),
        upstream_tls=lambda host, port: authorities.get((host, port), public),
        listener_tls=lambda host, port: certificates.get((host, port)),
        upstream_proxy=proxy,
        upstream_proxy_tls=_trusting(proxy.ca_file) if proxy is not None and proxy.ca_file is not None else None,
    )


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return verifying(str(ca_file))
    except OSError as cannot:  # ssl.SSLError is one
        raise CannotListen(f"The certificate authorities in {ca_file} cannot be used: {cannot}") from cannot


def _shown(tls: ListenerTls, client_cas: Sequence[Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as cannot:
        raise CannotListen(f"The certificate {tls.cert} with the key {tls.key} cannot be used: {cannot}") from cannot
    for path in client_cas:
        _ask_for_certificates(context, path)
    return context


def _ask_for_certificates(context: ssl.SSLContext, path: Path) -> None:
    """Ask callers for a certificate of these authorities, too. Whoever shows none may have a token.

    The handshake ends for what no authority signed, so that strangers cannot make us verify at leisure. Who it is, and
    until when, is for identities.certificate to say: a refusal there is an answer, and has a record.
    """
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as cannot:
        raise CannotListen(f"The certificate authorities in {path} cannot be used: {cannot}") from cannot
    context.verify_mode = ssl.CERT_OPTIONAL
    # An intermediate may be named as the authority. An expired certificate gets an answer that says so.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    # A session taken up again from a ticket can lack the intermediates the caller sent.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET


def _destination(upstream: str) -> tuple[str, int]:
    url = urlsplit(upstream)
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def mode_of(listener: Listener, settings: Settings) -> str:
    """The listener in mitmproxy's words. The upstream here is where a request would go that no addon directs; the gate
    directs every one. What is to be opened first is the mitm lane's, whatever `lane` says of the rest."""
    if listener.peer is not None:
        return f"tunnelled:{listener.peer.public_key}@{listener.address}"
    if listener.mode != "reverse":
        return f"{'forward' if listener.mode == 'forward' else 'diverted'}@{listener.address}"
    upstream = urlsplit(settings.providers[settings.default_provider].upstream)
    kind = "express" if settings.lane == "express" else "checkpoint"
    return f"{kind}:{upstream.scheme}://{upstream.netloc}@{listener.address}"


async def _until_listening(server: proxyserver.Proxyserver, running: asyncio.Future[None]) -> None:
    """mitmproxy logs a failed bind and runs on; we do not."""
    while True:
        await asyncio.sleep(0.01)
        for instance in server.servers:
            if (failed := instance.last_exception) is not None:
                raise CannotListen(str(failed))
        if running.done():
            running.result()
            raise CannotListen("mitmproxy ended before it listened")
        if len(list(server.servers)) and server.is_running and all(i.is_running for i in server.servers):
            return


async def _drain(server: proxyserver.Proxyserver, seconds: float) -> None:
    """The mitm lane: stop accepting, then wait for what is open. The recorder tells the truth about the rest."""
    await server.servers.update([])
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while server.connections and loop.time() < deadline:
        await asyncio.sleep(0.05)
