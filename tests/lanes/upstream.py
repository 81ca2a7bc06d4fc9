"""A small upstream that records every byte it gets, and a caller that speaks raw bytes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

type Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

JSON = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"ok": "yes"}'
STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\nX-Odd_Case: 1\r\n\r\n"
    b"b\r\ndata: one\n\n\r\n0C;ext=1\r\ndata: two!\n\n\r\n0\r\n\r\n"
)
STREAMED = b"data: one\n\ndata: two!\n\n"


@dataclass
class RecordingUpstream:
    """Answers each sized request with `answer`; `seen` holds the requests' bytes, in order, heads and bodies."""

    answer: Answer
    seen: list[bytes] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    connections: int = 0
    lost: int = 0
    port: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                request = await self._request(reader)
                if request is None:
                    break
                self.seen.append(request)
                await self.answer(request, writer)
                await writer.drain()
        except OSError:
            pass  # the lane broke off, as many tests want it to
        finally:
            self.lost += 1
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> bytes | None:
        request = b""
        while b"\r\n\r\n" not in request:
            data = await reader.read(65536)
            if not data:
                return None
            self.raw += data
            request += data
        head, _, body = request.partition(b"\r\n\r\n")
        length = next((int(v) for k, v in fields(head) if k == b"content-length"), 0)
        while len(body) < length:
            data = await reader.read(65536)
            self.raw += data
            body += data
            if not data:
                return None
        return head + b"\r\n\r\n" + body


def replying(*parts: bytes | float, close: bool = False) -> Answer:
    """Write bytes, wait seconds, in this order; then perhaps close."""

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            else:
                await asyncio.sleep(part)
        if close:
            writer.close()

    return answer


def fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Header fields of a head, names in lower case."""
    lines = head.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(k.strip().lower(), v.strip()) for k, _, v in (line.partition(b":") for line in lines)]


@dataclass
class Got:
    """A response as the caller got it. `body` is decoded; `raw` is all of it."""

    status: int
    head: bytes
    body: bytes
    raw: bytes

    def header(self, name: bytes) -> bytes | None:
        return next((v for k, v in fields(self.head) if k == name.lower()), None)


class CutOff(Exception):  # noqa: N818 - says what happened
    """The connection ended amid a response. `got` is what came."""

    def __init__(self, got: bytes) -> None:
        super().__init__(got[-200:])
        self.got = got


class RawCaller:
    """Sends bytes; reads responses one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.buffer = b""

    @classmethod
    async def to(cls, port: int, limit: int = 65536) -> "RawCaller":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=limit))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def _more(self) -> None:
        try:
            data = await asyncio.wait_for(self.reader.read(65536), 5)
        except ConnectionError:
            data = b""
        if not data:
            raise CutOff(self.buffer)
        self.buffer += data

    async def response(self, method: bytes = b"POST") -> Got:
        """Raises CutOff, TimeoutError."""
        while b"\r\n\r\n" not in self.buffer:
            await self._more()
        head = self.buffer[: self.buffer.index(b"\r\n\r\n") + 4]
        status = int(head.split(b" ")[1])
        known = dict(fields(head))
        at = len(head)
        if status in (204, 304) or 100 <= status < 200 or method == b"HEAD":
            body, end = b"", at
        elif b"transfer-encoding" in known:
            body, end = await self._chunked(at)
        elif b"content-length" in known:
            end = at + int(known[b"content-length"])
            while len(self.buffer) < end:
                await self._more()
            body = self.buffer[at:end]
        else:
            await self.rest()
            body, end = self.buffer[at:], len(self.buffer)
        raw, self.buffer = self.buffer[:end], self.buffer[end:]
        return Got(status, head, body, raw)

    async def _chunked(self, at: int) -> tuple[bytes, int]:
        body = b""
        while True:
            while b"\r\n" not in self.buffer[at:]:
                await self._more()
            stop = self.buffer.index(b"\r\n", at)
            size = int(self.buffer[at:stop].split(b";")[0], 16)
            at = stop + 2
            if not size:
                while b"\r\n" not in self.buffer[at:]:
                    await self._more()
                while not self.buffer.startswith(b"\r\n", at):
                    at = self.buffer.index(b"\r\n", at) + 2
                return body, at + 2
            while len(self.buffer) < at + size + 2:
                await self._more()
            body += self.buffer[at : at + size]
            assert self.buffer[at + size : at + size + 2] == b"\r\n"
            at += size + 2

    async def rest(self) -> bytes:
        """Everything until the end. Raises CutOff when the end was a reset."""
        while True:
            try:
                data = await asyncio.wait_for(self.reader.read(65536), 5)
            except ConnectionError:
                raise CutOff(self.buffer) from None
            if not data:
                return self.buffer
            self.buffer += data

    async def ended(self) -> bool:
        """Whether nothing more came before the end."""
        try:
            return not await asyncio.wait_for(self.reader.read(1), 5)
        except ConnectionError:
            return True

    def close(self) -> None:
        self.writer.close()


def post(body: bytes = b'{"model": "m"}', *headers: bytes, path: bytes = b"/v1/chat/completions") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: us", *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
