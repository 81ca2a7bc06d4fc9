"""A company's proxy as the only way out, over both lanes and for what passes unread."""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.identities.certificates import authority, server_tls
from tests.journeys.connect_proxy import ConnectProxy
from tests.journeys.forwarding import ASKED, HOST, ForwardInstance
from tests.journeys.provider import Provider, streamed
from tests.journeys.test_forward_ways import Elsewhere

NOWHERE = "provider.example.test"
"""No resolver knows it."""


@dataclass
class Company:
    """A Sekisho that gets out through a proxy alone, which wants to know who asks."""

    instance: ForwardInstance
    proxy: ConnectProxy
    provider: Provider
    elsewhere: Elsewhere


@pytest.fixture(scope="module", params=[("express", False), ("mitm", True)], ids=["express", "mitm, proxy with TLS"])
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    lane, secured = request.param
    folder: Path = tmp_path_factory.mktemp("company")
    trusted = authority(folder)
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(ConnectProxy(server_tls(folder, "localhost") if secured else None))
        provider = stack.enter_context(Provider())
        elsewhere = Elsewhere(folder)
        stack.callback(elsewhere.close)
        (folder / "password").write_text("s3cret-canary\n")
        more = (
            f"hosts: {{ports: [443, {elsewhere.port}]}}\n"
            f"upstream_proxy: {{url: '{proxy.url}', user: sekisho, password: {{file: '{folder / 'password'}'}}"
            f"{f", ca_file: '{trusted}'" if secured else ''}}}\n"
        )
        upstream = f"http://{NOWHERE}:{provider.port}"
        other = f"  other: {{dialect: openai, insecure_upstream: true, upstream: 'http://other.example.test:{provider.port}'}}\n"
        instance = ForwardInstance(folder, upstream, lane=lane, more=more, providers=other)
        text = instance.config.read_text(encoding="utf-8")
        instance.config.write_text(text.replace("{upstream:", "{insecure_upstream: true, upstream:", 1))
        yield Company(stack.enter_context(instance), proxy, provider, elsewhere)


@pytest.mark.parametrize("way", ["reverse", "forward"])
def test_calls_go_through_it_and_stream(company: Company, way: str) -> None:
    company.proxy.answer = None
    before = len(company.provider.received), company.instance.stored()
    company.provider.answer = streamed(["天気", "は", "晴れ"])
    url, caller = f"{company.instance.url}/v1/chat/completions", httpx2.Client(timeout=20)
    if way == "forward":
        url, caller = f"https://{HOST}/v1/chat/completions", company.instance.client()
    with caller:
        got = caller.post(url, json=ASKED | {"stream": True})
    assert got.status_code == 200
    assert "晴れ" in got.text
    assert len(company.provider.received) == before[0] + 1
    assert company.provider.received[-1].header("proxy-authorization") is None
    assert any(
        head.startswith(f"CONNECT {NOWHERE}:{company.provider.port} HTTP/1.1\r\n")
        and "Proxy-Authorization: Basic c2VraXNobzpzM2NyZXQtY2FuYXJ5\r\n" in head
        for head in company.proxy.asked
    )
    record = company.instance.recorded(before[1] + 1)[-1]
    assert (record["end_state"], record["client"]["mode"]) == ("complete", way)


def test_what_passes_unread_goes_through_it_too(company: Company) -> None:
    company.proxy.answer = None
    connection, head = company.instance.knocks(f"elsewhere.example.test:{company.elsewhere.port}")
    assert head.startswith(b"HTTP/1.1 200 ")
    context = ssl.create_default_context(cafile=str(company.elsewhere.trusted))
    context.check_hostname = False
    with context.wrap_socket(connection, server_hostname="elsewhere.example.test") as secured:
        secured.sendall(b"x" * 300_000)
        got = 0
        while got < 300_000:
            got += len(secured.recv(65536))
    assert f"CONNECT elsewhere.example.test:{company.elsewhere.port} " in company.proxy.asked[-1]


REFUSALS = [
    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 403 Forbidden\r\n\r\nnot you",
    b"220 mail.example.com ESMTP\r\n",
    b"",
]


def test_where_it_says_no_the_caller_is_told_and_nothing_goes_past_it(company: Company) -> None:
    instance, provider = company.instance, company.provider
    received, stored = len(provider.received), instance.stored()
    got = []
    for company.proxy.answer in REFUSALS:
        with instance.client() as caller:
            got.append(caller.post(f"https://{HOST}/v1/chat/completions", json=ASKED))
        # Of a provider to which no connection can be warm.
        got.append(httpx2.post(f"{instance.url}/other/v1/chat/completions", json=ASKED, timeout=20))
        _, head = instance.knocks(f"elsewhere.example.test:{company.elsewhere.port}")
        assert head.startswith(b"HTTP/1.1 502 ")
    for one in got:
        assert (one.status_code, one.json()["error"]["code"]) == (502, "upstream_proxy_failed")
    records = instance.recorded(stored + len(got))[-len(got) :]
    assert {(record["status"], record["end_state"]) for record in records} == {(502, "upstream_error")}
    assert len(provider.received) == received
    log = instance.log.read_text(encoding="utf-8")
    assert "does not take our credentials (407)" in log
    assert "s3cret-canary" not in log
