"""Streams of our own making, in OpenAI's shapes."""

import json
from collections.abc import Iterable
from typing import Any

from exchange.reply import Reply
from wire.replies import reply_reader
from wire.routes import route

DONE = "[DONE]"


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A chat chunk; `fields` replace or add to the envelope."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-x"}
    return {**head, "choices": list(choices), **fields}


def delta(index: int = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chat choice with these fields in its delta."""
    return {"index": index, "delta": fields, "finish_reason": finish}


def said(text: str, index: int = 0, finish: str | None = None) -> dict[str, Any]:
    """A chunk that says this."""
    return chunk(delta(index, finish, content=text))


def calls(*fragments: dict[str, Any], index: int = 0) -> dict[str, Any]:
    """A chunk with fragments of tool calls."""
    return chunk(delta(index, tool_calls=list(fragments)))


def fragment(
    at: int | None = None, known: str | None = None, name: str | None = None, args: str = ""
) -> dict[str, Any]:
    """A fragment of a function call; what is None is left away."""
    function: dict[str, Any] = {"arguments": args}
    if name is not None:
        function["name"] = name
    told: dict[str, Any] = {"function": function}
    if at is not None:
        told["index"] = at
    if known is not None:
        told.update(id=known, type="function")
    return told


def sse(events: Iterable[dict[str, Any] | str], *, names: bool = False) -> bytes:
    """The events as a body. A string is a payload as it stands, or a whole line when it has a field's name."""
    out = []
    for event in events:
        if isinstance(event, str):
            out.append(event if event.startswith((":", "event:", "error:", "data:")) else f"data: {event}")
        else:
            name = f"event: {event['type']}\n" if names else ""
            out.append(f"{name}data: {json.dumps(event)}")
    return "".join(f"{each}\n\n" for each in out).encode()


def fold(
    *events: dict[str, Any] | str, path: str = "/v1/chat/completions", names: bool = False, status: int = 200
) -> Reply:
    """What wire/ makes of them."""
    return read(sse(events, names=names), path=path, status=status)


def read(
    raw: bytes,
    *,
    path: str = "/v1/chat/completions",
    content_type: str | None = "text/event-stream",
    status: int = 200,
    streamed: bool = True,
    encoding: str | None = None,
) -> Reply:
    """What wire/ makes of a body."""
    reader = reply_reader(
        route("openai", "POST", path),
        status=status,
        content_type=content_type,
        content_encoding=encoding,
        stream_asked=streamed,
    )
    reader.feed(raw)
    return reader.close()


def response(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply.response, dict)
    return reply.response


def message(reply: Reply, at: int = 0) -> dict[str, Any]:
    """The message of the choice at this place in the list."""
    found = response(reply)["choices"][at]["message"]
    assert isinstance(found, dict)
    return found


def extra(reply: Reply) -> dict[str, Any]:
    found = response(reply).get("_extra", {})
    assert isinstance(found, dict)
    return found
