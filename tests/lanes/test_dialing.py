"""Through a company's proxy, or not at all."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from lanes.dialing import Dialer
from lanes.express.dial import AddressRefused
from outbound.upstream_proxy import UpstreamProxy, UpstreamProxyFailed
from tests.identities.certificates import authority, server_tls
from tests.journeys.connect_proxy import ConnectProxy
from tests.lanes.upstream import JSON, RecordingUpstream, replying

NOWHERE = "api.example.test"  # no resolver knows it: who gets there got there through the proxy


def proxy_at(running: ConnectProxy, **more: Any) -> UpstreamProxy:
    return UpstreamProxy("localhost", running.port, **more)


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy() as running:
        yield running


type Dial = Callable[..., Dialer]


@pytest.fixture
async def dialer_for() -> AsyncIterator[Dial]:
    """Makes dialers, and ends what they carry."""
    made: list[Dialer] = []

    def make(proxy: UpstreamProxy, authorities: ssl.SSLContext | None = None) -> Dialer:
        made.append(Dialer(0.2, proxy, authorities))
        return made[-1]

    yield make
    for one in made:
        one.close()
    await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def upstream() -> Any:
    running = RecordingUpstream(replying(JSON))
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def asks(opened: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=opened)
    writer.write(b"POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
    got = await reader.readexactly(len(JSON))
    writer.close()
    return got


async def test_what_is_asked_for_is_reached_by_its_name_and_the_proxy_is_shown_who_asks(
    dialer_for: Dial, proxy: ConnectProxy
) -> None:
    dialer = dialer_for(proxy_at(proxy, user="säkisho", password="s3cret"))
    async with upstream() as running:
        assert await asks(await dialer(NOWHERE, running.port)) == JSON
    (head,) = proxy.asked
    assert head.split("\r\n") == [
        f"CONNECT {NOWHERE}:{running.port} HTTP/1.1", f"Host: {NOWHERE}:{running.port}",
        "Proxy-Authorization: Basic c8Oka2lzaG86czNjcmV0", "", "",
    ]  # fmt: skip
    assert "s3cret" not in repr(proxy_at(proxy, user="x", password="s3cret"))
    assert not dialer.our_ends


async def test_a_proxy_with_tls_is_verified_and_carries_the_same(dialer_for: Dial, tmp_path: Path) -> None:
    trusted = authority(tmp_path)
    async with upstream() as running:
        with ConnectProxy(server_tls(tmp_path, "localhost")) as proxy:
            context = ssl.create_default_context(cafile=str(trusted))
            dialer = dialer_for(proxy_at(proxy, is_tls=True), context)
            assert await asks(await dialer(NOWHERE, running.port)) == JSON
            with pytest.raises(UpstreamProxyFailed, match="certificate"):
                await dialer_for(proxy_at(proxy, is_tls=True))(NOWHERE, running.port)
            proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
            with pytest.raises(UpstreamProxyFailed, match="407"):
                await dialer(NOWHERE, running.port)
            proxy.answer = b""
            with pytest.raises(UpstreamProxyFailed, match="without an answer"):
                await dialer(NOWHERE, running.port)
    assert len(running.seen) == 1


async def test_not_a_byte_of_what_follows_the_answer_is_lost(dialer_for: Dial, tmp_path: Path) -> None:
    authority(tmp_path)
    for context in (None, server_tls(tmp_path, "localhost")):
        with ConnectProxy(context) as proxy:
            proxy.opened = b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nSSH-2.0-early\r\n"
            trusted = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            dialer = dialer_for(proxy_at(proxy, is_tls=context is not None), trusted)
            async with upstream() as running:
                reader, writer = await asyncio.open_connection(sock=await dialer(NOWHERE, running.port))
                assert await reader.readexactly(15) == b"SSH-2.0-early\r\n"
                writer.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "does not take our credentials"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nnever", "did not connect us to api.example.test:443"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://login.example.com/\r\n\r\n", "status 302"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "no HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP"),
        (b"\x16\x03\x01\x02\x00", "no HTTP"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 4000, "more than 16384 bytes"),
        (b"HTTP/1.1 200 OK\r\n", "without an answer"),
        (b"", "without an answer"),
    ],
)
async def test_a_proxy_that_does_not_open_the_way_is_a_sentence_and_no_connection(
    dialer_for: Dial, proxy: ConnectProxy, answer: bytes, said: str
) -> None:
    proxy.answer = answer
    with pytest.raises(UpstreamProxyFailed, match=said) as failed:
        async with asyncio.timeout(5):
            await dialer_for(proxy_at(proxy))(NOWHERE, 443)
    assert str(failed.value).startswith(f"The upstream proxy localhost:{proxy.port}")


async def test_a_proxy_that_is_away_is_a_sentence_and_never_a_way_round_it(dialer_for: Dial) -> None:
    async with upstream() as running:
        dialer = dialer_for(UpstreamProxy("127.0.0.1", 9))
        with pytest.raises(UpstreamProxyFailed, match=r"127\.0\.0\.1:9 cannot be reached: Connection refused"):
            await dialer("203.0.113.7", running.port)
        assert running.connections == 0


@pytest.mark.parametrize(
    ("host", "through"),
    [
        (NOWHERE, True),
        ("intern.example.com", False),
        ("INTERN.example.com.", False),
        ("x.intern.example.com", True),
        ("a.corp.example", False),
        ("corp.example", True),
        ("10.1.2.3", False),
        ("fd00::1", False),
        ("11.1.2.3", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
    ],
)
def test_what_is_named_an_exemption_goes_straight(host: str, through: bool) -> None:
    exempt = ("intern.example.com", "*.corp.example")
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert UpstreamProxy("p", 1, exempt=exempt, exempt_networks=networks).carries(host) is through


async def test_addresses_where_nobody_may_be_sent_are_not_asked_of_the_proxy_either(
    dialer_for: Dial, proxy: ConnectProxy
) -> None:
    dialer = dialer_for(proxy_at(proxy))
    for host, at in (("169.254.169.254", None), (NOWHERE, "169.254.169.254"), ("0xa9fea9fe", "198.51.100.1")):
        with pytest.raises(AddressRefused):
            await dialer(host, 443, lambda address: not address.startswith(("169.", "0x")), at=at)
    assert proxy.asked == []


@pytest.mark.parametrize("host", ["a\r\nX: y", "a b", "a/b", "例え", "a@b", "", "a" * 300])
async def test_a_host_that_would_be_more_than_a_host_is_not_asked_for(
    dialer_for: Dial, proxy: ConnectProxy, host: str
) -> None:
    with pytest.raises(UpstreamProxyFailed, match="cannot be asked for"):
        await dialer_for(proxy_at(proxy))(host, 443)
    assert proxy.asked == []
