"""HTTP/2 in the caller's own frames: floods of those that cost us more than them, and heads that two could read
differently (RFC 9113 §8.2, §8.3)."""

import ssl
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.attacks.http2_caller import Http2Caller
from tests.attacks.test_table import peak_memory
from tests.journeys.forwarding import ForwardInstance
from tests.journeys.instance import GATEWAY
from tests.journeys.provider import Provider, completion

ASKED = b'{"model":"gpt-4o","messages":[]}'
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9

type Gate = tuple[ForwardInstance, Provider, str]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    limits = "limits: {head: 16 KiB, body: 1 MiB, body_time: 2 s, head_time: 2 s}\n"
    with (
        Provider() as provider,
        ForwardInstance(
            tmp_path_factory.mktemp("h2"), provider.url, profile="gateway", more=GATEWAY + limits
        ) as instance,
    ):
        provider.answer = completion()
        yield instance, provider, instance.mint("ann@example.com")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """RFC 9113 §4.1."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def head(caller: Http2Caller) -> bytes:
    """The block of a head that may pass."""
    return bytes(caller.h2.encoder.encode([(":method", "GET"), (":scheme", "https"), (":authority", "api.openai.com"),
                                           (":path", "/v1/models")]))  # fmt: skip


def continuations(caller: Http2Caller) -> Iterator[bytes]:
    yield frame(HEADERS, 0, 1, head(caller))  # CVE-2024-27316: its end never comes
    for _ in range(160):
        yield frame(CONTINUATION, 0, 1) * 250


def large_continuations(caller: Http2Caller) -> Iterator[bytes]:
    yield frame(HEADERS, 0, 1, head(caller))
    for _ in range(2000):
        yield frame(CONTINUATION, 0, 1, b"\x00\x01a\x7f\x80\x3f" + b"b" * 8190)


def settings(_caller: Http2Caller) -> Iterator[bytes]:
    for _ in range(160):
        yield frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100)) * 250  # CVE-2019-9515


def growing_settings(_caller: Http2Caller) -> Iterator[bytes]:
    for i in range(160):
        yield b"".join(frame(SETTINGS, 0, 0, struct.pack(">HI", 100 + i, j)) for j in range(250))


def pings(_caller: Http2Caller) -> Iterator[bytes]:
    for _ in range(160):
        yield frame(PING, 0, 0, b"12345678") * 250  # CVE-2019-9512


def priorities(_caller: Http2Caller) -> Iterator[bytes]:
    for i in range(160):
        # CVE-2019-9513; of streams that are not there yet
        yield b"".join(frame(PRIORITY, 0, 2 * (250 * i + j) + 1, struct.pack(">IB", 0, 9)) for j in range(250))


def window_updates(_caller: Http2Caller) -> Iterator[bytes]:
    for _ in range(160):
        yield frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) * 250


def empty_data(caller: Http2Caller) -> Iterator[bytes]:
    named = [(":method", "POST"), (":scheme", "https"), (":authority", "api.openai.com")]
    post = [*named, (":path", "/v1/chat/completions"), ("content-type", "application/json")]
    yield frame(HEADERS, 4, 1, bytes(caller.h2.encoder.encode(post)))
    for _ in range(160):
        yield frame(DATA, 0, 1) * 250  # CVE-2019-9518


def resets(caller: Http2Caller) -> Iterator[bytes]:
    for i in range(2000):
        yield frame(HEADERS, 5, 2 * i + 1, head(caller)) + frame(RST_STREAM, 0, 2 * i + 1, struct.pack(">I", 8))


def provoked_resets(caller: Http2Caller) -> Iterator[bytes]:
    """CVE-2025-8671: the server is made to reset, so that a count of the caller's resets stays at nothing."""
    for i in range(2000):
        overflowing = frame(WINDOW_UPDATE, 0, 2 * i + 1, struct.pack(">I", 0x7FFFFFFF))
        yield frame(HEADERS, 5, 2 * i + 1, head(caller)) + overflowing


def bombs(caller: Http2Caller) -> Iterator[bytes]:
    """HPACK: one large field in the table, named a thousand times."""
    yield frame(HEADERS, 5, 1, head(caller) + b"\x40\x01a\x7f\x81\x1e" + b"b" * 4000)
    for i in range(1, 400):
        yield frame(HEADERS, 5, 2 * i + 1, head(caller) + b"\xbe" * 16000)


FLOODS: list[Callable[[Http2Caller], Iterator[bytes]]] = [
    continuations, large_continuations, settings, growing_settings, pings, priorities, window_updates, empty_data,
    resets, provoked_resets, bombs,
]  # fmt: skip


@pytest.mark.parametrize("flood", FLOODS, ids=[flood.__name__ for flood in FLOODS])
def test_a_flood_of_frames_is_bounded_and_others_go_on(gate: Gate, flood: Callable[..., Iterator[bytes]]) -> None:
    instance, provider, token = gate
    (worker,) = instance.pids("worker")
    before, received = peak_memory(worker), len(provider.received)
    with Http2Caller(instance, token) as caller:
        caller.socket.settimeout(4)  # it takes nothing of what is answered
        sent = 0
        try:
            for piece in flood(caller):
                caller.socket.sendall(piece)
                sent += len(piece)
        except OSError:
            pass  # it was ended, or held back: both will do
        grown = peak_memory(worker) - before
        with Http2Caller(instance, token) as other:
            assert other.wait(other.ask(ASKED))[0].status == 200, sent
    assert grown < 40 << 20, (grown, sent)
    assert len(provider.received) - received <= 250, "what is begun and left does not reach the provider for long"
    assert instance.pids("worker") == [worker]
    assert "Traceback" not in instance.log.read_text(encoding="utf-8")


TRICKS: list[tuple[str, list[tuple[str, str]]]] = [
    ("two authorities", [(":authority", "api.openai.com"), (":authority", "evil.example.com")]),
    ("two authorities, the other first", [(":authority", "evil.example.com"), (":authority", "api.openai.com")]),
    ("two paths", [(":path", "/v1/models"), (":path", "/v1/files")]),
    ("two methods", [(":method", "POST"), (":method", "GET")]),
    ("host and authority", [("host", "evil.example.com")]),
    ("another scheme", [(":scheme", "http")]),
    ("a pseudo-header behind others", [("accept", "*/*"), (":path", "/v1/files")]),
    ("an unknown pseudo-header", [(":protocol", "websocket")]),
    ("a status", [(":status", "200")]),
    ("connection", [("connection", "authorization")]),
    ("keep-alive", [("keep-alive", "5")]),
    ("proxy-connection", [("proxy-connection", "close")]),
    ("transfer-encoding", [("transfer-encoding", "chunked")]),
    ("upgrade", [("upgrade", "websocket")]),
    ("te", [("te", "gzip")]),
    ("upper case", [("X-Thing", "a")]),
    ("a line break in a value", [("x-thing", "a\r\nauthorization: Bearer x")]),
    ("a line break in a name", [("x-thing: a\r\nx", "b")]),
    ("a zero byte", [("x-thing", "a\0b")]),
    ("an empty name", [("", "b")]),
    ("a line break in the path", [(":path", "/v1/models\r\nx: y")]),
    ("another length", [("content-length", "5")]),
    ("two lengths", [("content-length", "32"), ("content-length", "5")]),
]


@pytest.mark.parametrize(("what", "fields"), TRICKS, ids=[what for what, _ in TRICKS])
def test_a_head_that_two_could_read_differently_does_not_pass(
    gate: Gate, what: str, fields: list[tuple[str, str]]
) -> None:
    instance, provider, token = gate
    received = len(provider.received)
    named = {":method": "POST", ":scheme": "https", ":authority": "api.openai.com", ":path": "/v1/chat/completions"}
    for name, _ in fields:
        named.pop(name, None)
    pseudo = [field for field in fields if field[0].startswith(":")]
    others = [("content-type", "application/json"), *[field for field in fields if not field[0].startswith(":")]]
    block = [*named.items(), *pseudo, *others]
    if "behind" in what:
        block = [*named.items(), *others, *pseudo]
    with Http2Caller(instance, token) as caller:
        caller.socket.settimeout(5)
        caller.socket.sendall(frame(HEADERS, 4, 1, bytes(caller.h2.encoder.encode(block))) + frame(DATA, 1, 1, ASKED))
        said = b""
        try:
            while b"error" not in said and (data := caller.socket.recv(65536)):
                said += data
        except (TimeoutError, ssl.SSLError, ConnectionResetError):
            said += b"(nothing more)"
    assert b"chatcmpl" not in said, what
    assert len(provider.received) == received, what
    with Http2Caller(instance, token) as other:
        assert other.wait(other.ask(ASKED))[0].status == 200, "a head of the same fields is not taken for this one"
