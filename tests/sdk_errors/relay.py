"""Between an SDK and the gateway: keeps what went by, so that a test can count requests and read answers whole."""

import contextlib
import socket
import threading


class Relay:
    """A port on loopback that leads to another one. Use it as a context manager."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked = bytearray()
        self.answered = bytearray()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def requests(self) -> int:
        """How many requests went by."""
        return self.asked.count(b" HTTP/1.1\r\n")

    def __enter__(self) -> "Relay":
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type] # our own methods
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                caller, _ = self._listener.accept()
                gateway = socket.create_connection(("127.0.0.1", self._to))
                self._open += [caller, gateway]
                self._run(self._pump, caller, gateway, self.asked)
                self._run(self._pump, gateway, caller, self.answered)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                kept += data
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
