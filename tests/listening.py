"""What servers of tests have in common: a port of loopback, and a thread for each connection."""

import contextlib
import socket
import threading
from abc import ABC, abstractmethod


class Listening(ABC):
    """Listens from the start until `close`. Subclasses say what `_one` does with a connection, which is theirs."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed: the test is over
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    @abstractmethod
    def _one(self, connection: socket.socket) -> None:
        """Serve this connection, and close it."""
