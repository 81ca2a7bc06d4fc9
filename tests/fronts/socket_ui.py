"""A chat UI whose page keeps a WebSocket open, as Open WebUI's does; what it heard is remembered."""

import threading
from dataclasses import dataclass, field

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

PAGE = """<!doctype html><html><head><meta charset=utf-8><title>UI</title></head><body><p id=heard></p><p id=state></p>
<script>
const say = (id, text) => { document.getElementById(id).textContent = text; };
const at = new URLSearchParams(location.search).get("at") || location.host;
const socket = new WebSocket(`ws://${at}/ws/socket.io/?EIO=4&transport=websocket`);
socket.onopen = () => { say("state", "open"); socket.send("こんにちは"); };
socket.onmessage = (event) => say("heard", event.data);
socket.onclose = (event) => say("state", `closed ${event.code}`);
</script></body></html>"""


@dataclass(slots=True)
class SocketUi:
    """Use it as a context manager."""

    sockets: list[Request] = field(default_factory=list)
    port: int = 0
    _server: Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "SocketUi":
        self._server = serve(self._echo, "127.0.0.1", 0, process_request=self._asked)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join(10)

    def _asked(self, _: ServerConnection, request: Request) -> Response | None:
        if request.path.startswith("/ws/"):
            self.sockets.append(request)
            return None
        body = PAGE.encode()
        fields = Headers({"Content-Type": "text/html", "Content-Length": str(len(body)), "Connection": "close"})
        return Response(200, "OK", fields, body)

    @staticmethod
    def _echo(connection: ServerConnection) -> None:
        try:
            for message in connection:
                assert isinstance(message, str)
                connection.send(f"{message} はい")
        except ConnectionClosed:
            return
