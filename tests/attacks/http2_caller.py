"""A caller that speaks HTTP/2 frame by frame, through a tunnel."""

import contextlib
import ssl
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from tests.journeys.forwarding import HOST, ForwardInstance, basic

type Fields = list[tuple[str, str]]


@dataclass
class Got:
    """What came on one stream."""

    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    reset: int | None = None


class Http2Caller:
    """Acknowledges what it receives unless `slow`. A context manager."""

    def __init__(self, instance: ForwardInstance, token: str | None = None, *, slow: bool = False) -> None:
        connection, head = instance.knocks(f"{HOST}:443", *([basic(token)] if token else []))
        assert head.startswith(b"HTTP/1.1 200 "), head
        context = instance.trusting()
        context.set_alpn_protocols(["h2"])
        self.socket: ssl.SSLSocket = context.wrap_socket(connection, server_hostname=HOST)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True, header_encoding="utf-8", validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )  # fmt: skip
        self.h2.initiate_connection()
        self.flush()
        self.got: dict[int, Got] = {}
        self.over: int | None = None  # GOAWAY's code, or -1 for a plain end
        self._slow = slow

    def __enter__(self) -> "Http2Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def ask(
        self, body: bytes | None = None, *, more: Fields | None = None, changed: dict[str, str] | None = None,
        end: bool = True,
    ) -> int:  # fmt: skip
        """Begins a request; `changed` are pseudo-headers. Returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        named = {
            ":method": "POST" if body is not None else "GET", ":scheme": "https", ":authority": HOST,
            ":path": "/v1/chat/completions",
        } | (changed or {})  # fmt: skip
        fields = [*named.items(), ("content-type", "application/json"), *(more or [])]
        self.h2.send_headers(stream, fields, end_stream=end and body is None)
        self.got[stream] = Got()
        if body is not None:
            self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def call(self, *parts: bytes, more: Fields | None = None, end: bool = True, path: str = "/test.Echo/Say") -> int:
        """Begins a call of gRPC with these messages. Returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        fields = [
            (":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", path), ("te", "trailers"),
            ("content-type", "application/grpc+proto"), ("user-agent", "grpc-test/1"), *(more or []),
        ]  # fmt: skip
        self.h2.send_headers(stream, fields)
        self.got[stream] = Got()
        for part in parts:
            for at in range(0, len(part), 16000):
                self.h2.send_data(stream, part[at : at + 16000])
        if end:
            self.h2.end_stream(stream)
        self.flush()
        return stream

    def read(self) -> bool:
        """What is there now. False at the end."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            data = b""
        if not data:
            self.over = -1 if self.over is None else self.over
            return False
        for event in self.h2.receive_data(data):
            self._heard(event)
        with contextlib.suppress(OSError):  # it hung up; what it said before is still to be read
            self.flush()
        return True

    def _heard(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.over = int(event.error_code or 0)
            return
        got = self.got.get(getattr(event, "stream_id", 0) or 0)
        if got is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            got.fields = {str(name): str(value) for name, value in event.headers}
            got.status = int(got.fields[":status"])
        elif isinstance(event, h2.events.DataReceived):
            got.body += event.data or b""
            if not self._slow:
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, h2.events.TrailersReceived):
            got.trailers = {str(name): str(value) for name, value in event.headers}
        elif isinstance(event, h2.events.StreamEnded):
            got.ended = True
        elif isinstance(event, h2.events.StreamReset):
            got.reset = int(event.error_code or 0)

    def wait(self, *streams: int) -> list[Got]:
        """Until these are over, or the connection is."""
        waited = [self.got[stream] for stream in streams]
        while any(not got.ended and got.reset is None for got in waited) and self.read():
            pass
        return waited
