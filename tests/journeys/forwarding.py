"""A real Sekisho with a forward listener beside the reverse one, and callers who use it."""

import base64
import json
import socket
import ssl
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.journeys.instance import Instance
from tests.ports import free_port

HOST = "api.openai.com"
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "天気は？"}]}


class ForwardInstance(Instance):
    """`api.openai.com` is the provider `openai`, whose upstream is the one given. `forward` is the other port."""

    def __init__(self, folder: Path, upstream: str, *, listener: str = "", providers: str = "", **more: Any) -> None:
        super().__init__(folder, upstream, **more)
        self.forward = free_port()
        text = self.config.read_text(encoding="utf-8")
        text = text.replace(
            f"listen: 127.0.0.1:{self.port}\n",
            f"listen:\n  - {{address: '127.0.0.1:{self.port}'}}\n"
            f"  - {{address: '127.0.0.1:{self.forward}', mode: forward{listener}}}\n",
        )
        text = text.replace(f"{{upstream: '{upstream}'", f"{{upstream: '{upstream}', hosts: [{HOST}]", 1)
        self.config.write_text(text.replace("providers:\n", f"providers:\n{providers}", 1), encoding="utf-8")

    def __enter__(self) -> Self:
        if "profile: gateway" in self.config.read_text(encoding="utf-8"):
            made = self.sekisho("ca", "init")
            assert made.returncode == 0, made.stderr
        self.start()
        return self

    def _listens(self) -> bool:
        return super()._listens() and self.takes_connections(self.forward)

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.forward}"

    @property
    def authority(self) -> Path:
        return self.data_dir / "mitmproxy" / "mitmproxy-ca-cert.pem"

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def client(self, token: str | None = None, *, http2: bool = False, **more: Any) -> httpx2.Client:
        """A caller that goes through the proxy, with the token as the password of the proxy's address."""
        proxy = httpx2.Proxy(self.proxy, auth=("ann", token) if token else None)
        return httpx2.Client(proxy=proxy, verify=self.trusting(), http2=http2, timeout=20, **more)

    def knocks(self, target: str, *fields: str) -> tuple[socket.socket, bytes]:
        """A raw connection that has sent a CONNECT, and the head of what came back."""
        head = "".join(f"{one}\r\n" for one in (f"CONNECT {target} HTTP/1.1", f"Host: {target}", *fields, ""))
        connection = socket.create_connection(("127.0.0.1", self.forward), 5)
        connection.settimeout(20)
        connection.sendall(head.encode())
        self._sockets.append(connection)
        return connection, read_head(connection)

    def coverage(self, *options: str) -> list[dict[str, Any]]:
        done = self.sekisho("coverage", "--json", *options)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def covered(self, count: int, *options: str) -> list[dict[str, Any]]:
        """As soon as there are so many."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            if not (self.data_dir / "audit.db").exists():
                return False
            found[:] = self.coverage(*options)
            return len(found) >= count

        self.wait_until(enough)
        return found


def read_head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(4096)):
        data += more
    return data


def read_answer(connection: socket.socket) -> bytes:
    """One answer with a length, and nothing of what follows."""
    data = read_head(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0].partition(b":")[2]) - len(body) if lengths else 0
    while left > 0 and (more := connection.recv(left)):
        data, left = data + more, left - len(more)
    return data


def basic(token: str) -> str:
    return "Proxy-Authorization: Basic " + base64.b64encode(f"ann:{token}".encode()).decode()
