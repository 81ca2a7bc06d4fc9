"""More ways through a forward listener: unread tunnels, a listener with TLS, client certificates, its end."""

import contextlib
import hashlib
import os
import select
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.identities.certificates import authority as server_authority
from tests.identities.certificates import server_tls
from tests.identities.client_certificates import authority, email, person
from tests.journeys.forwarding import ASKED, HOST, ForwardInstance, basic, read_answer
from tests.journeys.instance import GATEWAY, PROVIDER_KEY
from tests.journeys.provider import Provider, completion
from tests.listening import Listening

URL = f"https://{HOST}/v1/chat/completions"

RAW = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: application/json\r\n"
    b'Content-Length: 32\r\n\r\n{"model":"gpt-4o","messages":[]}'
)


class Elsewhere(Listening):
    """A host that is no provider's: TLS of its own, and what it gets comes back."""

    def __init__(self, folder: Path) -> None:
        self.trusted = server_authority(folder)
        self._context = server_tls(folder, "localhost")
        self.connections = 0
        super().__init__()

    def _one(self, connection: socket.socket) -> None:
        self.connections += 1
        with contextlib.suppress(OSError), self._context.wrap_socket(connection, server_side=True) as secured:
            while data := secured.recv(65536):
                secured.sendall(data)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    running = Elsewhere(tmp_path)
    yield running
    running.close()


def test_what_is_no_providers_passes_unread_both_ways_and_is_counted(
    tmp_path: Path, provider: Provider, elsewhere: Elsewhere
) -> None:
    hosts = f"hosts: {{ports: [443, {elsewhere.port}], addresses: [127.0.0.0/8]}}\n"
    sent = os.urandom(2 << 20)
    with ForwardInstance(tmp_path, provider.url, profile="gateway", more=GATEWAY + hosts) as instance:
        token = instance.mint("ann@example.com")
        connection, head = instance.knocks(f"127.0.0.1:{elsewhere.port}", basic(token))
        assert head.startswith(b"HTTP/1.1 200 ")
        context = ssl.create_default_context(cafile=str(elsewhere.trusted))
        got = b""
        with context.wrap_socket(connection, server_hostname="localhost") as secured:  # theirs, not ours
            secured.setblocking(False)  # one thread at a time is at a TLS socket
            left = memoryview(sent)
            while len(got) < len(sent):
                select.select([secured], [secured] if left else [], [], 20)
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    left = left[secured.send(left[:16384]) :] if left else left
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    while len(got) < len(sent):
                        got += secured.recv(65536)

        def ended() -> bool:
            return any(row["received"] > len(sent) for row in instance.coverage("--all"))

        instance.wait_until(ended)
        (row,) = instance.coverage("--all")
        disk = instance.on_disk()
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()
    assert (row["host"], row["why"], row["people"]) == ("127.0.0.1", {"noted": 1}, 1)
    assert len(sent) < row["sent"] < len(sent) * 1.1
    assert token.encode() not in disk


def test_what_still_passes_at_the_end_has_its_row_whole(
    tmp_path: Path, provider: Provider, elsewhere: Elsewhere
) -> None:
    hosts = f"hosts: {{ports: [{elsewhere.port}], addresses: [127.0.0.0/8]}}\n"
    with ForwardInstance(tmp_path, provider.url, more=hosts) as instance:
        connection, _ = instance.knocks(f"127.0.0.1:{elsewhere.port}")
        context = ssl.create_default_context(cafile=str(elsewhere.trusted))
        secured = context.wrap_socket(connection, server_hostname="localhost")
        secured.sendall(b"hello")
        assert secured.recv(10) == b"hello"
        took = instance.stop()
        (row,) = instance.coverage("--all")
        secured.close()
    assert took < 15
    assert row["sent"] > 5
    assert row["received"] > 5


def test_a_host_that_cannot_be_reached_is_told_and_noted(tmp_path: Path, provider: Provider) -> None:
    with ForwardInstance(tmp_path, provider.url, more="hosts: {addresses: [127.0.0.0/8], ports: [9]}\n") as instance:
        _, head = instance.knocks("127.0.0.1:9")
        assert head.startswith(b"HTTP/1.1 502 ")
        (row,) = instance.covered(1, "--all")
    assert row["why"] == {"unreachable": 1}


@pytest.mark.parametrize("way", ["token", "certificate", "both", "two people", "nobody"])
def test_a_listener_with_tls_takes_tokens_and_client_certificates(tmp_path: Path, provider: Provider, way: str) -> None:
    people = authority()
    trusted = server_authority(tmp_path)
    server_tls(tmp_path, "localhost")
    shown, ca = tmp_path / "localhost.pem", tmp_path / "people.pem"
    ca.write_bytes(people.pem)
    more = GATEWAY.replace("  issuers:\n", f"  issuers:\n    - {{name: people, kind: mtls, ca_file: '{ca}'}}\n")
    provider.answer = completion("Hello")
    listener = f", tls: {{cert: '{shown}', key: '{shown}'}}"
    with ForwardInstance(tmp_path, provider.url, profile="gateway", more=more, listener=listener) as instance:
        to_us = ssl.create_default_context(cafile=str(trusted))
        if way not in ("token", "nobody"):
            anns = person(email("ann@example.com"), by=people)
            to_us.load_cert_chain(anns.written(tmp_path / "ann.pem"))
        who = {"token": "ann", "both": "ann", "two people": "bob"}.get(way)
        auth = ("x", instance.mint(f"{who}@example.com")) if who else None
        proxy = httpx2.Proxy(f"https://localhost:{instance.forward}", ssl_context=to_us, auth=auth)
        with httpx2.Client(proxy=proxy, verify=instance.trusting(), timeout=20) as caller:
            if way in ("two people", "nobody"):
                with pytest.raises(httpx2.ProxyError, match="407" if way == "nobody" else "400"):
                    caller.post(URL, json=ASKED)
            else:
                for _ in range(2):
                    assert caller.post(URL, json=ASKED).status_code == 200
                record = instance.recorded(2)[-1]
                assert record["principal"]["email"] == "ann@example.com"
                assert {one.header("authorization") for one in provider.received} == {f"Bearer {PROVIDER_KEY}"}
    assert len(provider.received) == (0 if way in ("two people", "nobody") else 2)


def test_a_token_that_expires_ends_in_mid_connection(tmp_path: Path, provider: Provider) -> None:
    provider.answer = completion("Hello")
    with ForwardInstance(
        tmp_path, provider.url, profile="gateway", more=GATEWAY.replace("identity:\n", "identity:\n  clock_skew: 0 s\n")
    ) as instance:
        done = instance.sekisho("token", "mint", "--email", "ann@example.com", "--days", "0.0001")
        token = done.stdout.split()[-1]
        connection, _ = instance.knocks(f"{HOST}:443", basic(token))
        with instance.trusting().wrap_socket(connection, server_hostname=HOST) as inner:
            inner.sendall(RAW)
            early = read_answer(inner)
            time.sleep(9.5)
            inner.sendall(RAW)
            late = read_answer(inner)
    assert early.startswith(b"HTTP/1.1 200 ")
    assert late.startswith(b"HTTP/1.1 401 ")
    assert b"expired_token" in late
    assert len(provider.received) == 1


def test_workers_share_the_port_and_streams_are_drained(tmp_path: Path, provider: Provider) -> None:
    provider.answer = completion("Hello")
    with ForwardInstance(tmp_path, provider.url, more="workers: 2\n") as instance:
        for _ in range(8):
            with instance.client() as caller:
                assert caller.post(URL, json=ASKED).status_code == 200
        assert len(instance.recorded(8)) == 8
        assert instance.stop() < 15
