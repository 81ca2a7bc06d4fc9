"""A key endpoint on loopback that behaves as badly as it is told to."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator

from tests.listening import Listening

type Behaviour = Callable[[socket.socket, str], None]


class KeyServer(Listening):
    """Answers each connection by `behave(connection, path)`, and counts them."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.behave: Behaviour = serving(b"{}")
        self.asked: list[str] = []
        self.heads: list[str] = []
        self._open: list[socket.socket] = []
        super().__init__()

    def url(self, path: str = "/jwks") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def _one(self, connection: socket.socket) -> None:
        self._open.append(connection)
        with contextlib.suppress(OSError), self._secured(connection) as connection:
            head = b""
            while b"\r\n\r\n" not in head:
                got = connection.recv(4096)
                if not got:
                    return
                head += got
            path = head.split(b" ", 2)[1].decode()
            self.asked.append(path)
            self.heads.append(head.decode())
            self.behave(connection, path)

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection

    def close(self) -> None:
        super().close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def key_server(tls: ssl.SSLContext | None = None) -> Iterator[KeyServer]:
    server = KeyServer(tls)
    try:
        yield server
    finally:
        server.close()


def serving(body: bytes, status: str = "200 OK", *more: str, length: int | None = None) -> Behaviour:
    def behave(connection: socket.socket, _: str) -> None:
        size = len(body) if length is None else length
        head = [f"HTTP/1.1 {status}", f"content-length: {size}", "connection: close", *more, "", ""]
        connection.sendall("\r\n".join(head).encode() + body)

    return behave


def by_path(bodies: dict[str, bytes]) -> Behaviour:
    def behave(connection: socket.socket, path: str) -> None:
        if path in bodies:
            serving(bodies[path])(connection, path)
        else:
            serving(b"", "404 Not Found")(connection, path)

    return behave


def hanging(connection: socket.socket, _: str) -> None:
    """Takes the request and says nothing, until the other side leaves."""
    connection.settimeout(20)
    connection.recv(1)


def dripping(connection: socket.socket, _: str) -> None:
    """A byte of header every 50 ms, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-drip: ")
    for _step in range(400):
        connection.sendall(b"a")
        time.sleep(0.05)


def resetting(connection: socket.socket, _: str) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
