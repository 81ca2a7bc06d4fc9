"""A company's proxy: CONNECT alone, whose answer can be told, and every name is this machine's."""

import contextlib
import socket
import ssl
import threading
from typing import Self

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ConnectProxy:
    """`asked` holds the heads of what was asked of it. `answer` None: connect; else this is said, and the end."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.asked: list[str] = []
        self.answer: bytes | None = None
        self.opened = OPEN
        self.is_slow = False  # after what it says there is no end
        self.carried = 0  # bytes from whoever asked

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

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
            host.settimeout(None)
            caller.sendall(self.opened)
            back = threading.Thread(target=self._carry, args=(host, caller), daemon=True)
            back.start()
            self._carry(caller, host)
            back.join(20)

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
                self.carried += len(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
