"""Small questions to servers that are slow, broken or hostile; what they say over HTTP is in tests/identities."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from outbound.asking import Answer, NoAnswer, ask
from tests.identities.key_server import Behaviour, KeyServer, key_server, serving


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as one:
        yield one


def asked(url: str, *, within: float = 5.0, largest: int = 100) -> Answer:
    return ask("GET", url, deadline=time.monotonic() + within, largest=largest, hoped_for=(200,))


def said(raw: bytes) -> Behaviour:
    return lambda connection, _: connection.sendall(raw)


@pytest.mark.parametrize(
    ("behave", "why"),
    [
        (serving(b"x" * 101), "more than 100 bytes"),
        (serving(b"x" * 5_000_000, "500 Internal Server Error"), "status 500"),
        (serving(b"", "302 Found", "location: /other"), "status 302"),
        (serving(b"{}", "200 OK", "content-encoding: gzip"), "an encoded body that was not asked for"),
        (serving(b"{}", length=10), "the body broke off"),
        (said(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"), "IncompleteRead"),
        (said(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), "IncompleteRead"),
        (said(b""), "RemoteDisconnected"),
        (said(b"SSH-2.0-OpenSSH_9.6\r\n"), "BadStatusLine"),
        (said(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n"), "HTTPException: got more than 100 headers"),
    ],
)
def test_what_is_no_whole_answer_is_said_in_words(server: KeyServer, behave: Behaviour, why: str) -> None:
    server.behave = behave
    with pytest.raises(NoAnswer, match=why):
        asked(server.url())
    assert server.asked == ["/jwks"]


def test_an_answer_of_the_largest_size_is_whole(server: KeyServer) -> None:
    server.behave = serving(b"x" * 100)
    assert asked(server.url("/a?b=c")) == Answer(200, b"x" * 100)
    assert server.asked == ["/a?b=c"]


def test_an_address_in_brackets_and_an_empty_path_are_asked() -> None:
    with pytest.raises(NoAnswer, match="ConnectionRefusedError"):
        asked("http://[::1]:1")


def silent(connection: socket.socket) -> None:
    connection.recv(4096)


def dripping_handshake(connection: socket.socket) -> None:
    """The head of a ServerHello that never ends."""
    connection.recv(4096)
    connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
    for _ in range(100):
        connection.sendall(b"a")
        time.sleep(0.05)


def dripping_head(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\na: ")
    for _ in range(100):
        connection.sendall(b"a")
        time.sleep(0.05)


def body_without_an_end(connection: socket.socket) -> None:
    """What our own end of the connection would end as if it were whole."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(100):
        connection.sendall(b"a")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("scheme", "behave"),
    [
        ("http", silent),
        ("https", silent),
        ("https", dripping_handshake),
        ("http", dripping_head),
        ("http", body_without_an_end),
    ],
)
def test_whoever_takes_too_long_is_left_at_the_deadline(scheme: str, behave: Callable[[socket.socket], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    behave(connection)
                    connection.recv(1)
                except OSError:
                    return  # they left

        threading.Thread(target=serve, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(NoAnswer, match="too slow"):
            asked(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/", within=0.2)
        assert time.monotonic() - began < 1.5


def test_no_proxy_of_the_environment_is_asked(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.behave = serving(b"{}")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert asked(server.url()).body == b"{}"
