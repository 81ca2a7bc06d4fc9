"""A provider that speaks Responses and Realtime over WebSockets, and remembers every message it received."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.http11 import Request
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

AUDIO = bytes(range(256)) * 10
TEXT = "晴れです"

type Serving = Callable[[ServerConnection], None]


def responses_events(asked: dict[str, Any], number: int, text: str = TEXT) -> Iterator[dict[str, Any]]:
    """The events of one response of one message, as the API sends them."""
    lane = {"stream_id": asked["stream_id"]} if "stream_id" in asked else {}
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    base: dict[str, Any] = {"id": f"resp_{number}", "object": "response", "created_at": 1760000000,
            "model": asked.get("model"), "output": [], "parallel_tool_calls": True, "tool_choice": "auto",
            "tools": []}  # fmt: skip
    usage = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 3,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 8}  # fmt: skip
    where = {"item_id": f"msg_{number}", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**base, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0,
         "item": {**item, "status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []} for piece in text),
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**base, "status": "completed", "output": [item], "usage": usage}},
    ]  # fmt: skip
    for position, event in enumerate(events):
        yield {**event, "sequence_number": position, **lane}


def realtime_events(number: int, text: str = TEXT, *, spoken: bool = True) -> Iterator[dict[str, Any]]:
    """The events of one Realtime response, with audio and its transcript."""
    response, item = f"resp_{number}", f"item_a{number}"
    where = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    content = {"type": "output_audio", "transcript": text}
    told = {"id": item, "object": "realtime.item", "type": "message", "role": "assistant", "status": "completed",
            "content": [content]}  # fmt: skip
    usage = {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
             "input_token_details": {"cached_tokens": 4}, "output_token_details": {"text_tokens": 10}}  # fmt: skip
    base: dict[str, Any] = {
        "object": "realtime.response",
        "id": response,
        "output": [],
        "status": "in_progress",
        "usage": None,
    }
    yield {"type": "response.created", "response": base}
    yield {"type": "response.output_item.added", **where, "item": {**told, "content": []}}
    yield {"type": "conversation.item.added", "item": {**told, "content": []}, "previous_item_id": None}
    if spoken:
        for at in range(0, len(AUDIO), 512):
            yield {
                "type": "response.output_audio.delta",
                **where,
                "delta": base64.b64encode(AUDIO[at : at + 512]).decode(),
            }
    for piece in text:
        yield {"type": "response.output_audio_transcript.delta", **where, "delta": piece}
    yield {"type": "response.output_audio_transcript.done", **where, "transcript": text}
    yield {"type": "response.output_item.done", **where, "item": told}
    yield {"type": "conversation.item.done", "item": told, "previous_item_id": None}
    yield {"type": "response.done", "response": {**base, "status": "completed", "output": [told], "usage": usage}}


def send(connection: ServerConnection, event: dict[str, Any]) -> None:
    connection.send(json.dumps({"event_id": "event_1", **event}, ensure_ascii=False))


def answering(connection: ServerConnection) -> None:
    """Answers each `response.create`, and says what else belongs to a session."""
    assert connection.request is not None
    realtime = "/realtime" in connection.request.path
    if realtime:
        send(connection, {"type": "session.created", "session": {"type": "realtime", "object": "realtime.session",
                          "id": "sess_1", "model": "gpt-realtime", "instructions": "Be brief."}})  # fmt: skip
    number = 0
    for message in connection:
        asked = json.loads(message)
        if asked["type"] == "conversation.item.create":
            send(connection, {"type": "conversation.item.added",
                              "item": {"id": f"item_u{number}", "status": "completed", **asked["item"]}})  # fmt: skip
        if asked["type"] == "input_audio_buffer.commit":
            item = {"id": f"item_u{number}", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
            send(connection, {"type": "conversation.item.added", "item": item})
            send(connection, {"type": "conversation.item.input_audio_transcription.completed",
                              "item_id": f"item_u{number}", "content_index": 0, "transcript": "天気は？"})  # fmt: skip
        if asked["type"] != "response.create":
            continue
        number += 1
        for event in realtime_events(number) if realtime else responses_events(asked, number):
            send(connection, event)


def _chosen(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """A browser ends a connection whose server chose none of what it offered."""
    return offered[0] if "realtime" in offered else None


@dataclass(slots=True)
class SocketProvider:
    """Use it as a context manager. `serving` takes the place of what each connection gets."""

    serving: Serving = answering
    requests: list[Request] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    closed: list[int | None] = field(default_factory=list)
    connections: list[ServerConnection] = field(default_factory=list)
    port: int = 0
    _server: Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "SocketProvider":
        self._server = serve(self._serve, "127.0.0.1", 0, max_size=None, select_subprotocol=_chosen)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join(10)

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.requests.append(connection.request)
        self.connections.append(connection)
        receive = connection.recv

        def remembered(*given: Any, **more: Any) -> Any:
            message = receive(*given, **more)
            self.received.append(json.loads(message))
            return message

        connection.recv = remembered  # type: ignore[method-assign]
        try:
            self.serving(connection)
        finally:
            connection.close()
            self.closed.append(connection.protocol.close_code)
