"""Cohere Chat, version 2 (`/v2/chat`).

Source: "Chat with Streaming", Cohere API reference v2. Events carry their type in the JSON; `[DONE]` may follow.
"""

from exchange.call import Json, Text
from exchange.reply import Ended, Reply, Usage
from wire.api import Api, Event
from wire.cohere.message import Message
from wire.extra import Extra
from wire.fields import Object, compact, count, items, mapping, string
from wire.json_text import fit
from wire.other import streams
from wire.turns import called, kept, new_turns


class ChatFolder:
    """Events in, `{id, finish_reason, message, usage}` out. Terminal is `message-end`; one whose `finish_reason` is
    `ERROR` is a failure."""

    def __init__(self) -> None:
        self._fields: Object = {}
        self._message: Message | None = None
        self._ended = False
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        delta = mapping(payload.get("delta"))
        kind = string(payload.get("type")) or event.name
        match kind:
            case "message-start":
                if payload.get("id") is not None:
                    self._fields["id"] = payload["id"]
                self._open().start(mapping(delta.get("message")))
            case "message-end":
                self._end(delta)
            case "content-end" | "tool-call-end" | "citation-end":
                pass  # no content
            case _ if self._open().add(kind, payload):
                if payload.get("logprobs") is not None:
                    logprobs = self._fields.setdefault("logprobs", [])
                    items(logprobs).append(payload["logprobs"])
            case "error":
                self._extra.failed(payload)
            case "" if "error" in payload or "message" in payload:
                self._extra.failed(payload)
            case _:
                self._extra.keep("unknown_events", payload)

    def _open(self) -> Message:
        if self._message is None:
            self._message = Message()
        return self._message

    def _end(self, delta: Object) -> None:
        self._ended = True
        for key, value in delta.items():
            if key == "error" and value is not None:
                self._extra.failed(value)
            elif value is not None:
                self._fields[key] = value
        if delta.get("finish_reason") == "ERROR" and not self._extra.errors:
            self._extra.failed(delta)

    def close(self) -> Reply:
        response = dict(self._fields)
        message = self._message.whole() if self._message else {}
        if message:
            response["message"] = message
        ended: Ended = "failed" if self._extra.errors else "terminal" if self._ended else "open"
        return reply_of(mapping(fit(self._extra.on(response))), ended)


def reply_of(body: Object, ended: Ended) -> Reply:
    """An answer, whole or as far as it came, as a Reply. It does not name its model."""
    message = mapping(body.get("message"))
    reason = body.get("finish_reason")
    said = [string(message.get("tool_plan"))]
    said += [string(mapping(each).get("text")) for each in items(message.get("content"))]
    for each in items(message.get("tool_calls")):
        function = mapping(mapping(each).get("function"))
        said.append(called(function.get("name"), function.get("arguments")))
    return Reply(
        response=body,
        ended=ended,
        usage=_usage_of(body.get("usage")),
        finish_reasons=(reason if isinstance(reason, str) else None,) if message or reason else (),
        texts=kept("answer", said),
    )


def _usage_of(value: Json) -> Usage | None:
    """What was processed (`tokens`), which is more than what is billed: preambles and templates count in."""
    told = mapping(value)
    tokens = mapping(told.get("tokens")) or mapping(told.get("billed_units"))
    usage = Usage(
        input_tokens=count(tokens.get("input_tokens")),
        output_tokens=count(tokens.get("output_tokens")),
        cached_input_tokens=count(told.get("cached_tokens")),
        reasoning_tokens=count(tokens.get("reasoning_tokens")),
    )
    return None if usage == Usage() else usage


def whole(body: Json) -> Reply:
    """An unstreamed answer, or an error body (`{"message": "…"}`)."""
    if not isinstance(body, dict) or not isinstance(body.get("message"), dict):
        return Reply(response=body, ended="terminal")
    return reply_of(body, "terminal")


def texts(body: Json) -> tuple[Text, ...]:
    """What is new in a request: the caller's text, and what tools gave back."""
    found: list[Text] = []
    for turn in new_turns(mapping(body).get("messages")):
        content = turn.get("content")
        parts = [content] if isinstance(content, str) else items(content)
        for part in parts:
            document = mapping(mapping(part).get("document")).get("data")
            said = string(part) or string(mapping(part).get("text")) or ("" if document is None else compact(document))
            found += kept("tool" if turn.get("role") == "tool" else "user", (said,))
    return tuple(found)


API = Api(operation="chat", folder=ChatFolder, whole=whole, texts=texts, streams=streams)
