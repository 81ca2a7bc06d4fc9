"""One small document from a web server that may be hostile, slow or broken, and never on the event loop.

No proxies from the environment (HTTPS_PROXY may well be this checkpoint), no redirects (http.client follows none),
a limit on bytes and on the whole time. Each fetch has a daemon thread of its own: the loop's default executor also
resolves names for upstream connections, and a hanging key server must not fill it, nor hold up the end of the process.
"""

import asyncio
import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

LARGEST = 512 * 1024
"""Bytes of a document. Key sets in the field have up to some 30 KB."""

DEADLINE_S = 5.0
_SOCKET_S = 3.0


class FetchFailed(OSError):  # noqa: N818 - says what happened
    """The document could not be had; the message says why, in words for the log."""


def document(url: str, *, deadline: float, ca_file: Path | None = None, bearer: str | None = None) -> bytes:
    """The body of a 200 answer. Blocks, at most until `deadline` (time.monotonic) and one connection attempt more.

    Raises:
        FetchFailed: whatever went wrong.
    """
    try:
        return _document(url, deadline, ca_file, bearer)
    except FetchFailed:
        raise
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as problem:
        # AttributeError: http.client, when the socket was shut under it at the deadline.
        raise FetchFailed(f"{type(problem).__name__}: {problem}"[:200]) from problem


def _document(url: str, deadline: float, ca_file: Path | None, bearer: str | None) -> bytes:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection(host, parts.port, timeout=_SOCKET_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_SOCKET_S)
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "sekisho"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    with contextlib.closing(connection), _shut_at(deadline, connection):
        connection.request("GET", parts.path or "/", headers=headers)
        with connection.getresponse() as answer:
            if answer.status != 200:
                raise FetchFailed(f"status {answer.status}")
            if answer.getheader("content-encoding", "identity") != "identity":
                raise FetchFailed("an encoded body that was not asked for")
            return _body(answer, deadline)


def _body(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    promised = answer.getheader("content-length")
    found = bytearray()
    while chunk := answer.read1(65536):
        found += chunk
        if len(found) > LARGEST:
            raise FetchFailed(f"more than {LARGEST} bytes")
        if time.monotonic() > deadline:
            raise FetchFailed("too slow")
    if promised is not None and promised.isdigit() and int(promised) != len(found):
        raise FetchFailed("the body broke off")
    return bytes(found)


@contextlib.contextmanager
def _shut_at(deadline: float, connection: http.client.HTTPConnection) -> Iterator[None]:
    """Ends a connection at the deadline wherever it stands: a socket's own timeout begins anew with every byte."""

    def shut() -> None:
        sock = connection.sock
        if sock is not None:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as twin:
                twin.shutdown(socket.SHUT_RDWR)

    watch = threading.Timer(max(0.0, deadline - time.monotonic()), shut)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


async def off_loop[T](work: Callable[[], T], *, within: float) -> T:
    """The result of blocking work done in a daemon thread of its own.

    Raises:
        TimeoutError: it took longer than `within` seconds; its result will be ignored.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, problem: BaseException | None) -> None:
        if done.done():
            return
        if problem is not None:
            done.set_exception(problem)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only beside a problem, or where T is None

    def run() -> None:
        result: T | None = None
        problem: BaseException | None = None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - handed over to whoever waits
            problem = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=run, name="sekisho-keys", daemon=True).start()
    async with asyncio.timeout(within):
        return await done
