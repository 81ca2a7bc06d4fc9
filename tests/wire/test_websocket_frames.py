"""RFC 6455 frames: whatever the network cuts, and whatever a hostile peer sends."""

import contextlib
import random

import pytest
from websockets.frames import Frame, Opcode

from wire.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    INVALID_DATA,
    PING,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    FrameProblem,
    FrameWalker,
    Message,
    close_frame,
    frame,
    unmasked,
)

MASK = b"\x01\x7f\xff\x80"
LIMIT = 1 << 20


def fragment(opcode: int, payload: bytes, *, fin: bool, mask: bytes = MASK) -> bytes:
    whole = bytearray(frame(opcode, payload, mask))
    whole[0] &= 0xFF if fin else 0x7F
    return bytes(whole)


def walked(cuts: list[bytes], *, client: bool = True, limit: int = LIMIT) -> list[tuple[int, bytes | None, bytes]]:
    walker = FrameWalker(limit, from_client=client)
    return [(m.opcode, m.payload, m.raw) for cut in cuts for m in walker.feed(cut)]


CONVERSATION = [
    frame(TEXT, '{"text":"天気は？"}'.encode(), MASK),
    frame(PING, b"still there?", MASK),
    fragment(TEXT, b"one", fin=False) + frame(PING, b"amid", MASK) + fragment(CONTINUATION, b"two", fin=True),
    frame(BINARY, b"", MASK),
    frame(TEXT, b"x" * 126, MASK),
    frame(TEXT, b"y" * 70_000, MASK),
    close_frame(1000, "bye", MASK),
]


def test_messages_do_not_depend_on_where_the_network_cut_them() -> None:
    raw = b"".join(each for each in CONVERSATION if len(each) < 1000)
    whole = walked([raw])
    assert [m[:2] for m in whole] == [
        (TEXT, '{"text":"天気は？"}'.encode()),
        (PING, b"still there?"),
        (PING, b"amid"),
        (TEXT, b"onetwo"),
        (BINARY, b""),
        (TEXT, b"x" * 126),
        (CLOSE, b"\x03\xe8bye"),
    ]
    assert walked([raw[i : i + 1] for i in range(len(raw))]) == whole
    for i in range(1, len(raw)):
        assert walked([raw[:i], raw[i:]]) == whole, i


def test_what_is_held_of_a_client_are_its_very_bytes() -> None:
    raw = b"".join(CONVERSATION)
    chance = random.Random(7)
    for _ in range(50):
        cuts, rest = [], raw
        while rest:
            size = chance.randint(1, 5000)
            cuts.append(rest[:size])
            rest = rest[size:]
        found = walked(cuts)
        assert sorted(b"".join(m[2] for m in found)) == sorted(raw)
        assert [m[2] for m in found][4:] == CONVERSATION[3:]


def test_a_server_s_messages_say_where_they_end_so_that_something_can_be_said_between() -> None:
    first, second = frame(TEXT, b"first"), frame(TEXT, b"second")
    walker = FrameWalker(LIMIT, from_client=False)
    assert walker.feed(first + second[:3]) == [Message(TEXT, b"first", b"", len(first))]
    assert not walker.is_between
    assert walker.feed(second[3:]) == [Message(TEXT, b"second", b"", len(second) - 3)]
    assert walker.is_between


def test_a_server_s_message_past_the_limit_is_walked_over_and_not_kept() -> None:
    raw = frame(TEXT, b"z" * 5000) + frame(TEXT, b"next")
    cuts = [raw[i : i + 100] for i in range(0, len(raw), 100)]
    assert [m[1] for m in walked(cuts, client=False, limit=1000)] == [None, b"next"]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(TEXT, b"unmasked"), PROTOCOL_ERROR),
        (bytes((0xC1, 0x80)) + MASK, PROTOCOL_ERROR),  # RSV1: a compressed message, though nobody agreed on that
        (bytes((0x91, 0x80)) + MASK, PROTOCOL_ERROR),
        (bytes((0x83, 0x80)) + MASK, PROTOCOL_ERROR),  # reserved opcodes
        (bytes((0x8B, 0x80)) + MASK, PROTOCOL_ERROR),
        (fragment(PING, b"in parts", fin=False), PROTOCOL_ERROR),
        (bytes((0x89, 0xFE, 0, 126)) + MASK, PROTOCOL_ERROR),  # a ping of 126 bytes
        (bytes((0x81, 0xFE, 0, 5)) + MASK + b"hello", PROTOCOL_ERROR),  # 5 in two bytes
        (bytes((0x81, 0xFF)) + (200).to_bytes(8) + MASK, PROTOCOL_ERROR),
        (bytes((0x81, 0xFF)) + (1 << 63).to_bytes(8) + MASK, PROTOCOL_ERROR),
        (frame(CONTINUATION, b"of nothing", MASK), PROTOCOL_ERROR),
        (fragment(TEXT, b"a", fin=False) + frame(TEXT, b"b", MASK), PROTOCOL_ERROR),
        (frame(CLOSE, b"\x03", MASK), PROTOCOL_ERROR),
        (close_frame(1005, "", MASK), PROTOCOL_ERROR),
        (close_frame(2999, "", MASK), PROTOCOL_ERROR),
        (frame(CLOSE, b"\x03\xe8\xff", MASK), INVALID_DATA),
        (frame(TEXT, b"\xff\xfe", MASK), INVALID_DATA),
        (fragment(TEXT, "天".encode()[:2], fin=False) + fragment(CONTINUATION, b"x", fin=True), INVALID_DATA),
        (bytes((0x81, 0xFF)) + (1 << 40).to_bytes(8) + MASK, TOO_BIG),
        (fragment(TEXT, b"", fin=False) + fragment(CONTINUATION, b"", fin=False) * 20_000, TOO_BIG),
    ],
)  # fmt: skip
def test_a_hostile_frame_is_refused_with_its_close_code_wherever_it_is_cut(raw: bytes, code: int) -> None:
    good = frame(TEXT, b"good", MASK)
    for cuts in ([good + raw], [good, *(raw[i : i + 1] for i in range(min(len(raw), 40))), raw[40:]]):
        with pytest.raises(FrameProblem) as refused:
            walked(cuts)
        assert refused.value.code == code
    with pytest.raises(FrameProblem) as refused:
        FrameWalker(LIMIT, from_client=True).feed(good + raw)
    assert refused.value.messages[0].payload == b"good"  # what came before it is not lost
    assert refused.value.sound >= len(good)


def test_a_masked_frame_of_a_server_is_refused() -> None:
    with pytest.raises(FrameProblem) as refused:
        FrameWalker(LIMIT, from_client=False).feed(frame(TEXT, b"masked", MASK))
    assert refused.value.code == PROTOCOL_ERROR


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_frames_are_written_as_another_implementation_writes_them(size: int) -> None:
    payload = bytes(i % 251 for i in range(size))
    assert frame(TEXT, payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
    assert walked([Frame(Opcode.BINARY, payload).serialize(mask=True)])[0][:2] == (BINARY, payload)
    assert unmasked(unmasked(payload, MASK), MASK) == payload


def test_garbage_never_raises_anything_else() -> None:
    chance = random.Random(6455)
    for _ in range(2000):
        walker = FrameWalker(4096, from_client=chance.random() < 0.5)
        raw = chance.randbytes(chance.randint(1, 60))
        with contextlib.suppress(FrameProblem):
            for i in range(0, len(raw), 7):
                walker.feed(raw[i : i + 7])
