"""What the small provider of these tests says: one text, in the shape of whichever API was asked."""

import json
from collections.abc import Callable
from typing import Any

from tests.journeys.provider import STREAM, Answer, Received, completion, failure, streamed


def saying(text: str) -> Callable[[Received], Answer]:
    """For a provider's `choose`: each API answers as it would, streamed where that was asked for."""

    def answer(asked: Received) -> Answer:
        path = asked.target.partition("?")[0]
        if asked.header("upgrade") is not None:
            return failure(426, "upgrade_required")
        for ending, (whole, pieces) in _APIS.items():
            if path.endswith(ending):
                stream = ending.startswith(":stream") or b'"stream":true' in asked.body.replace(b" ", b"")
                return pieces(text) if stream else whole(text)
        return failure(404, f"nothing is served at {path}")

    return answer


def responses_stream(text: str) -> list[bytes]:
    """A Responses stream of one message, as the API sends it."""
    whole = _response(text)
    (item,) = whole["output"]
    (part,) = item["content"]
    base = {**whole, "output": [], "usage": None, "status": "in_progress"}
    where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": base},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **where, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return _named(*({**event, "sequence_number": i} for i, event in enumerate(events)))


def message_stream(text: str) -> list[bytes]:
    """An Anthropic Messages stream of one text block, as the API sends it."""
    whole = _message(text)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
    return _named(
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    )


def _named(*events: dict[str, Any]) -> list[bytes]:
    """Server-sent events that carry their type as their name, too."""
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def _response(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    usage = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 3,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 8}  # fmt: skip
    return {"id": "resp_1", "object": "response", "created_at": 1760000000, "model": "gpt-5", "status": "completed",
            "output": [item], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": usage}  # fmt: skip


def _message(text: str) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 5}}  # fmt: skip


def _generated(text: str) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}


def _cohere(text: str) -> dict[str, Any]:
    tokens = {"input_tokens": 3, "output_tokens": 2}
    return {"id": "chat_1", "finish_reason": "COMPLETE", "usage": {"billed_units": tokens, "tokens": tokens},
            "message": {"role": "assistant", "content": [{"type": "text", "text": text}]}}  # fmt: skip


def _plain(body: dict[str, Any]) -> Answer:
    return Answer(chunks=[json.dumps(body, ensure_ascii=False).encode()], sized=True)


def _events(*chunks: bytes) -> Answer:
    return Answer(chunks=chunks, fields=STREAM)


def _unasked(_: str) -> Answer:
    return failure(400, "this provider does not stream here")


_APIS: dict[str, tuple[Callable[[str], Answer], Callable[[str], Answer]]] = {
    "/chat/completions": (completion, lambda text: streamed([text])),
    "/responses": (lambda text: _plain(_response(text)), lambda text: _events(*responses_stream(text))),
    "/messages": (lambda text: _plain(_message(text)), lambda text: _events(*message_stream(text))),
    ":generateContent": (lambda text: _plain(_generated(text)), _unasked),
    ":streamGenerateContent": (
        _unasked,
        lambda text: _events(f"data: {json.dumps(_generated(text), ensure_ascii=False)}\r\n\r\n".encode()),
    ),
    ":countTokens": (lambda _: _plain({"totalTokens": 3}), _unasked),
    "/v2/chat": (lambda text: _plain(_cohere(text)), _unasked),
}
"""By the end of the path: the answer in one piece, and as a stream."""
