"""H: what one caller may take of us."""

import itertools
import time
from collections.abc import Iterator

from tests.attacks.rows import GOOD, Row, post

_LARGE = ("headers_too_large", "bad_request")
_OPEN = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n"
_MEGABYTE = 1 << 20


def _endless_line() -> Iterator[bytes]:
    yield b"GET /"
    for _ in range(48):
        yield b"a" * 65536


def _endless_value() -> Iterator[bytes]:
    yield _OPEN + b"X-A: "
    for _ in range(48):
        yield b"a" * 65536


def _endless_fields() -> Iterator[bytes]:
    yield _OPEN
    for _ in range(48):
        yield b"X-A: b\r\n" * 8192


def _endless_body() -> Iterator[bytes]:
    yield post(b"", f"Content-Length: {1 << 30}", auth="", framed=b"")
    for _ in range(256):
        yield b"a" * 65536


def _endless_chunks() -> Iterator[bytes]:
    yield post(b"", "Transfer-Encoding: chunked", auth="", framed=b"")
    for _ in range(256):
        yield b"10000\r\n" + b"a" * 65536 + b"\r\n"


def _endless_chunks_with_identity() -> Iterator[bytes]:
    yield post(b"", "Transfer-Encoding: chunked", framed=b"")
    for _ in range(256):
        yield b"10000\r\n" + b" " * 65536 + b"\r\n"


def _slow_head() -> Iterator[bytes]:
    for byte in itertools.chain(_OPEN, itertools.repeat(ord("a"), 60)):
        yield bytes([byte])
        time.sleep(0.1)


def _slow_lines() -> Iterator[bytes]:
    yield _OPEN
    for _ in range(20):
        yield b"X-A: b\r\n"
        time.sleep(0.25)


def _blank_lines() -> Iterator[bytes]:
    for _ in range(48):
        yield b"\r\n" * 4096
    yield post()


ROWS: tuple[Row, ...] = (
    Row("H1", "1 MB in one header", post(GOOD, b"X-A: " + b"a" * _MEGABYTE), (431,), _LARGE, recorded=False),
    Row("H1", "a request line without end", _endless_line, (400, 431), _LARGE, recorded=False),
    Row("H1", "a value without end", _endless_value, (431,), _LARGE, recorded=False),
    Row("H1", "fields without end", _endless_fields, (431,), _LARGE, recorded=False),
    Row("H1", "200,000 fields", post(GOOD, b"\r\n".join([b"X-A: b"] * 200_000)), (431,), _LARGE, recorded=False),
    Row("H1", "201 fields", post(GOOD, b"\r\n".join([b"X-A: b"] * 201)), (431,), _LARGE, recorded=False),
    Row("H1", "empty lines without end, then a request", _blank_lines, (200,), body=GOOD, recorded=False),
    Row("H2", "refused, body without end", _endless_body, (401,), ("missing_identity",)),
    Row("H2", "refused, chunks without end", _endless_chunks, (401,), ("missing_identity",)),
    Row("H2", "allowed, chunks without end", _endless_chunks_with_identity, (413,), ("body_too_large",)),
    Row("H3", "a byte now and then", _slow_head, (408,), ("header_timeout",), recorded=False),
    Row("H3", "a line now and then", _slow_lines, (408,), ("header_timeout",), recorded=False),
)
"""H4, H6, H7: test_availability.py. H5 is a matter of lint and review. H8: the fronts."""
