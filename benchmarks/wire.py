"""How fast the recorder reads: SSE framing and reassembly on one core, over streams of our own making.

    python -m benchmarks.wire

The goals are 100 MB/s for framing and 25 MB/s for chat reassembly, so that one recorder keeps up with its workers.
"""

import json
import time
from collections.abc import Callable

from wire.api import Dialect
from wire.json_body import parse_json
from wire.replies import reply_reader
from wire.routes import route
from wire.sse import EventStream

KIB = 1024


def chat_stream(chunks: int) -> bytes:
    """A chat stream such as OpenAI sends it."""
    head = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        body = {**head, "choices": [choice], "usage": None, "obfuscation": "aB3dE5gH7"}
        return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"

    words = [chunk({"content": word}) for word in (" road", " gate", " 関所", " lantern", '\\"', "\n")]
    middle = b"".join(words[i % len(words)] for i in range(chunks))
    return chunk({"role": "assistant", "content": ""}) + middle + chunk({}, "stop") + b"data: [DONE]\n\n"


def responses_stream(deltas: int) -> bytes:
    """A Responses stream: one message, its deltas, its end."""
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    text = " gate" * deltas
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    events: list[dict[str, object]] = [{"type": "response.created", "response": {"id": "resp_1", "output": []}}]
    events += [{"type": "response.output_text.delta", **where, "delta": " gate", "logprobs": []}] * deltas
    events += [{"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [item]}}]
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': n})}\n\n".encode()
        for n, event in enumerate(events)
    )


def agent_request(size: int) -> bytes:
    """A request body as agents send it: their whole history, and their tools."""
    turn = [
        {"role": "user", "content": "Please look at the gate and tell me who passed: " * 6},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "function": {"name": "look"}}]},
    ]
    turns = size // len(json.dumps(turn)) + 1
    return json.dumps({"model": "gpt-4o", "stream": True, "messages": turn * turns}).encode()


def frame(raw: bytes, size: int) -> None:
    stream = EventStream()
    for at in range(0, len(raw), size):
        stream.feed(raw[at : at + size])
    stream.close()


def fold(raw: bytes, size: int, path: str, dialect: Dialect = "openai") -> None:
    reader = reply_reader(
        route(dialect, "POST", path),
        status=200,
        content_type="text/event-stream",
        content_encoding=None,
        stream_asked=True,
    )
    for at in range(0, len(raw), size):
        reader.feed(raw[at : at + size])
    reader.close()


def speed(raw: bytes, work: Callable[[], None], runs: int = 5) -> float:
    """MB/s, the best of several runs: what the code can do, not what the machine did meanwhile."""
    best = min(_seconds(work) for _ in range(runs))
    return len(raw) / best / 1e6


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    chat, responses = chat_stream(20_000), responses_stream(20_000)
    small, large = agent_request(64 * KIB), agent_request(10 * KIB * KIB)
    rows: list[tuple[str, float, float | None]] = [
        ("SSE framing, 64 KiB chunks", speed(chat, lambda: frame(chat, 64 * KIB)), 100),
        ("SSE framing, 4 KiB chunks", speed(chat, lambda: frame(chat, 4 * KIB)), 100),
        ("SSE framing, 1 event a chunk", speed(chat, lambda: frame(chat, 330)), None),
        ("SSE framing, named events", speed(responses, lambda: frame(responses, 64 * KIB)), None),
        ("chat, 64 KiB chunks", speed(chat, lambda: fold(chat, 64 * KIB, "/v1/chat/completions")), 25),
        ("chat, 330 byte chunks", speed(chat, lambda: fold(chat, 330, "/v1/chat/completions")), 25),
        ("responses, 64 KiB chunks", speed(responses, lambda: fold(responses, 64 * KIB, "/v1/responses")), None),
        ("strict request, 64 KiB", speed(small, lambda: _strict(small), 30), None),
        ("strict request, 10 MiB", speed(large, lambda: _strict(large)), None),
    ]
    print(f"{'what':32} {'MB/s':>8} {'goal':>6}")
    for name, rate, goal in rows:
        print(f"{name:32} {rate:8.1f} {goal if goal else '':>6}")


def _strict(raw: bytes) -> None:
    parse_json(raw, strict=True)


if __name__ == "__main__":
    main()
