"""A token endpoint on loopback that answers as it is told to, and remembers what it was asked."""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

type Answer = tuple[int, bytes]


class TokenServer:
    """`answer(path, body)` decides; `asked` holds path and body of each request, in order."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.answer: Callable[[str, bytes], Answer] = lambda path, body: (500, b"")
        self.pace = 0.0  # seconds after each byte of an answer
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.asked.append((self.path, body))
                status, answer = outer.answer(self.path, body)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                if not outer.pace:
                    self.wfile.write(answer)
                    return
                with contextlib.suppress(OSError):
                    for byte in answer:
                        self.wfile.write(bytes([byte]))
                        time.sleep(outer.pace)

            do_GET = do_POST  # noqa: N815 - the library's name

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/oauth/token") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def token_server(tls: ssl.SSLContext | None = None) -> Iterator[TokenServer]:
    server = TokenServer(tls)
    try:
        yield server
    finally:
        server.close()


def tokens(*, life: float = 3600) -> Callable[[str, bytes], Answer]:
    """A new token for each request: token-1, token-2, …"""
    given = iter(range(1, 1000))

    def answer(path: str, body: bytes) -> Answer:
        token = {"access_token": f"token-{next(given)}", "token_type": "Bearer", "expires_in": life}
        return 200, json.dumps(token).encode()

    return answer
