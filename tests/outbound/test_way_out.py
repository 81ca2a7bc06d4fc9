"""Questions that leave through a company's proxy."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outbound.asking import NoAnswer, ask
from outbound.upstream_proxy import UpstreamProxy
from outbound.way_out import leave_through, proxies_for
from tests.identities.certificates import authority, server_tls
from tests.identities.key_server import key_server, serving
from tests.journeys.connect_proxy import ConnectProxy

NOWHERE = "idp.example.test"  # no resolver knows it


@pytest.fixture(autouse=True)
def straight_again() -> Iterator[None]:
    yield
    leave_through(None)


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("proxy_secured", [False, True], ids=["http proxy", "https proxy"])
def test_a_question_and_its_answer_go_through_it(tmp_path: Path, secured: bool, proxy_secured: bool) -> None:
    trusted = authority(tmp_path)
    tls = server_tls(tmp_path, NOWHERE) if secured else None
    with key_server(tls) as server, ConnectProxy(server_tls(tmp_path, "localhost") if proxy_secured else None) as proxy:
        server.behave = serving(b"x" * 200_000)
        leave_through(
            UpstreamProxy(
                "localhost", proxy.port, is_tls=proxy_secured, ca_file=trusted, user="u", password="p",
            )
        )  # fmt: skip
        url = f"{'https' if secured else 'http'}://{NOWHERE}:{server.port}/keys"
        said = ask("GET", url, deadline=time.monotonic() + 5, largest=1 << 20, ca_file=trusted)
    assert said.body == b"x" * 200_000
    (head,) = proxy.asked
    assert head.startswith(f"CONNECT {NOWHERE}:{server.port} HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic dTpw\r\n" in head
    assert "roxy-" not in server.heads[0]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 407 No\r\n\r\n", r"does not take our credentials \(407\)"),
        (b"nothing of the kind", "no HTTP"),
        (b"", "without an answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 4000, "more than 16384 bytes"),
    ],
)
def test_where_it_says_no_nothing_is_asked_past_it(answer: bytes, why: str) -> None:
    with key_server() as server, ConnectProxy() as proxy:
        proxy.answer = answer
        leave_through(UpstreamProxy("localhost", proxy.port))
        with pytest.raises(NoAnswer, match=why):
            ask("GET", f"http://203.0.113.1:{server.port}/", deadline=time.monotonic() + 5, largest=100)
    assert server.asked == []


def test_it_cannot_hold_a_question_up_beyond_its_deadline() -> None:
    with ConnectProxy() as proxy:
        proxy.answer = b"HTTP/1.1 200 O"
        proxy.is_slow = True
        leave_through(UpstreamProxy("localhost", proxy.port))
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            ask("GET", f"http://{NOWHERE}/", deadline=time.monotonic() + 0.3, largest=100)
    assert time.monotonic() - began < 3


def test_libraries_are_told_of_it_for_what_they_ask_over_tls() -> None:
    leave_through(UpstreamProxy("proxy.example.com", 3128, user="ann@x", password="p:w", exempt=("*.corp.example",)))
    assert proxies_for("oauth2.googleapis.com") == {"https": "http://ann%40x:p%3Aw@proxy.example.com:3128"}
    assert proxies_for("login.corp.example") == {}
    leave_through(None)
    assert proxies_for("oauth2.googleapis.com") == {}
