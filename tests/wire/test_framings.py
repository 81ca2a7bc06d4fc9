"""JSON lines, streamed JSON arrays, and the choice between framings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.cuts import every_cut, random_cuts
from wire.framing import framing
from wire.json_array import JsonArray
from wire.ndjson import JsonLines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def lines(*pieces: bytes, reader: JsonLines | None = None) -> list[str]:
    reader = reader or JsonLines()
    return [event.data for piece in pieces for event in reader.feed(piece)] + [each.data for each in reader.close()]


def elements(*pieces: bytes, reader: JsonArray | None = None) -> list[str]:
    reader = reader or JsonArray()
    return [event.data for piece in pieces for event in reader.feed(piece)] + [each.data for each in reader.close()]


def test_json_lines_do_not_depend_on_where_the_network_cut_them() -> None:
    raw = '{"a": "hé\\n"}\r\n\n{"b": 2}\n{"c": 3}'.encode()
    for chunks in every_cut(raw):
        assert [json.loads(line) for line in lines(*chunks)] == [{"a": "hé\n"}, {"b": 2}, {"c": 3}]


def test_a_cut_last_line_is_kept_aside() -> None:
    reader = JsonLines()
    assert lines(b'{"a": 1}\n{"b', reader=reader) == ['{"a": 1}']
    assert reader.cut == '{"b'


def test_a_line_beyond_the_limit_is_dropped_whole_and_counted() -> None:
    reader = JsonLines(limit=20)
    assert lines(b'{"a": 1}\n"', b"x" * 50, b'"\n{"b": 2}\n', reader=reader) == ['{"a": 1}', '{"b": 2}']
    assert reader.oversized == 1


def test_array_elements_do_not_depend_on_where_the_network_cut_them() -> None:
    raw = '[{"a": "],[{\\"\\\\"}\n,\r\n{"b": [1, {"c": "hé"}]},{}]\n'.encode()
    for chunks in every_cut(raw):
        assert [json.loads(each) for each in elements(*chunks)] == [{"a": '],[{"\\'}, {"b": [1, {"c": "hé"}]}, {}]


@given(st.lists(JSON, max_size=6), st.integers(0, 99), st.sampled_from([None, 1]))
def test_any_array_gives_its_elements(values: list[object], seed: int, indent: int | None) -> None:
    raw = json.dumps(values, indent=indent).encode()
    assert [json.loads(each) for each in elements(*random_cuts(raw, seed, 7))] == values


def test_an_array_that_breaks_off_gives_what_was_whole() -> None:
    reader = JsonArray()
    assert elements(b'[{"a": 1},{"b": 2},{"c"', reader=reader) == ['{"a": 1}', '{"b": 2}']
    assert (reader.unterminated, reader.cut) == (True, '{"c"')


def test_an_element_beyond_the_limit_is_dropped_whole_and_counted() -> None:
    reader = JsonArray(limit=20)
    assert elements(b'[{"a": 1},"' + b"x" * 50 + b'",{"b": 2}]', reader=reader) == ['{"a": 1}', '{"b": 2}']
    assert reader.oversized == 1


@given(st.binary(max_size=200), st.integers(0, 99))
def test_no_bytes_make_a_framing_raise(raw: bytes, seed: int) -> None:
    assert lines(*random_cuts(raw, seed, 5)) == lines(raw)
    assert elements(*random_cuts(raw, seed, 5)) == elements(raw)


@pytest.mark.parametrize(
    ("head", "media", "status", "streamed", "arrays", "kind"),
    [
        (b"data: {}", "text/event-stream", 200, True, False, "sse"),
        (b"data: {}", "text/event-stream", 200, False, False, "sse"),
        (b"\xef\xbb\xbfdata:{}", "", 200, True, False, "sse"),
        (b": ping\n", "application/json", 200, True, False, "sse"),
        (b"event: a\n", "text/plain", 200, True, False, "sse"),
        (b"data: {}", "text/plain", 200, False, False, "opaque"),
        (b'{"error": 1}', "text/event-stream", 200, True, False, "json"),
        (b'{"error": 1}', "application/json", 400, True, False, "json"),
        (b'{"a": 1}', "", 200, False, False, "json"),
        (b'{"a": 1}', "audio/mpeg", 200, False, False, "opaque"),
        (b"true", "application/json", 200, False, False, "json"),
        (b'[{"a": 1}', "application/json", 200, True, True, "array"),
        (b'[{"error": 1}', "application/json", 503, True, True, "json"),
        (b"[1]", "application/json", 200, True, False, "json"),
        (b'{"a": 1}\n', "application/x-ndjson", 200, True, False, "lines"),
        (b'{"error": 1}', "application/x-ndjson", 404, True, False, "json"),
        (b"\x00\x00", "application/vnd.amazon.eventstream", 200, True, False, "frames"),
        (b"ID3\x04", "audio/mpeg", 200, True, False, "opaque"),
        (b"<html>", "text/html", 502, True, False, "opaque"),
    ],
)
def test_the_framing_is_told_by_the_first_bytes_and_the_content_type(
    head: bytes, media: str, status: int, streamed: bool, arrays: bool, kind: str
) -> None:
    assert framing(head, media, status=status, streamed=streamed, arrays=arrays) == kind
