"""Opening a TCP connection to a name: all its addresses, each with a head start over the next (RFC 8305)."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable, Sequence
from typing import Any

from lanes.express.probing import probe

type _Address = tuple[int, int, int, str, Any]


class AddressRefused(OSError):  # noqa: N818 - says what happened
    """All addresses of a name are such that nobody may be sent there."""


async def dial(
    host: str, port: int, head_start: float, permitted: Callable[[str], bool] | None = None
) -> socket.socket:
    """A connected, non-blocking socket. Raises OSError (gaierror included): the first address's reason when all fail;
    AddressRefused when `permitted` says no to all of them. No other look-up is made between asking and connecting.

    `head_start`: seconds. Names are looked up in a thread, so that a slow resolver delays nobody else.
    """
    loop = asyncio.get_running_loop()
    if (literal := _literal(host, port)) is not None:
        found: Sequence[_Address] = [literal]
    else:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not found:
            raise OSError(f"{host} has no address")
    if permitted is not None:
        refused = [address for address in found if not permitted(address[4][0])]
        found = [address for address in found if address not in refused]
        if not found:
            raise AddressRefused(f"{host} is at {refused[0][4][0]}, where nobody may be sent")
    if len(found) == 1:
        return await _connect(loop, found[0])
    addresses = iter(_in_turn(found))
    racing: set[asyncio.Task[socket.socket]] = set()
    failures: list[BaseException] = []
    try:
        while True:
            address = next(addresses, None)
            if address is not None:
                racing.add(asyncio.ensure_future(_connect(loop, address)))
            elif not racing:
                raise failures[0]
            done, racing = await asyncio.wait(
                racing, timeout=None if address is None else head_start, return_when=asyncio.FIRST_COMPLETED
            )
            winner: socket.socket | None = None
            for task in done:
                failure = task.exception()
                if failure is not None:
                    failures.append(failure)
                elif winner is None:
                    winner = task.result()
                else:
                    task.result().close()
            if winner is not None:
                return winner
    finally:
        for task in racing:
            task.cancel()
        for task in racing:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                (await task).close()


async def dial_local(path: str) -> socket.socket:
    """A connected, non-blocking socket to a program on this machine that listens at this path (unix(7)).

    Raises:
        OSError: nobody listens there.
    """
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, path)
    except BaseException:
        opened.close()
        raise
    return opened


def _literal(host: str, port: int) -> _Address | None:
    """An address written as one needs no resolver, and so no thread."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)
    return None


def _in_turn(found: Sequence[_Address]) -> list[_Address]:
    """Families alternate, beginning with what the resolver put first (RFC 8305 §4)."""
    first = [a for a in found if a[0] == found[0][0]]
    others = [a for a in found if a[0] != found[0][0]]
    return [a for pair in itertools.zip_longest(first, others) for a in pair if a is not None]


async def _connect(loop: asyncio.AbstractEventLoop, address: _Address) -> socket.socket:
    family, kind, protocol, _, where = address
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)
        probe(opened)
        await loop.sock_connect(opened, where)
    except BaseException:
        opened.close()
        raise
    return opened
