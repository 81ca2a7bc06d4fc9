"""What is held of a request's body is what was sent of it, and no more."""

import tracemalloc

from lanes.express.head import RequestHead, parse_request
from lanes.express.limits import Limits
from lanes.express.request_body import Held, RequestBody

LIMITS = Limits(body_bytes=8 << 20, bodies_bytes=1 << 20)


def chunked() -> RequestHead:
    return parse_request(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", 10)


def test_tiny_chunks_take_no_more_memory_than_they_hold() -> None:
    body = RequestBody(chunked(), LIMITS, 0.0, Held())
    piece = b"2\r\nab\r\n" * 8000
    tracemalloc.start()
    for _ in range(20):
        assert body.feed(piece) is None
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 2 * 20 * 16_000


def test_what_is_dropped_is_given_back() -> None:
    held = Held()
    first = RequestBody(chunked(), LIMITS, 0.0, held)
    second = RequestBody(chunked(), LIMITS, 0.0, held)

    assert first.feed(b"a0000\r\n" + b"x" * 0xA0000) is None
    assert second.feed(b"a0000\r\n" + b"x" * 0xA0000) == "overloaded"
    del second
    assert held.size == 0xA0000
    del first
    assert held.size == 0
