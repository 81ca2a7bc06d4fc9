"""Heads, as tables; and the reader of chunks, in every cut."""

import contextlib

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanes.express.chunks import ChunkProblem, ChunkWalk
from lanes.express.head import HeadProblem, parse_reply, parse_request


def test_a_request_is_read_as_it_came() -> None:
    head = parse_request(b"POST /v1?a=b HTTP/1.1\r\nHost:h\r\nx-A: \t b c \t\r\nEmpty:\r\nContent-Length: 3", 10)
    assert head.fields == ((b"Host", b"h"), (b"x-A", b"b c"), (b"Empty", b""), (b"Content-Length", b"3"))
    assert (head.method, head.path, head.version, head.length) == (b"POST", b"/v1?a=b", b"HTTP/1.1", 3)
    assert head.keep
    assert head.fault is None


def test_an_absolute_target_that_names_nobody_is_no_target() -> None:
    with pytest.raises(HeadProblem, match="bad_request"):
        parse_request(b"GET http:///v1 HTTP/1.1\r\nHost: h", 200)


@pytest.mark.parametrize(
    ("fields", "keep"),
    [
        (b"", True),
        (b"Connection: keep-alive", True),
        (b"Connection: close", False),
        (b"Connection: CLOSE", False),
        (b"Connection: x, close", False),
        (b"Connection: x\r\nConnection: close", False),
        (b"Connection: closed", True),
    ],
)
def test_connection_says_whether_there_is_a_next_request(fields: bytes, keep: bool) -> None:
    assert parse_request(b"GET / HTTP/1.1\r\nHost: h" + (b"\r\n" + fields if fields else b""), 10).keep is keep


@pytest.mark.parametrize(
    ("head", "length", "chunked", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3", 3, False, True),
        (b"HTTP/1.1 200\r\nContent-Length: 3", 3, False, True),
        (b"HTTP/1.1 200 \r\nContent-Length: 0", 0, False, True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked", None, True, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close", 3, False, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3", 3, False, False),
        (b"HTTP/1.1 200 OK", None, False, True),
        (b"HTTP/1.1 200 \xe2\x9c\x93 fine", None, False, True),
    ],
)
def test_a_reply_says_how_it_ends(head: bytes, length: int | None, chunked: bool, keep: bool) -> None:
    got = parse_reply(head)
    assert (got.length, got.chunked, got.keep) == (length, chunked, keep)


@given(st.binary(max_size=60))
def test_no_bytes_make_a_head_parser_raise_anything_else(data: bytes) -> None:
    for line, parse in (
        (b"GET / HTTP/1.1\r\n", lambda d: parse_request(d, 100)),
        (b"HTTP/1.1 200 OK\r\n", parse_reply),
    ):
        for head in (data, line + data):
            with contextlib.suppress(HeadProblem):
                parse(head)


class Seen:
    """What httptools' callbacks tell. llhttp leaves white space behind a value, which is no part of it."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.keep: bool | None = None
        self.fields: list[tuple[bytes, bytes]] = []
        self.url = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.rstrip(b" \t")))

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_headers_complete(self) -> None:
        self.keep = self.parser.should_keep_alive()


_bits = st.sampled_from(
    [
        b"A",
        b"x-y",
        b":",
        b" ",
        b"\t",
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b"Content-Length",
        b"Transfer-Encoding",
        b"chunked",
        b"3",
        b"+3",
        b",",
        b"Host: h",
        b"_",
        b"\xff",
        b"Connection: close",
    ]
)


@given(st.lists(_bits, max_size=12))
def test_what_we_accept_llhttp_reads_the_same(bits: list[bytes]) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: h\r\n" + b"".join(bits)
    try:
        ours = parse_request(head, 100)
    except HeadProblem:
        return
    if ours.fault is not None:
        return
    seen = Seen()
    seen.parser.feed_data(head + b"\r\n\r\n")
    assert tuple(seen.fields) == ours.fields
    assert seen.url == ours.path
    assert seen.keep is ours.keep


CHUNKED = b'3\r\nabc\r\n0A ; x="y"\r\n0123456789\r\n1\r\nz\r\n000\r\nX: y\r\nZ: a\r\n\r\n'
PAYLOAD = b"abc0123456789z"


def walk(*parts: bytes) -> tuple[bytes, int, bytes]:
    reader = ChunkWalk()
    payload = b""
    for part in parts:
        payload += b"".join(reader.feed(part))
    return payload, reader.end, reader.trailers


def test_chunks_do_not_depend_on_where_the_network_cut_them() -> None:
    whole = (PAYLOAD, len(CHUNKED), b"X: y\r\nZ: a\r\n")
    assert walk(CHUNKED) == whole
    for i in range(1, len(CHUNKED)):
        payload, end, trailers = walk(CHUNKED[:i], CHUNKED[i:] + b"more")
        assert (payload, end + i, trailers) == whole
    payload, end, trailers = walk(*[CHUNKED[i : i + 1] for i in range(len(CHUNKED))])
    assert (payload, end, trailers) == (PAYLOAD, 1, b"X: y\r\nZ: a\r\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"+1\r\n",
        b"0x1\r\n",
        b"1_1\r\n",
        b" 1\r\n",
        b"g\r\n",
        b"\r\n",
        b"1\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1;\x00\r\n",
        b"-1\r\n",
        b"1" * 16 + b"\r\n",
        b"1 2\r\n",
        b"1;" + b"a" * 5000,
    ],
)
def test_bad_chunks_are_bad_in_every_cut(raw: bytes) -> None:
    with pytest.raises(ChunkProblem):
        walk(raw)
    with pytest.raises(ChunkProblem):
        walk(*[raw[i : i + 1] for i in range(len(raw))])
