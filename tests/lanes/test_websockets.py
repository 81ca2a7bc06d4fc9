"""The relay of both lanes, without sockets: who gets which bytes, and how each end is told."""

import asyncio
import json
from typing import Any

import pytest

from lanes.websocket.relay import Relay
from lanes.websocket.session import Observed
from wire.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    INVALID_DATA,
    PING,
    POLICY,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    FrameWalker,
    close_frame,
    frame,
)
from wire.websocket.verdict import PASS, Verdict

MASK = b"\x11\x22\x33\x44"
LIMIT = 10_000


class Judge:
    """Passes what does not say no; waits for `gate` where there is one."""

    def __init__(self) -> None:
        self.judged: list[bytes] = []
        self.copied: list[bytes | None] = []
        self.ends: list[tuple[Observed, bool, str | None]] = []
        self.gate: asyncio.Event | None = None
        self.is_answering = False
        self.expelled = False

    def is_expelled(self) -> bool:
        return self.expelled

    def begin(self, upstream_request_id: str | None) -> None:
        raise AssertionError("the lane's affair")

    async def judge(self, message: bytes) -> Verdict:
        self.judged.append(message)
        if self.gate is not None:
            await self.gate.wait()
        if message == b"fault":
            raise RuntimeError("a fault of ours")
        if message.startswith(b"no"):
            return Verdict(passes=False, event=b'{"type":"error"}', close=(POLICY, "gone") if b"!" in message else None)
        return PASS

    def told(self, message: bytes | None) -> None:
        self.copied.append(message)

    def end(self, observed: Observed, *, clean: bool, code: str | None = None) -> None:
        self.ends.append((observed, clean, code))


class Wires:
    """Both connections, as far as the relay sees them."""

    def __init__(self) -> None:
        self.caller = self.provider = b""
        self.held: list[bool] = []
        self.closed: list[bool] = []

    def to_caller(self, data: bytes) -> None:
        self.caller += data

    def to_provider(self, data: bytes) -> None:
        self.provider += data

    def hold_caller(self, hold: bool) -> None:
        self.held.append(hold)

    def close(self, *, broken: bool) -> None:
        self.closed.append(broken)

    def closes(self, *, of_caller: bool = True) -> list[int]:
        """The codes of the close frames on one of them."""
        walker = FrameWalker(1 << 20, from_client=not of_caller)
        said = walker.feed(self.caller if of_caller else self.provider)
        return [int.from_bytes(m.payload[:2]) for m in said if m.opcode == CLOSE and m.payload]


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def wires() -> Wires:
    return Wires()


@pytest.fixture
def relay(judge: Judge, wires: Wires) -> Relay:
    return Relay(judge, wires, message_limit=LIMIT, silence=60, now=0)


def text(said: bytes) -> bytes:
    return frame(TEXT, said, MASK)


async def test_a_caller_s_frames_go_on_in_their_very_bytes_once_their_message_is_whole(
    relay: Relay, judge: Judge, wires: Wires
) -> None:
    first, rest = bytearray(frame(TEXT, b"one", MASK)), frame(CONTINUATION, b"two", MASK)
    first[0] &= 0x7F
    ping = frame(PING, b"amid", MASK)
    relay.from_caller(bytes(first) + ping, 0)
    assert wires.provider == ping
    assert judge.judged == []
    for byte in rest:
        relay.from_caller(bytes((byte,)), 0)
    assert wires.provider == ping + bytes(first) + rest
    assert judge.judged == [b"onetwo"]


async def test_a_provider_s_bytes_go_on_at_once_whatever_they_are(relay: Relay, judge: Judge, wires: Wires) -> None:
    raw = frame(TEXT, b"hello") + frame(PING, b"") + frame(BINARY, b"\x00" * 300)
    for at in range(0, len(raw), 3):
        relay.from_provider(raw[at : at + 3], 0)
        assert wires.caller == raw[: at + 3]
    assert judge.copied == [b"hello", b"\x00" * 300]


@pytest.mark.parametrize(
    ("sent", "code", "recorded"),
    [
        (frame(TEXT, b"unmasked"), PROTOCOL_ERROR, "websocket_violation"),
        (b"\xc1\x80" + MASK, PROTOCOL_ERROR, "websocket_violation"),
        (b"\x09\x80" + MASK, PROTOCOL_ERROR, "websocket_violation"),
        (b"\x81\xff" + (1 << 50).to_bytes(8) + MASK, TOO_BIG, "body_too_large"),
        (text(b"x" * LIMIT), TOO_BIG, "body_too_large"),
        (text(b"\xff"), INVALID_DATA, "websocket_violation"),
    ],
)
async def test_hostile_frames_are_closed_with_their_code_and_never_reach_the_provider(
    relay: Relay, judge: Judge, wires: Wires, sent: bytes, code: int, recorded: str
) -> None:
    relay.from_caller(sent, 0)
    assert wires.closes() == [code]
    assert wires.closes(of_caller=False) == [1001]
    assert judge.judged == []
    assert judge.ends == [("client_gone", False, recorded)]
    assert wires.closed == [False]  # in order: so that the caller can read why
    relay.from_caller(text(b"more"), 0)
    assert judge.judged == []


async def test_what_is_refused_stays_here_and_is_answered_between_two_messages(
    relay: Relay, judge: Judge, wires: Wires
) -> None:
    under_way, after = frame(TEXT, b"a long message"), frame(TEXT, b"after")
    relay.from_provider(under_way[:5], 0)
    relay.from_caller(text(b"no") + text(b"yes"), 0)
    assert wires.caller == under_way[:5]
    relay.from_provider(under_way[5:] + after, 0)
    assert wires.caller == under_way + after + frame(TEXT, b'{"type":"error"}')
    assert wires.provider == text(b"yes")
    in_parts = bytearray(frame(TEXT, b"in "))
    in_parts[0] &= 0x7F
    wires.caller = b""
    relay.from_provider(bytes(in_parts), 0)
    relay.from_caller(text(b"no"), 0)
    relay.from_provider(frame(PING, b""), 0)  # amid a message that comes in fragments
    relay.from_provider(frame(CONTINUATION, b"parts"), 0)
    assert wires.caller.endswith(frame(CONTINUATION, b"parts") + frame(TEXT, b'{"type":"error"}'))
    relay.from_caller(text(b"no!"), 0)
    assert wires.closes() == [POLICY]


async def test_one_message_is_judged_at_a_time_and_a_caller_that_sends_ahead_waits(
    relay: Relay, judge: Judge, wires: Wires
) -> None:
    judge.gate = asyncio.Event()
    many = [text(b"%d" % i + b"." * 9000) for i in range(200)]
    relay.from_caller(b"".join(many) + close_frame(1000, "", MASK), 0)
    await asyncio.sleep(0)
    assert len(judge.judged) == 1
    assert wires.held == [True]
    judge.gate.set()
    await asyncio.sleep(0.05)
    assert wires.held == [True, False]
    assert wires.provider == b"".join(many) + close_frame(1000, "", MASK)  # the close waits its turn


async def test_a_fault_of_ours_closes_and_nothing_passes(relay: Relay, judge: Judge, wires: Wires) -> None:
    relay.from_caller(text(b"fault") + text(b"next"), 0)
    assert wires.closes() == [1011]
    assert b"fault" not in wires.provider
    assert judge.judged == [b"fault"]
    assert len(judge.ends) == 1


async def test_a_caller_that_leaves_while_its_message_is_judged_has_asked_nothing(
    relay: Relay, judge: Judge, wires: Wires
) -> None:
    judge.gate = asyncio.Event()
    relay.from_caller(text(b"yes"), 0)
    relay.caller_gone()
    judge.gate.set()
    await asyncio.sleep(0.01)
    assert wires.closes(of_caller=False) == [1001]
    assert judge.ends == [("client_gone", False, None)]


async def test_a_provider_that_breaks_the_protocol_or_off_ends_the_caller_s_connection_too(
    relay: Relay, judge: Judge, wires: Wires
) -> None:
    good = frame(TEXT, b"good")
    relay.from_provider(good + b"\xc1\x00", 0)
    assert wires.caller == good
    assert wires.closes(of_caller=False) == [PROTOCOL_ERROR]
    assert judge.copied == [b"good"]
    assert judge.ends == [("upstream_cut", False, None)]
    assert wires.closed == [True]


async def test_closes_pass_from_end_to_end(relay: Relay, judge: Judge, wires: Wires) -> None:
    relay.from_caller(close_frame(1000, "bye", MASK), 0)
    relay.from_provider(close_frame(1000, "bye"), 0)
    relay.provider_gone()
    assert wires.provider == close_frame(1000, "bye", MASK)
    assert wires.caller == close_frame(1000, "bye")
    assert judge.ends == [("client_gone", True, None)]
    assert wires.closed == [False]


async def test_silence_ends_a_connection_and_bytes_keep_it(relay: Relay, judge: Judge, wires: Wires) -> None:
    for now in range(0, 600, 50):
        relay.from_provider(frame(PING, b""), now)
        relay.sweep(now + 49)
    assert judge.ends == []
    relay.sweep(1000)
    assert wires.closes() == [1001]
    assert judge.ends == [("timed_out", True, None)]


async def test_a_shutdown_waits_for_the_answer_under_way(relay: Relay, judge: Judge, wires: Wires) -> None:
    judge.is_answering = True
    relay.drain()
    assert wires.closes() == []
    judge.is_answering = False
    relay.from_provider(frame(TEXT, json.dumps({"type": "response.done"}).encode()), 0)
    assert wires.closes() == [1001]
    assert judge.ends == [("proxy_died", False, None)]


async def test_a_message_past_what_is_copied_goes_on_all_the_same(
    relay: Relay, judge: Judge, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_of_provider", FrameWalker(100, from_client=False))
    raw: Any = frame(TEXT, b"y" * 5000)
    relay.from_provider(raw, 0)
    assert wires.caller == raw
    assert judge.copied == [None]


async def test_whoever_may_not_go_on_is_told_and_nothing_of_theirs_goes_on(
    relay: Relay, judge: Judge, wires: Wires
) -> None:
    relay.from_caller(text(b"before"), 0)
    relay.sweep(1)
    assert wires.closed == []
    judge.expelled = True
    relay.sweep(2)
    relay.from_caller(text(b"after"), 3)
    relay.sweep(4)

    assert judge.judged == [b"before"]
    assert judge.ends == [("refused", True, "invalid_token")]
    assert wires.closes() == [POLICY]
    assert wires.closes(of_caller=False) == [1001]
    assert wires.closed == [False]
