"""Puts what a reverse caller would send into a connection that is opened on its way: TLS to a provider's host, brought
to the transparent listener. So one table of inputs serves for every way in."""

import contextlib
import select
import socket
import ssl
import threading
from pathlib import Path

from tests.attacks.target import gateway
from tests.journeys.forwarding import HOST
from tests.journeys.instance import Instance
from tests.journeys.provider import Provider
from tests.ports import free_port

_AS_WRITTEN, _AS_SENT = b"Host: checkpoint\r\n", b"Host: " + HOST.encode() + b"\r\n"


class Diverted:
    """`port` takes connections, and carries them on within TLS. A context manager."""

    def __init__(self, to: int, authority: Path) -> None:
        self._to = to
        self._context = ssl.create_default_context(cafile=str(authority))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Diverted":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            caller,
            socket.create_connection(("127.0.0.1", self._to), 5) as raw,
            self._context.wrap_socket(raw, server_hostname=HOST) as secured,
        ):
            while True:
                ready = [secured] if secured.pending() else select.select([caller, secured], [], [], 20)[0]
                if not ready:
                    return
                if secured in ready:
                    secured.settimeout(0)  # what is there may be a ticket, and no data
                    try:
                        data = secured.recv(65536)
                    except ssl.SSLWantReadError:
                        data = None
                    secured.settimeout(20)
                    if data == b"":
                        return
                    caller.sendall(data or b"")
                if caller in ready:
                    if not (data := caller.recv(65536)):
                        return
                    secured.sendall(data.replace(_AS_WRITTEN, _AS_SENT))


def diverted_gateway(folder: Path, provider: Provider) -> tuple[Instance, int]:
    """A gateway with a transparent listener, not started yet, and that listener's port."""
    instance = gateway(folder, provider, "express")
    port = free_port()
    text = instance.config.read_text(encoding="utf-8")
    text = text.replace(
        f"listen: 127.0.0.1:{instance.port}\n",
        f"listen:\n  - {{address: '127.0.0.1:{instance.port}'}}\n"
        f"  - {{address: '127.0.0.1:{port}', mode: transparent}}\n",
    )
    text = text.replace("openai: {upstream:", f"openai: {{hosts: [{HOST}], upstream:", 1)
    instance.config.write_text(text, encoding="utf-8")
    return instance, port
