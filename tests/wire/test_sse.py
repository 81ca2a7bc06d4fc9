"""Server-sent events by the WHATWG rules (HTML §9.2.6), in any cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.cuts import every_cut, random_cuts
from wire.api import Event
from wire.sse import EventStream


def read(*pieces: bytes, stream: EventStream | None = None) -> list[Event]:
    stream = stream or EventStream()
    events = [event for piece in pieces for event in stream.feed(piece)]
    return events + stream.close()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_events_do_not_depend_on_where_the_network_cut_them(end: bytes) -> None:
    raw = 'data: hé\n\nevent: delta\ndata: {"a": 1}\n\n: c\ndata:x\n\n'.encode().replace(b"\n", end)
    for chunks in every_cut(raw):
        assert read(*chunks) == [Event("hé"), Event('{"a": 1}', "delta"), Event("x")], chunks


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data: a\n\n", [Event("a")]),
        (b"data:a\n\n", [Event("a")]),
        (b"data:  a\n\n", [Event(" a")]),
        (b"data: a\ndata: b\n\n", [Event("a\nb")]),
        (b"data\n\n", [Event("")]),
        (b"event: x\n\n", []),
        (b"event: x\ndata: a\n\ndata: b\n\n", [Event("a", "x"), Event("b")]),
        (b"id: 7\nretry: 10\ndata: a\n\n", [Event("a")]),
        (b": comment\n\ndata: a\n: inside\ndata: b\n\n", [Event("a\nb")]),
        (b":\n\n:\n\ndata: a\n\n", [Event("a")]),
        (b"\n\n\ndata: a\n\n\n\n", [Event("a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event("a")]),
        (b'error: {"code": 500}\n\n', [Event('{"code": 500}', "", "error")]),
        (b"data: a\nerror: b\n\n", [Event("b", "", "error"), Event("a")]),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\r", [Event("a"), Event("b"), Event("c")]),
        ("data: a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\n\n".encode(), [Event("a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg")]),
    ],
)
def test_lines_are_read_as_the_specification_says(raw: bytes, events: list[Event]) -> None:
    for chunks in every_cut(raw):
        assert read(*chunks) == events, chunks


def test_a_cr_at_the_end_of_a_chunk_and_its_lf_in_the_next_are_one_line_end() -> None:
    stream = EventStream()
    assert stream.feed(b"data: a\r") == []
    assert stream.feed(b"\ndata: b\r") == []
    assert stream.feed(b"\n\r") == [Event("a\nb")]
    assert stream.feed(b"\n") == []


def test_an_event_is_handed_on_with_the_chunk_that_completes_it() -> None:
    stream = EventStream()
    assert stream.feed(b"data: a\r\n\r") == [Event("a")]
    assert stream.feed(b"\ndata: b\n\n") == [Event("b")]


@pytest.mark.parametrize("last", [b'data: {"a": 1}', b'data: {"a": 1}\n', b"data: [DONE]", b'data: {"a":\ndata: 1}'])
def test_a_last_event_without_its_blank_line_counts_when_its_payload_is_whole(last: bytes) -> None:
    stream = EventStream()
    assert len(read(b"data: x\n\n", last, stream=stream)) == 2
    assert stream.unterminated


def test_a_last_event_that_was_cut_is_kept_aside_and_makes_no_event() -> None:
    stream = EventStream()
    assert read(b'data: x\n\ndata: {"a": "cu', stream=stream) == [Event("x")]
    assert (stream.unterminated, stream.cut) == (False, '{"a": "cu')


def test_garbage_lines_are_counted_and_never_fatal() -> None:
    stream = EventStream()
    assert read(b"garbage\nmore: garbage\ndata: a\n\n<html>\n\ndata: b\n\n", stream=stream) == [Event("a"), Event("b")]
    assert stream.bad_lines == 3


def test_json_lines_without_a_field_name_make_an_event_together() -> None:
    raw = b'data: {"a": 1}\n\n{\n  "error": {\n    "code": 503\n  }\n}\n'
    for chunks in every_cut(raw):
        stream = EventStream()
        assert read(*chunks, stream=stream)[1].data == '{\n  "error": {\n    "code": 503\n  }\n}'
        assert stream.bad_lines == 0


def test_garbage_on_both_sides_of_an_event_is_not_taken_together() -> None:
    raw = b'{\n\ndata: a\n\n"b": 1}\n\ndata: b\n\n'
    for chunks in every_cut(raw):
        assert read(*chunks) == [Event("a"), Event("b")], chunks


def test_what_is_not_utf8_is_replaced_and_counted() -> None:
    stream = EventStream()
    assert read(b"data: a\xff\n\n", stream=stream) == [Event("a\ufffd")]
    assert stream.bad_text == 1


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_line_or_an_event_beyond_the_limit_is_dropped_whole_and_counted(size: int) -> None:
    raw = b"data: a\n\ndata: " + b"x" * 300 + b"\n\n" + b"data: 456789\n" * 40 + b"\ndata: b\n\n"
    stream = EventStream(limit=200)
    events = read(*(raw[i : i + size] for i in range(0, len(raw), size)), stream=stream)
    assert events == [Event("a"), Event("b")]
    assert stream.oversized == 2


def test_a_line_that_never_ends_holds_no_more_than_the_limit() -> None:
    stream = EventStream(limit=1000)
    for _ in range(100):
        assert stream.feed(b"data: " + b"x" * 100) == []
        assert sum(map(len, stream._tail)) <= 1000
    assert stream.close() == []
    assert stream.oversized == 1


LINES = st.sampled_from(
    [
        b"data: a",
        b"data:",
        b"data: {}",
        b"event: e",
        b": c",
        b"",
        b"",
        b"id: 1",
        b"junk",
        b"error: e",
        "data: é語".encode(),
    ]
)


@given(st.lists(LINES, max_size=30), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.integers(0, 1000), st.booleans())
def test_any_lines_in_any_cuts_give_the_same_events(lines: list[bytes], end: bytes, seed: int, bom: bool) -> None:
    raw = b"".join(line + b"\n" for line in lines)
    rewritten = (b"\xef\xbb\xbf" if bom else b"") + raw.replace(b"\n", end)
    assert read(*random_cuts(rewritten, seed, 9)) == read(raw)


@given(st.binary(max_size=300), st.integers(0, 1000))
def test_no_bytes_make_it_raise_and_cuts_never_matter(raw: bytes, seed: int) -> None:
    assert read(*random_cuts(raw, seed, 5)) == read(raw)
