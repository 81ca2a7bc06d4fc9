"""What is remembered of heads: it changes nothing but the time, and stays bounded."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanes import pinned
from lanes.express import head as heads
from lanes.express import writing
from lanes.express.head import HeadProblem, ReplyHead, RequestHead, parse_reply, parse_request
from lanes.express.writing import request_message

_lines = st.sampled_from(
    [
        b"Host: h",
        b"Content-Length: 3",
        b"Content-Length: 03",
        b"Content-Length: +3",
        b"Content-Length:3",
        b"Content-Length: 3 ",
        b"content-length: 4",
        b"Transfer-Encoding: chunked",
        b"Connection: close, x",
        b"X: y",
        b"X:  y\t",
        b"X: y\x00",
        b"X: y\nZ: z",
        b"X : y",
        b"X",
        b"",
    ]
)


def read(head: bytes, *, reply: bool) -> RequestHead | ReplyHead | str:
    try:
        return parse_reply(head) if reply else parse_request(head, 5)
    except HeadProblem as problem:
        return problem.code


@given(st.lists(_lines, max_size=7), st.booleans())
def test_a_head_met_before_reads_the_same(lines: list[bytes], reply: bool) -> None:
    head = b"\r\n".join([b"HTTP/1.1 200 OK" if reply else b"POST /x HTTP/1.1", *lines])
    heads._fields_known.clear()
    heads._heads_known.clear()
    first = read(head, reply=reply)

    assert read(head, reply=reply) == first


@given(st.lists(_lines, max_size=7), st.lists(_lines, max_size=7))
def test_a_head_reads_the_same_whatever_was_met_before(before: list[bytes], lines: list[bytes]) -> None:
    head = b"\r\n".join([b"POST /x HTTP/1.1", *lines])
    heads._fields_known.clear()
    heads._heads_known.clear()
    alone = read(head, reply=False)
    heads._fields_known.clear()
    heads._heads_known.clear()
    read(b"\r\n".join([b"POST /x HTTP/1.1", *before]), reply=False)

    assert read(head, reply=False) == alone


@pytest.mark.parametrize(
    ("length", "code"),
    [(b"7", None), (b"", "bad_request"), (b"+7", "bad_request"), (b"7 8", "bad_request"), (b"9" * 16, "bad_request")],
)
def test_of_a_head_met_before_the_length_is_read_anew(length: bytes, code: str | None) -> None:
    head = b"POST /x HTTP/1.1\r\nA: 1\r\nContent-Length: %b\r\nB: 2"
    parse_request(head % b"3", 5)
    found = parse_request(head % length, 5)

    assert found.fault == code
    if code is None:
        assert found.length == 7
        assert found.fields == ((b"A", b"1"), (b"Content-Length", b"7"), (b"B", b"2"))


def test_the_same_lines_in_another_order_are_another_head() -> None:
    assert parse_request(b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nA: 1", 5).fields[0] == (b"Content-Length", b"3")
    assert parse_request(b"POST /x HTTP/1.1\r\nA: 1\r\nContent-Length: 3", 5).fields[0] == (b"A", b"1")


def test_what_is_remembered_of_heads_is_bounded() -> None:
    long = b"x" * (heads._LINE_BYTES + 1)
    with contextlib.suppress(HeadProblem):
        for i in range(heads._LINES + 500):
            parse_request(b"GET /%d HTTP/1.1\r\nX-%d: y\r\nZ: %b" % (i, i % 100, b"%d" % i + long * (i % 2)), 100)

    assert len(heads._fields_known) <= heads._LINES
    assert max(map(len, heads._fields_known)) <= heads._LINE_BYTES


def test_whole_heads_that_are_remembered_are_bounded() -> None:
    for i in range(heads._HEADS + 500):
        parse_request(b"GET / HTTP/1.1\r\nX: %d\r\nContent-Length: 3" % i, 100)
    parse_request(b"GET / HTTP/1.1\r\nX: %b\r\nContent-Length: 3" % (b"x" * heads._HEAD_BYTES), 100)

    assert len(heads._heads_known) <= heads._HEADS
    assert max(len(rest) for _, rest in heads._heads_known) <= heads._HEAD_BYTES


def message(
    fields: pinned.Fields, body: bytes, *, host: str = "h", path: bytes = b"/x", method: bytes = b"POST"
) -> bytes:
    request = pinned.request(host, 80, b"http", method, b"", path, b"HTTP/1.1", fields, 0.0)
    request.data.content = body
    return request_message(request)


@pytest.mark.parametrize(
    ("fields", "body", "method", "written"),
    [
        (((b"A", b"1"), (b"Content-Length", b"9")), b"abc", b"POST", b"A: 1\r\nContent-Length: 3\r\n\r\nabc"),
        (((b"A", b"1"), (b"Content-Length", b"1")), b"", b"GET", b"A: 1\r\nContent-Length: 0\r\n\r\n"),
        (((b"content-length", b"1"), (b"A", b"1")), b"", b"GET", b"A: 1\r\nContent-Length: 0\r\n\r\n"),
        (((b"A", b"1"),), b"", b"GET", b"A: 1\r\n\r\n"),
        (((b"A", b"1"),), b"", b"POST", b"A: 1\r\nContent-Length: 0\r\n\r\n"),
        (((b"A", b"1"), (b"Connection", b"a")), b"xy", b"GET", b"Content-Length: 2\r\n\r\nxy"),
    ],
)
def test_a_request_like_one_before_is_written_the_same_with_its_own_length(
    fields: pinned.Fields, body: bytes, method: bytes, written: bytes
) -> None:
    expected = method + b" /x HTTP/1.1\r\nHost: h\r\n" + written
    writing._heads_known.clear()

    assert message(fields, body, method=method) == expected
    assert message(fields, body, method=method) == expected


def test_no_remembered_head_is_taken_for_another_destination_or_path() -> None:
    fields = ((b"A", b"1"), (b"Content-Length", b"0"))

    assert message(fields, b"").startswith(b"POST /x HTTP/1.1\r\nHost: h\r\n")
    assert message(fields, b"", host="i").startswith(b"POST /x HTTP/1.1\r\nHost: i\r\n")
    assert message(fields, b"", path=b"/y").startswith(b"POST /y HTTP/1.1\r\nHost: h\r\n")


def test_a_head_that_smuggles_a_line_is_refused_every_time() -> None:
    for _ in range(2):
        with pytest.raises(HeadProblem):
            message(((b"A", b"1\r\nB: 2"), (b"Content-Length", b"0")), b"")


def test_written_heads_that_are_remembered_are_bounded() -> None:
    for i in range(writing._HEADS + 100):
        message(((b"A", b"%d" % i),), b"")
    message(((b"A", b"x" * 10_000),), b"")

    assert len(writing._heads_known) <= writing._HEADS
    assert max(len(head) for head, _ in writing._heads_known.values()) <= writing._HEAD_BYTES


def test_a_signed_head_is_for_one_request_and_not_remembered() -> None:
    writing._heads_known.clear()

    signed = message(((b"x-amz-date", b"20270101T000000Z"), (b"authorization", b"AWS4-HMAC-SHA256 x")), b"{}")

    assert b"x-amz-date: 20270101T000000Z\r\n" in signed
    assert not writing._heads_known
