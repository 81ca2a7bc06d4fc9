"""One question over HTTP to a server that may be hostile, slow or broken. Blocks: never on an event loop.

No proxies from the environment (HTTPS_PROXY may well be this checkpoint), no redirects (http.client follows none, and
no token must follow one), a limit on bytes and on the whole time. Where the settings name a company's proxy, it leaves
through that (outbound.way_out).
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from outbound.upstream_proxy import UpstreamProxyFailed
from outbound.way_out import proxy_for, tunnel

_ATTEMPT_S: Final = 3.0
"""Seconds for a connection to one address; a name may have a second one that does answer."""


class NoAnswer(OSError):  # noqa: N818 - says what happened
    """There was no whole answer of a status that was hoped for; the message says why, in words for the log."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the whole body that came with it."""

    status: int
    body: bytes


def ask(
    method: str,
    url: str,
    *,
    deadline: float,
    largest: int,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    hoped_for: Container[int] = range(100, 1000),
    ca_file: Path | None = None,
) -> Answer:
    """What the server says, within `deadline` (time.monotonic) and `largest` bytes of body. Blocks at most until the
    deadline and one look-up of the name. The body of a status that is not `hoped_for` is not read.

    Raises:
        NoAnswer: whatever went wrong.
    """
    try:
        return _answer(method, url, deadline, largest, headers or {}, body, hoped_for, ca_file)
    except NoAnswer:
        raise
    except UpstreamProxyFailed as problem:
        raise NoAnswer(str(problem)) from problem
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as problem:
        # AttributeError: http.client, when the socket was shut under it at the deadline.
        late = time.monotonic() >= deadline
        raise NoAnswer("too slow" if late else f"{type(problem).__name__}: {problem}"[:200]) from problem


def _answer(
    method: str,
    url: str,
    deadline: float,
    largest: int,
    headers: Mapping[str, str],
    body: bytes | None,
    hoped_for: Container[int],
    ca_file: Path | None,
) -> Answer:
    parts = urlsplit(url)
    secured = parts.scheme == "https"
    host, kind = parts.hostname or "", http.client.HTTPSConnection if secured else http.client.HTTPConnection
    connection = kind(host, parts.port)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with _connected(host, connection.port, deadline) as sock:
        # From here on every wait ends by itself at the deadline or is ended there: TLS handshake, head and body.
        connection.sock = (
            ssl.create_default_context(cafile=ca_file).wrap_socket(sock, server_hostname=host) if secured else sock
        )
        with contextlib.closing(connection):
            usual = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "sekisho"}
            connection.request(method, target, body=body, headers={**usual, **headers})
            with connection.getresponse() as answer:
                if answer.status not in hoped_for:
                    raise NoAnswer(f"status {answer.status}")
                if answer.getheader("content-encoding", "identity") != "identity":
                    raise NoAnswer("an encoded body that was not asked for")
                return Answer(answer.status, _body(answer, deadline, largest))


def _body(answer: http.client.HTTPResponse, deadline: float, largest: int) -> bytes:
    found = bytearray()
    while chunk := answer.read1(65536):
        found += chunk
        if len(found) > largest:
            raise NoAnswer(f"more than {largest} bytes")
    if time.monotonic() >= deadline:
        raise NoAnswer("too slow")  # what looks like an end may be our own
    if answer.length:
        raise NoAnswer("the body broke off")
    return bytes(found)


@contextlib.contextmanager
def _connected(host: str, port: int, deadline: float) -> Iterator[socket.socket]:
    """A connection that is ended at the deadline wherever it stands: a socket's own timeout begins anew with every
    byte. What ends it is a twin of the socket's, which stays when TLS takes the first one over."""
    left = max(0.001, deadline - time.monotonic())
    proxy = proxy_for(host)
    where = (proxy.host, proxy.port) if proxy is not None else (host, port)
    with socket.create_connection(where, timeout=min(_ATTEMPT_S, left)) as sock, sock.dup() as twin:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(left)

        def shut() -> None:
            with contextlib.suppress(OSError):  # ended meanwhile
                twin.shutdown(socket.SHUT_RDWR)

        watch = threading.Timer(max(0.0, deadline - time.monotonic()), shut)
        watch.daemon = True
        watch.start()
        try:
            if proxy is None:
                yield sock
            else:
                with tunnel(proxy, sock, host, port) as led:
                    yield led
        finally:
            watch.cancel()
