"""A small provider of our own, on loopback: streams chat completions and Responses word by word, in the real shapes."""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

_PAUSE = 0.04  # seconds between two words
_MODEL = "gpt-4o-2024-08-06"
_CREATED = 1760000000
_LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.I | re.M)


def answer_to(question: str) -> str:
    """What this provider says to anything."""
    if "関所" in question:
        return "関所は、街道を行き来する人と荷物を調べた場所です。誰が通ったか、何を運んだかを記録しました。"
    return "A checkpoint asks who you are and whether you may pass, and writes down that you did. Then you walk on."


def words_of(text: str) -> list[str]:
    """The pieces in which an answer is streamed."""
    return re.findall(r"\s*[A-Za-z0-9.,'-]+|\s*[^\sA-Za-z0-9]{1,3}", text)


class DemoProvider:
    """Answers while the `with` lasts, in a thread of its own. `port` is where."""

    def __init__(self) -> None:
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="demo-provider", daemon=True)

    def __enter__(self) -> "DemoProvider":
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(_conversation(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(met, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Requests of one connection, one after the other, until the other side hangs up."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            await _answer(head.split(b" ")[1].decode("ascii", "replace"), body, writer)
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        return  # the end of the connection
    finally:
        writer.close()


async def _answer(path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
    try:
        asked = json.loads(body)
    except ValueError:
        asked = {}
    question = json.dumps(asked.get("messages", asked.get("input", "")), ensure_ascii=False)
    if path == "/v1/chat/completions":
        events = _chat(question)
    elif path == "/v1/responses":
        events = _responses(question)
    else:
        _head(writer, "404 Not Found", "application/json")
        await _chunk(writer, b'{"error": {"message": "This provider knows two paths.", "type": "not_found"}}')
        await _chunk(writer, b"")
        return
    _head(writer, "200 OK", "text/event-stream; charset=utf-8")
    async for event in events:
        await _chunk(writer, event)
    await _chunk(writer, b"")


def _head(writer: asyncio.StreamWriter, status: str, media_type: str) -> None:
    fields = f"content-type: {media_type}\r\nx-request-id: req_demo\r\ntransfer-encoding: chunked\r\n\r\n"
    writer.write(f"HTTP/1.1 {status}\r\n{fields}".encode())


async def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    await writer.drain()


def _sse(payload: dict[str, Any], name: str = "") -> bytes:
    event = f"event: {name}\n" if name else ""
    return f"{event}data: {json.dumps(payload, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


async def _chat(question: str) -> AsyncIterator[bytes]:
    """`chat.completion.chunk` events, the usage last, then `[DONE]`."""

    def chunk(choices: list[dict[str, Any]], **more: object) -> bytes:
        own = {"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": _CREATED, "model": _MODEL}
        return _sse({**own, "choices": choices, **more})

    def choice(delta: dict[str, str], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    pieces = words_of(answer_to(question))
    yield chunk(choice({"role": "assistant", "content": ""}))
    for piece in pieces:
        await asyncio.sleep(_PAUSE)
        yield chunk(choice({"content": piece}))
    yield chunk(choice({}, "stop"))
    usage = {"prompt_tokens": 14, "completion_tokens": len(pieces), "total_tokens": 14 + len(pieces)}
    yield chunk([], usage=usage)
    yield b"data: [DONE]\n\n"


async def _responses(question: str) -> AsyncIterator[bytes]:
    """The events of one Responses stream, `response.completed` last."""
    pieces = words_of(answer_to(question))
    for event, pause in _response_events(pieces):
        if pause:
            await asyncio.sleep(_PAUSE)
        yield event


def _response_events(pieces: list[str]) -> Iterator[tuple[bytes, bool]]:
    """(event, whether a pause comes before it)."""
    text = "".join(pieces)
    number = 0

    def event(kind: str, **fields: object) -> bytes:
        nonlocal number
        number += 1
        return _sse({"type": kind, "sequence_number": number - 1, **fields}, kind)

    def response(status: str, output: list[object], usage: object = None) -> dict[str, object]:
        return {
            "id": "resp_demo", "object": "response", "created_at": _CREATED, "status": status, "model": _MODEL,
            "output": output, "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
            "parallel_tool_calls": True, "temperature": 1.0, "top_p": 1.0, "tool_choice": "auto", "tools": [],
            "usage": usage,
        }  # fmt: skip

    def part(said: str) -> dict[str, object]:
        return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}

    def item(status: str, content: list[object]) -> dict[str, object]:
        return {"id": "msg_demo", "type": "message", "role": "assistant", "status": status, "content": content}

    where = {"item_id": "msg_demo", "output_index": 0, "content_index": 0}
    whole = item("completed", [part(text)])
    usage = {
        "input_tokens": 14, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": len(pieces), "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14 + len(pieces),
    }  # fmt: skip
    yield event("response.created", response=response("in_progress", [])), False
    yield event("response.in_progress", response=response("in_progress", [])), False
    yield event("response.output_item.added", output_index=0, item=item("in_progress", [])), False
    yield event("response.content_part.added", part=part(""), **where), False
    for piece in pieces:
        yield event("response.output_text.delta", delta=piece, logprobs=[], **where), True
    yield event("response.output_text.done", text=text, logprobs=[], **where), False
    yield event("response.content_part.done", part=part(text), **where), False
    yield event("response.output_item.done", output_index=0, item=whole), False
    yield event("response.completed", response=response("completed", [whole], usage)), False
