"""Connections that pass unread: every byte, with back-pressure, counted; ended when nothing moves."""

import asyncio
import hashlib
import os
from collections.abc import Callable

from lanes.passing import Passing

type Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def between(
    host: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], ended: Callable[[int, int], None]
) -> tuple[Streams, Passing, list[asyncio.Server]]:
    """A caller's streams, through a Passing, to a host that acts like this."""
    loop = asyncio.get_running_loop()
    there = await asyncio.start_server(host, "127.0.0.1", 0)  # type: ignore[arg-type]
    passing = Passing(0.0, ended)
    here = await loop.create_server(lambda: passing.caller, "127.0.0.1", 0)
    streams = await asyncio.open_connection(*here.sockets[0].getsockname())
    while passing.caller.transport is None:
        await asyncio.sleep(0.01)
    await loop.create_connection(lambda: passing.host, *there.sockets[0].getsockname())
    return streams, passing, [there, here]


async def test_every_byte_passes_both_ways_and_is_counted() -> None:
    counted: list[tuple[int, int]] = []
    sent = os.urandom(3 << 20)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"the end")
        writer.close()

    (reader, writer), passing, servers = await between(echo, lambda up, down: counted.append((up, down)))
    writer.write(sent)
    writer.write_eof()
    got = await reader.read()
    await asyncio.wait_for(passing.over, 5)
    writer.close()
    for server in servers:
        server.close()
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent + b"the end").digest()
    assert counted == [(len(sent), len(sent) + 7)]


async def test_a_host_that_takes_nothing_holds_the_caller_back() -> None:
    stop = asyncio.Event()

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await stop.wait()
        writer.transport.abort()

    (_, writer), passing, servers = await between(deaf, lambda _up, _down: None)
    for _ in range(200):
        writer.write(bytes(1 << 20))
        await asyncio.sleep(0)
    await asyncio.sleep(0.3)
    held = passing.host.transport.get_write_buffer_size()
    assert held < 2 << 20
    assert passing.caller.count < 100 << 20
    stop.set()
    await asyncio.wait_for(passing.over, 5)
    writer.transport.abort()
    for server in servers:
        server.close()


async def test_what_is_silent_for_too_long_is_ended_and_its_end_is_told_once() -> None:
    told: list[tuple[int, int]] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    (reader, writer), passing, servers = await between(silent, lambda up, down: told.append((up, down)))
    writer.write(b"hi")
    await asyncio.sleep(0.1)
    passing.sweep(100.0, 60.0)  # something moved since
    assert not passing.over.done()
    passing.sweep(159.0, 60.0)
    assert not passing.over.done()
    passing.sweep(161.0, 60.0)
    await asyncio.wait_for(passing.over, 5)
    passing.cut()
    assert await reader.read() == b""
    writer.close()
    for server in servers:
        server.close()
    await asyncio.sleep(0.05)
    assert told == [(2, 0)]
