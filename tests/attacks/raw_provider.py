"""A provider that answers every request with the very bytes it is told, and then closes, resets or waits."""

import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

type End = Literal["keep", "close", "reset"]


@dataclass(slots=True)
class RawProvider:
    """Use it as a context manager. `replies` are given in turn, the last one again and again."""

    replies: list[bytes] = field(default_factory=list)
    end: End = "close"
    tls: ssl.SSLContext | None = None
    connections: int = 0
    received: list[bytes] = field(default_factory=list)
    port: int = 0
    _listener: socket.socket = field(default_factory=socket.socket)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def __enter__(self) -> "RawProvider":
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed: the test is over
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        try:
            with self.tls.wrap_socket(connection, server_side=True) if self.tls else connection as open_one:
                while self._asked(open_one):
                    reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                    open_one.sendall(reply)
                    if self.end == "reset":
                        time.sleep(0.3)  # what was sent is to arrive before
                        open_one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if self.end != "keep":
                        return
        except OSError:
            pass  # the other side left, as some tests want it to

    def _asked(self, connection: socket.socket) -> bool:
        got = b""
        while b"\r\n\r\n" not in got:
            more = connection.recv(65536)
            if not more:
                return False
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        low = head.lower()
        size = int(low.partition(b"content-length:")[2].split(b"\r\n")[0]) if b"content-length:" in low else 0
        while len(body) < size:
            body += connection.recv(65536)
        self.received.append(head + b"\r\n\r\n" + body)
        return True
