"""A provider that answers as it is told, at the pace it is told, and remembers every byte it received."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Ending = Literal["clean", "cut", "reset", "hang"]


@dataclass(slots=True)
class Received:
    """One request as it arrived."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key.lower() == name), None)


@dataclass(slots=True)
class Answer:
    """What to send. Chunks go out one by one; `pause` seconds lie between them; `before_head` before the first byte."""

    chunks: Iterable[bytes] = ()
    status: int = 200
    fields: tuple[tuple[str, str], ...] = (("content-type", "application/json"), ("x-request-id", "req_test"))
    pause: float = 0.0
    before_head: float = 0.0
    ending: Ending = "clean"
    sized: bool = False  # Content-Length in place of chunked coding


def sse(*events: object, done: bool = True) -> list[bytes]:
    """Chat-style SSE chunks of these objects."""
    return [f"data: {json.dumps(e, ensure_ascii=False)}\n\n".encode() for e in events] + [b"data: [DONE]\n\n"] * done


def chat_chunks(words: Iterable[str], *, model: str = "gpt-4o-2024-08-06") -> list[dict[str, object]]:
    """The chunks of one streamed chat completion, usage last."""

    def chunk(delta: dict[str, object], finish: str | None = None) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1760000000,
            "model": model,
            "choices": [choice],
        }

    usage = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
    last = {**chunk({}), "choices": [], "usage": usage}
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": word}) for word in words),
        chunk({}, "stop"),
        last,
    ]


STREAM = (("content-type", "text/event-stream; charset=utf-8"), ("x-request-id", "req_test"))


def streamed(words: Iterable[str], **more: Any) -> Answer:
    """A streamed chat completion."""
    return Answer(chunks=sse(*chat_chunks(words)), fields=STREAM, **more)


def completion(text: str = "Hello!", *, model: str = "gpt-4o-2024-08-06") -> Answer:
    """An unstreamed chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1760000000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19},
    }
    return Answer(chunks=[json.dumps(body, ensure_ascii=False).encode()], sized=True)


def failure(status: int, code: str, *, fields: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An error of the OpenAI API."""
    body = {"error": {"message": code, "type": "invalid_request_error", "code": code, "param": None}}
    usual = (("content-type", "application/json"), ("x-request-id", "req_test"))
    return Answer(chunks=[json.dumps(body).encode()], status=status, fields=usual + fields, sized=True)


@dataclass(slots=True)
class Provider:
    """Runs in a thread of its own; use it as a context manager. `choose` takes the place of `answer` where what comes
    back depends on what was asked."""

    answer: Answer = field(default_factory=completion)
    choose: Callable[[Received], Answer] | None = None
    received: list[Received] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    connections: int = 0
    gone: int = 0  # callers that hung up while an answer was under way
    port: int = 0
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _started: threading.Event = field(default_factory=threading.Event)
    _stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Provider":
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 26)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line)]
        body = b""
        by_name = {name.lower(): value for name, value in fields}
        if "content-length" in by_name:
            body = await reader.readexactly(int(by_name["content-length"]))
        elif "transfer-encoding" in by_name:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        self.raw.append(head + body)
        received = Received(method, target, fields, body)
        self.received.append(received)
        answer = self.choose(received) if self.choose is not None else self.answer
        return await self._send(answer, reader, writer)

    async def _send(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        chunks = list(answer.chunks)
        await asyncio.sleep(answer.before_head)
        head = f"HTTP/1.1 {answer.status} OK\r\n" + "".join(f"{n}: {v}\r\n" for n, v in answer.fields)
        framing = f"content-length: {sum(map(len, chunks))}" if answer.sized else "transfer-encoding: chunked"
        writer.write(f"{head}{framing}\r\n\r\n".encode())
        for i, chunk in enumerate(chunks):
            if i and answer.pause:
                try:
                    await asyncio.wait_for(reader.read(1), answer.pause)
                except TimeoutError:
                    pass
                else:
                    self.gone += 1  # the caller said or closed something in mid-answer
                    return False
            writer.write(chunk if answer.sized else b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
        if answer.ending == "hang":
            await reader.read(1)
            self.gone += 1
            return False
        if answer.ending == "reset":
            writer.transport.abort()
            return False
        if answer.ending == "cut":
            return False
        if not answer.sized:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True
