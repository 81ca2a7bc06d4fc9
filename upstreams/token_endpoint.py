"""One POST to a token endpoint that may be slow, broken or hostile.

No proxies from the environment (HTTPS_PROXY may well be this checkpoint), no redirects (a token must not follow one),
a limit on bytes and on the whole time.
"""

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from exchange.call import Json
from upstreams.refreshed import NotObtained

DEADLINE_S = 10.0
_SOCKET_S = 5.0
_LARGEST = 256 << 10


def post(url: str, body: bytes, media_type: str, *, ca_file: Path | None = None) -> tuple[int, dict[str, Json]]:
    """Status and answer, which is empty where it is no JSON object. Blocks, at most DEADLINE_S and one connection
    attempt.

    Raises:
        NotObtained: there was no whole answer.
    """
    try:
        status, raw = _answer(url, body, media_type, ca_file)
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as problem:
        # AttributeError: http.client, when the socket was shut under it at the deadline.
        raise NotObtained(f"cannot be had from {url}: {type(problem).__name__}: {problem}"[:300]) from problem
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = None
    return status, answer if isinstance(answer, dict) else {}


def _answer(url: str, body: bytes, media_type: str, ca_file: Path | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection(host, parts.port, timeout=_SOCKET_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_SOCKET_S)
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": media_type,
        "User-Agent": "sekisho",
    }
    with contextlib.closing(connection):
        connection.connect()
        with _shut_at_the_deadline(connection.sock):
            connection.request("POST", parts.path or "/", body=body, headers=headers)
            with connection.getresponse() as answer:
                found = bytearray()
                while chunk := answer.read1(65536):
                    found += chunk
                    if len(found) > _LARGEST:
                        raise ValueError(f"more than {_LARGEST} bytes")
                if answer.length:
                    raise http.client.IncompleteRead(bytes(found), answer.length)
                return answer.status, bytes(found)


@contextlib.contextmanager
def _shut_at_the_deadline(sock: socket.socket) -> Iterator[None]:
    """Ends a connection wherever it stands: a socket's own timeout begins anew with every byte."""

    def shut() -> None:
        with contextlib.suppress(OSError):  # closed meanwhile
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    watch = threading.Timer(DEADLINE_S, shut)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()
