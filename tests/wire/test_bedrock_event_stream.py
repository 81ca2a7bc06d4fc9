"""AWS event stream frames. botocore, which reads them for the official SDK, is the oracle where it is installed."""

import random
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.api import Event
from wire.bedrock.event_stream import LARGEST, FrameReader


def header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return bytes([len(key)]) + key + b"\x07" + struct.pack("!H", len(text)) + text


def raw_frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + struct.pack("!I", zlib.crc32(prelude))
    body = head + headers + payload
    return body + struct.pack("!I", zlib.crc32(body))


def frame(payload: bytes, name: str = "chunk", kind: str = "event") -> bytes:
    typed = {"event": ":event-type", "exception": ":exception-type", "error": ":error-code"}[kind]
    headers = header(typed, name) + header(":content-type", "application/json") + header(":message-type", kind)
    return raw_frame(headers, payload)


def read(*pieces: bytes) -> tuple[list[Event], FrameReader]:
    reader = FrameReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.close(), reader


STREAM = frame(b'{"role":"assistant"}', "messageStart") + frame('{"t":"é"}'.encode(), "contentBlockDelta")
EVENTS = [Event('{"role":"assistant"}', "messageStart"), Event('{"t":"é"}', "contentBlockDelta")]


def test_frames_do_not_depend_on_where_the_network_cut_them() -> None:
    assert read(STREAM)[0] == EVENTS
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM))))[0] == EVENTS
    for at in range(1, len(STREAM)):
        assert read(STREAM[:at], STREAM[at:])[0] == EVENTS


def test_the_official_sdk_s_reader_sees_the_same_frames() -> None:
    botocore = pytest.importorskip("botocore.eventstream", reason="botocore is not installed")
    buffer = botocore.EventStreamBuffer()
    buffer.add_data(STREAM)
    theirs = [Event(each.payload.decode(), each.headers[":event-type"]) for each in buffer]
    assert theirs == EVENTS


def test_exceptions_and_errors_are_events_of_the_error_field() -> None:
    error = raw_frame(
        header(":message-type", "error") + header(":error-code", "Busy") + header(":error-message", "later"), b""
    )
    events, _ = read(frame(b'{"message":"slow"}', "throttlingException", "exception") + error)
    assert events == [
        Event('{"message":"slow"}', "throttlingException", "error"),
        Event('{"code": "Busy", "message": "later"}', "Busy", "error"),
    ]


def test_a_frame_whose_checksum_is_wrong_is_dropped_and_counted() -> None:
    broken = bytearray(frame(b'{"n":1}'))
    broken[-6] ^= 1
    events, reader = read(bytes(broken) + frame(b'{"n":2}'))
    assert events == [Event('{"n":2}', "chunk")]
    assert (reader.bad_frames, reader.unread) == (1, 0)


def test_behind_a_broken_length_nothing_is_read_and_the_bytes_are_counted() -> None:
    good, broken = frame(b"{}"), bytearray(frame(b"{}"))
    broken[3] ^= 1
    events, reader = read(good + bytes(broken) + good, good)
    assert events == [Event("{}", "chunk")]
    assert (reader.bad_frames, reader.unread) == (1, 3 * len(good))


@pytest.mark.parametrize(("length", "headers"), [(LARGEST + 1, 0), (15, 0), (20, 8), (0, 0)])
def test_impossible_lengths_are_refused_even_with_a_right_checksum(length: int, headers: int) -> None:
    prelude = struct.pack("!II", length, headers)
    _, reader = read(prelude + struct.pack("!I", zlib.crc32(prelude)) + b"\0" * 32)
    assert (reader.bad_frames, reader.unread) == (1, 44)


def test_a_body_that_ends_inside_a_frame_says_so() -> None:
    events, reader = read(STREAM[:-1])
    assert events == EVENTS[:1]
    assert reader.unterminated
    assert not read(STREAM)[1].unterminated


def test_headers_of_every_type_are_passed_over() -> None:
    odd = b"".join(
        bytes([1]) + name + bytes([kind]) + value
        for name, kind, value in (
            (b"a", 0, b""), (b"b", 1, b""), (b"c", 2, b"\1"), (b"d", 3, b"\0\1"), (b"e", 4, b"\0" * 4),
            (b"f", 5, b"\0" * 8), (b"g", 6, b"\0\2xy"), (b"h", 8, b"\0" * 8), (b"i", 9, b"\0" * 16),
        )
    )  # fmt: skip
    assert read(raw_frame(odd + header(":event-type", "chunk"), b"{}"))[0] == [Event("{}", "chunk")]


@pytest.mark.parametrize("headers", [b"\x05a", b"\x01a\x63", b"\x01a\x07\x00\x09x", b"\x01a\x05\0", b"\x01a"])
def test_headers_that_do_not_add_up_cost_their_frame_only(headers: bytes) -> None:
    events, reader = read(raw_frame(headers, b"{}") + frame(b"{}"))
    assert events == [Event("{}", "chunk")]
    assert reader.bad_frames == 1


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), seed=st.integers(0, 1 << 16))
def test_no_bytes_raise(data: bytes, seed: int) -> None:
    chance = random.Random(seed)
    mixed = bytearray(STREAM + data + STREAM)
    for _ in range(chance.randrange(4)):
        mixed[chance.randrange(len(mixed))] = chance.randrange(256)
    at = chance.randrange(len(mixed))
    events, reader = read(bytes(mixed[:at]), bytes(mixed[at:]))
    assert len(events) + reader.bad_frames <= 4 + len(data) // 16
