"""A provider that speaks HTTP/2 frame by frame, over TLS, and remembers what it received."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from lanes.mitm.http2_connection import PlainEncoder
from tests.identities.certificates import authority, server_tls
from tests.listening import Listening

type Fields = list[tuple[str, str]]

HEAD: Fields = [(":status", "200"), ("content-type", "application/grpc+proto")]
OK: Fields = [("grpc-status", "0")]


def message(data: bytes) -> bytes:
    """One message of gRPC: not compressed, its length, itself."""
    return b"\0" + len(data).to_bytes(4) + data


@dataclass
class Asked:
    """One stream, as it arrived."""

    stream: int
    connection: int
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    parts: list[tuple[float, bytes]] = field(default_factory=list)
    trailers: Fields = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    def named(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


class Peer:
    """One connection. `script` is told of each event; what it says goes out at once."""

    def __init__(self, provider: "Http2Provider", wire: ssl.SSLSocket, number: int) -> None:
        self.provider, self.wire, self.number = provider, wire, number
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=False, header_encoding="utf-8", validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )  # fmt: skip
        self.h2.encoder = PlainEncoder()
        self.asked: dict[int, Asked] = {}

    def flush(self) -> None:
        self.wire.sendall(self.h2.data_to_send())

    def raw(self, data: bytes) -> None:
        """Bytes of the test's own making, behind what is to be said."""
        self.wire.sendall(self.h2.data_to_send() + data)

    def head(self, stream: int, fields: Fields | None = None, *, end: bool = False) -> None:
        self.h2.send_headers(stream, fields or HEAD, end_stream=end)
        self.flush()

    def say(self, stream: int, data: bytes) -> None:
        """All of it, as far as the windows let it go at once."""
        self.h2.send_data(stream, data)
        self.flush()

    def trailers(self, stream: int, fields: Fields | None = None) -> None:
        self.h2.send_headers(stream, fields or OK, end_stream=True)
        self.flush()

    def serve(self) -> None:
        self.h2.initiate_connection()
        self.flush()
        while data := self.wire.recv(65536):
            try:
                events = self.h2.receive_data(data)
            except h2.exceptions.ProtocolError:
                self.flush()
                return
            for event in events:
                self._heard(event)
            self.flush()

    def _heard(self, event: h2.events.Event) -> None:
        stream = getattr(event, "stream_id", 0) or 0
        if isinstance(event, h2.events.RequestReceived):
            fields = [(str(name), str(value)) for name, value in event.headers]
            self.asked[stream] = Asked(stream, self.number, fields)
            self.provider.received.append(self.asked[stream])
        asked = self.asked.get(stream)
        if asked is None:
            return
        if isinstance(event, h2.events.DataReceived):
            asked.body += event.data or b""
            asked.parts.append((time.monotonic(), event.data or b""))
            if self.provider.takes:
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            elif event.flow_controlled_length:
                self.h2.increment_flow_control_window(event.flow_controlled_length)
        elif isinstance(event, h2.events.TrailersReceived):
            asked.trailers = [(str(name), str(value)) for name, value in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            asked.ended = True
        elif isinstance(event, h2.events.StreamReset):
            asked.reset = int(event.error_code or 0)
        try:
            self.provider.script(self, event, asked)
        except h2.exceptions.ProtocolError:
            self.provider.refused_by_h2 += 1  # a stream that was reset meanwhile


type Script = Callable[[Peer, h2.events.Event, Asked], None]


def echo(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
    """What was asked, when it is all there; grpc-status 0."""
    if isinstance(event, h2.events.StreamEnded):
        peer.head(asked.stream)
        peer.say(asked.stream, asked.body)
        peer.trailers(asked.stream)


def echo_at_once(peer: Peer, event: h2.events.Event, asked: Asked) -> None:
    """A head, and each part as it comes (bidirectional streaming)."""
    if isinstance(event, h2.events.RequestReceived):
        peer.head(asked.stream)
    elif isinstance(event, h2.events.DataReceived) and event.data:
        peer.say(asked.stream, event.data)
    elif isinstance(event, h2.events.StreamEnded):
        peer.trailers(asked.stream)


class Http2Provider(Listening):
    """At https://localhost:`port`; `ca_file` is what to trust. `protocols` are what it takes by ALPN: of a connection
    in HTTP/1.1 each request is kept in `http1`, and answered with 200 and nothing. A context manager."""

    def __init__(self, folder: Path, script: Script = echo, *, protocols: tuple[str, ...] = ("h2",)) -> None:
        self.ca_file = authority(folder)
        self._context = server_tls(folder, "localhost")
        self._context.set_alpn_protocols(list(protocols))
        self.script = script
        self.received: list[Asked] = []
        self.http1: list[bytes] = []
        self.chosen: list[str | None] = []
        self.takes = True  # gives the windows of streams back, and not only that of the connection
        self.refused_by_h2 = 0
        self.lost = 0  # connections that are over
        self._lock = threading.Lock()
        super().__init__()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def __enter__(self) -> "Http2Provider":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, connection: socket.socket) -> None:
        with (
            contextlib.suppress(OSError, ssl.SSLError),
            self._context.wrap_socket(connection, server_side=True) as wire,
        ):
            with self._lock:
                self.chosen.append(wire.selected_alpn_protocol())
                number = len(self.chosen)
            if wire.selected_alpn_protocol() == "h2":
                Peer(self, wire, number).serve()
            else:
                self._http1(wire)
        self.lost += 1

    def _http1(self, wire: ssl.SSLSocket) -> None:
        got = b""
        while data := wire.recv(65536):
            got += data
            head, end, body = got.partition(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if end and len(body) >= size:
                self.http1.append(got)
                got = b""
                wire.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc+proto\r\ncontent-length: 0\r\n\r\n")
