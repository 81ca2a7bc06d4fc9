"""A stream of the user-space network stack, read and written as any transport is."""

import asyncio
import logging
import socket
from typing import Any, cast

import pytest

from lanes.mitm.packets import Packets
from lanes.mitm.stream_transport import StreamTransport
from lanes.mitm.wireguard import Seldom, TunnelledMode

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class Stream:
    """As mitmproxy_rs has them; what is written counts as sent when `flow` is set."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        for chunk in chunks:
            self.chunks.put_nowait(chunk)
        self.written = b""
        self.writes: list[bytes] = []
        self.flow = asyncio.Event()
        self.flow.set()
        self.is_closed = self.has_ended = False

    async def read(self, _: int) -> bytes:
        return await self.chunks.get()

    def write(self, data: bytes) -> None:
        self.written += data
        self.writes.append(data)

    async def drain(self) -> None:
        await self.flow.wait()

    def write_eof(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("10.99.0.2", 5), "original_src": ("192.0.2.1", 6), "sockname": ("10.99.0.1", 53)}.get(
            name, default
        )


class Protocol(asyncio.Protocol):
    def __init__(self, half: bool = False) -> None:
        self.told: list[Any] = []
        self.half = half
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.half

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


def begun(stream: Any, protocol: Protocol) -> StreamTransport:
    made = StreamTransport(stream, protocol)
    made.start()
    return made


async def test_it_reads_until_the_end_and_stops_when_it_is_told_to() -> None:
    stream, protocol = Stream(b"one"), Protocol()
    transport = begun(stream, protocol)
    await asyncio.sleep(0)
    transport.pause_reading()
    stream.chunks.put_nowait(b"two")
    await asyncio.sleep(0.01)
    assert protocol.told == [b"one"]
    transport.resume_reading()
    stream.chunks.put_nowait(b"")
    assert await protocol.lost is None
    assert protocol.told == [b"one", b"two", "eof"]
    assert stream.is_closed
    assert transport.get_extra_info("peername") == ("192.0.2.1", 6), "the address inside the tunnel is its own choice"


async def test_a_half_closed_stream_still_takes_what_is_said() -> None:
    stream, protocol = Stream(b""), Protocol(half=True)
    transport = begun(stream, protocol)
    await asyncio.sleep(0.01)
    transport.write(b"late")
    transport.write_eof()
    await asyncio.sleep(0.01)
    assert (stream.written, stream.has_ended, stream.is_closed) == (b"late", True, False)
    transport.close()
    assert await protocol.lost is None


async def test_whoever_writes_faster_than_the_tunnel_takes_is_paused_and_closing_waits_for_it() -> None:
    stream, protocol = Stream(), Protocol()
    stream.flow.clear()
    transport = begun(stream, protocol)
    transport.write(b"x" * (65 << 10))
    assert protocol.told == ["pause"]
    assert transport.get_write_buffer_size() == 65 << 10
    transport.close()
    await asyncio.sleep(0.01)
    assert not stream.is_closed
    stream.flow.set()
    assert await protocol.lost is None
    assert stream.is_closed


async def test_what_is_written_in_one_turn_goes_out_together_and_before_the_end() -> None:
    stream, protocol = Stream(), Protocol()
    transport = begun(stream, protocol)
    transport.write(b"head, ")
    transport.write(b"body")
    await asyncio.sleep(0.01)
    transport.write(b", more")
    transport.close()
    assert await protocol.lost is None
    assert stream.writes == [b"head, body", b", more"]
    assert stream.is_closed


async def test_an_abort_ends_it_at_once() -> None:
    stream, protocol = Stream(), Protocol()
    stream.flow.clear()
    transport = begun(stream, protocol)
    transport.write(b"x")
    await asyncio.sleep(0)
    transport.write(b"not sent any more")
    transport.abort()
    assert stream.is_closed
    assert await protocol.lost is None
    transport.write(b"y")
    assert stream.written == b"x"
    stream.flow.set()
    await asyncio.sleep(0)


async def test_a_peers_question_for_a_name_is_put_to_this_machines_resolver() -> None:
    try:
        resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        resolver.bind(("127.0.0.153", 53))
    except OSError as cannot:
        resolver.close()
        pytest.skip(f"port 53 cannot be had here: {cannot}")

    def answer() -> None:
        asked, where = resolver.recvfrom(512)
        resolver.sendto(b"answer to " + asked, where)

    packets = Packets(cast("Any", None), TunnelledMode.parse(f"tunnelled:{KEY}@127.0.0.1:51820"), "127.0.0.153")
    stream: Any = Stream(b"question")
    with resolver:
        await asyncio.gather(asyncio.to_thread(answer), packets.udp(stream))
    assert stream.written == b"answer to question"
    assert stream.is_closed
    assert packets.looking_up == 0


def test_packets_that_anybody_may_send_do_not_fill_the_log() -> None:
    seldom = Seldom()
    lines = [
        logging.makeLogRecord({"msg": "Received %s", "args": ("junk",), "created": at}) for at in (1, 2, 5, 12, 13)
    ]
    assert [seldom.filter(line) for line in lines] == [True, False, False, True, False]
    assert [lines[0].getMessage(), lines[3].getMessage()] == [
        "Received junk", "Received junk (2 more lines of this kind before)",
    ]  # fmt: skip


def test_a_mode_without_a_key_of_32_bytes_is_refused() -> None:
    for given in ("", "abc", "AAAA"):
        with pytest.raises(ValueError, match="32 bytes in base64"):
            TunnelledMode.parse(f"tunnelled:{given}@127.0.0.1:51820")


class Eager(Protocol):
    """Writes again as soon as it may, as TLS does with what it holds back."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.transport: StreamTransport
        self.left = pieces

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.left:
            self.left -= 1
            self.transport.write(b"y" * 100_000)


async def test_what_is_written_when_it_may_go_on_is_drained_as_well() -> None:
    protocol, stream = Eager(20), Stream()
    transport = protocol.transport = begun(stream, protocol)
    transport.write(b"x" * 100_000)
    for _ in range(100):
        await asyncio.sleep(0)
    assert protocol.left == 0, "it stayed paused with nobody draining"
    assert len(stream.written) == 21 * 100_000
    assert protocol.told[-1] == "resume"
    transport.close()
    assert await protocol.lost is None
