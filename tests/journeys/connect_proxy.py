"""A company's proxy: CONNECT alone, whose answer can be told, and every name is this machine's."""

import contextlib
import select
import socket
import ssl
from typing import Self

from tests.listening import Listening

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ConnectProxy(Listening):
    """`asked` holds the heads of what was asked of it. `answer` None: connect; else this is said, and the end."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.asked: list[str] = []
        self.answer: bytes | None = None
        self.opened = OPEN
        self.is_slow = False  # after what it says there is no end
        self.carried = 0  # bytes, both ways
        super().__init__()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            caller = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            stack.enter_context(caller)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += caller.recv(1)
            self.asked.append(head.decode())
            if self.answer is not None:
                caller.sendall(self.answer)
                if self.is_slow:
                    caller.recv(1)
                return
            port = int(head.split()[1].rpartition(b":")[2])
            host = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            caller.sendall(self.opened)
            self._carry(caller, host)

    def _carry(self, caller: socket.socket, host: socket.socket) -> None:
        """Both ways in one thread, until one side ends: a TLS socket is not for two."""
        while True:
            held = isinstance(caller, ssl.SSLSocket) and caller.pending()
            ready = [caller] if held else select.select([caller, host], [], [], 20)[0]
            if not ready:
                return
            for source in ready:
                if not (data := source.recv(65536)):
                    return
                (host if source is caller else caller).sendall(data)
                self.carried += len(data)
