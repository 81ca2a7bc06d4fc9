"""python -m benchmarks.provider PORT: answers at once, or streams; as little work as Python can do.

A POST whose body says `"stream": true` is answered with events, `x-chunks` of them, `x-interval-ms` apart, each with
the monotonic time at which it was sent; anything else with a chat completion of 650 bytes. Understands just the
requests of this benchmark.
"""

import asyncio
import json
import sys
import time

import uvloop

_MESSAGE = {"role": "assistant", "content": "x" * 320, "refusal": None}
_COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 80, "total_tokens": 92},
    }
).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_COMPLETION),
    _COMPLETION,
)
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    data = json.dumps(
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [choice]}
    )
    return f"data: {data}\n\n".encode()


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            whole = end + 4 + length
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            if b'"stream": true' in body[:200] or b'"stream":true' in body[:200]:
                self._task = asyncio.ensure_future(
                    self._stream(number(head, b"x-chunks", 10), number(head, b"x-interval-ms", 20))
                )
            else:
                self._transport.write(_ANSWER)

    async def _stream(self, chunks: int, interval: int) -> None:
        self._transport.write(_STREAM)
        for _ in range(chunks):
            self._send(event(f"{time.monotonic_ns()} "))
            await asyncio.sleep(interval / 1000)
        self._send(event("", "stop") + b"data: [DONE]\n\n")
        self._transport.write(b"0\r\n\r\n")

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))


def number(head: bytes, name: bytes, default: int) -> int:
    at = head.find(b"\r\n" + name + b":")
    return int(head[at + len(name) + 3 :].split(b"\r\n", 1)[0]) if at >= 0 else default


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
