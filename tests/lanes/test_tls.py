"""TLS on both sides: verification, resumption, and the lane as a mode inside a running mitmproxy."""

import asyncio
import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mitmproxy import http, options
from mitmproxy.addons import next_layer, proxyserver, tlsconfig
from mitmproxy.master import Master

from lanes.express.door import OpenDoor
from lanes.express.lane import Lane
from lanes.express.mode import ExpressMode
from lanes.express.tls import verifying
from tests.lanes.conftest import Build
from tests.lanes.upstream import JSON, RawCaller, RecordingUpstream, post, replying


@dataclass
class Certificate:
    path: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Self-signed, for localhost and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + cert.public_bytes(serialization.Encoding.PEM))
    return Certificate(path)


class Secure:
    """Sends requests to a TLS upstream."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def request(self, flow: http.HTTPFlow) -> None:
        flow.request.scheme = "https"
        flow.request.data.host = self.host
        flow.request.data.port = self.port


async def secure_upstream(certificate: Certificate) -> tuple[asyncio.Server, int, list[bool]]:
    resumed: list[bool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        resumed.append(writer.get_extra_info("ssl_object").session_reused)
        try:
            while await reader.readuntil(b"}"):
                writer.write(JSON)
        except (asyncio.IncompleteReadError, OSError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate.server())
    return server, server.sockets[0].getsockname()[1], resumed


async def test_an_upstream_whose_certificate_is_unknown_gets_no_request(road: Build, certificate: Certificate) -> None:
    server, port, resumed = await secure_upstream(certificate)
    r = await road(Secure("localhost", port))
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).status == 502
    assert "certificate verify failed" in r.witness.flow.error.msg
    assert not resumed
    server.close()


async def test_a_certificate_for_another_name_does_not_do(road: Build, certificate: Certificate) -> None:
    server, port, _ = await secure_upstream(certificate)
    context = verifying(str(certificate.path))
    r = await road(Secure("127.0.0.2", port), upstream_tls=lambda _h, _p: context)
    other = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.2", port, ssl=certificate.server())
    caller = await r.caller()
    caller.send(post())
    assert (await caller.response()).status == 502
    assert "127.0.0.2" in r.witness.flow.error.msg
    server.close()
    other.close()


async def test_tls_connections_are_kept_and_their_sessions_taken_up_again(
    road: Build, certificate: Certificate
) -> None:
    server, port, resumed = await secure_upstream(certificate)
    context = verifying(str(certificate.path))
    r = await road(Secure("localhost", port), upstream_tls=lambda _h, _p: context)
    caller = await r.caller()
    for _ in range(3):
        caller.send(post())
        assert (await caller.response()).raw == JSON
    assert resumed == [False]
    flow = r.witness.flow
    assert flow.server_conn.tls_established
    assert flow.server_conn.certificate_list[0].cn == "localhost"
    for upstream in list(r.lane.upstreams):
        upstream.abandon()
    await asyncio.sleep(0.02)
    caller.send(post())
    assert (await caller.response()).raw == JSON
    assert resumed == [False, True]
    server.close()


async def test_callers_may_be_served_by_tls(road: Build, certificate: Certificate) -> None:
    r = await road(listener_tls=lambda _h, _p: certificate.server())
    trust = ssl.create_default_context(cafile=str(certificate.path))
    caller = RawCaller(*await asyncio.open_connection("localhost", r.port, ssl=trust))
    r.callers.append(caller)
    caller.send(post())
    assert (await caller.response()).raw == JSON
    client = r.witness.flow.client_conn
    assert client.tls_established
    assert client.tls_version == "TLSv1.3"


def test_a_mode_that_is_not_http_is_refused() -> None:
    with pytest.raises(ValueError, match="http and https"):
        ExpressMode.parse("express:dns://x@127.0.0.1:1")


def test_the_mode_opens_no_udp_port() -> None:
    assert ExpressMode.parse("express:https://x@127.0.0.1:1").transport_protocol == "tcp"


async def test_the_lane_is_a_mode_of_a_running_mitmproxy() -> None:
    upstream = RecordingUpstream(replying(JSON))
    await upstream.start()
    master = Master(options.Options())
    lane = Lane(OpenDoor())
    server = proxyserver.Proxyserver()
    master.addons.add(server, next_layer.NextLayer(), tlsconfig.TlsConfig(), lane)
    master.options.update(mode=[f"express:http://127.0.0.1:{upstream.port}@127.0.0.1:0"])
    running = asyncio.ensure_future(master.run())
    while not server.listen_addrs():
        await asyncio.sleep(0.01)
    caller = await RawCaller.to(server.listen_addrs()[0][1])
    caller.send(post())
    assert (await caller.response()).raw == JSON
    caller.close()
    await lane.drain(1)
    master.shutdown()
    await running
    await upstream.stop()
