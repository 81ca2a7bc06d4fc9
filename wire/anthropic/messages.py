"""Anthropic Messages (`/v1/messages`, also behind Vertex AI and Bedrock).

Source: "Streaming messages" of Anthropic's API reference, and `accumulate_event` of the official SDKs where it is
right on what servers really send; the differences are in docs/wire-providers.md.
"""

from collections.abc import Mapping

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.anthropic.message import Message
from wire.anthropic.texts import answer_texts, request_texts
from wire.anthropic.usage import usage_of
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import Object, mapping, string
from wire.json_text import fit

_BARE_STOP = 2  # keys of a `content_block_stop`: `type` and `index`


class MessageFolder:
    """Events in, the message out.

    The event's type is the JSON's `type`; the SSE event's name is used only where that is missing. Terminal is
    `message_stop`. `[DONE]`, which some gateways add, is no payload.
    """

    def __init__(self, extra: Extra | None = None) -> None:
        self._messages: list[Message] = []
        self._done = False
        self._extra = extra or Extra()

    def add(self, event: Event) -> None:
        if event.is_done:
            self._done = True
            return
        payload = self._extra.payload(event)
        if payload is not None:
            self.add_payload(payload, event.name)

    def add_payload(self, payload: Object, name: str = "") -> None:
        """One event as JSON, however it was framed (Bedrock wraps it once more)."""
        match string(payload.get("type")) or name:
            case "content_block_delta":
                self._open().add_delta(payload, self._extra)
            case "content_block_start":
                self._open().open_block(payload)
            case "content_block_stop" if len(payload) <= _BARE_STOP:
                pass  # no content; a block without its stop is kept as it is
            case "ping":
                pass
            case "message_start":
                self._start(mapping(payload.get("message")))
            case "message_delta":
                self._open().change(payload)
            case "message_stop":
                self._open().stopped = True
                for key, value in payload.items():
                    if key != "type":
                        self._extra.put(key, value)
            case "error":
                self._extra.failed(payload)
            case "" if "error" in payload:
                self._extra.failed(payload)
            case _:
                self._extra.keep("unknown_events", payload)

    def close(self) -> Reply:
        answer = next((each for each in self._messages if each.stopped), self._messages[-1] if self._messages else None)
        for each in self._messages:
            if each is not answer:
                self._extra.keep("other_messages", each.whole())
        message = answer.whole() if answer else {}
        return reply_of(mapping(fit(self._extra.on(message))), self._ended(answer))

    def _ended(self, answer: Message | None) -> Ended:
        if self._extra.errors:
            return "failed"
        if answer is None:
            return "open"
        if answer.stopped:
            return "terminal"
        return "settled" if self._done and answer.fields.get("stop_reason") is not None else "open"

    def _open(self) -> Message:
        if not self._messages:
            self._messages.append(Message({}))
            self._extra.count("events_without_start")
        return self._messages[-1]

    def _start(self, message: Object) -> None:
        """A second start breaks the protocol: a proxy that tries again in mid-stream sends it. The same id is the
        same message; with another id the messages are kept apart, and the one that was finished is the answer."""
        if not self._messages:
            self._messages.append(Message(message))
        elif message.get("id") == self._messages[-1].fields.get("id"):
            self._extra.count("repeated_message_starts")
        else:
            self._extra.count("second_message_starts")
            self._messages.append(Message(message))


def reply_of(message: Object, ended: Ended) -> Reply:
    """A message, whole or as far as it came, as a Reply."""
    if not message.get("content") and "id" not in message:
        return Reply(response=message, ended=ended)
    reason = message.get("stop_reason")
    return Reply(
        response=message,
        ended=ended,
        response_model=string(message.get("model")) or None,
        usage=usage_of(message.get("usage")),
        finish_reasons=(reason if isinstance(reason, str) else None,),
        texts=answer_texts(message.get("content")),
    )


def whole(body: Json) -> Reply:
    """An unstreamed message, or an error body."""
    if not isinstance(body, dict) or body.get("type") == "error" or "content" not in body:
        return Reply(response=body, ended="terminal")
    return reply_of(body, "terminal")


def streams(body: Mapping[str, Json]) -> bool:
    """Whether a body asks for a stream: `"stream": true`."""
    return body.get("stream") is True


def texts(body: Json) -> tuple[Text, ...]:
    """What is new in a request."""
    return request_texts(body)


API = Api(operation="messages", folder=MessageFolder, whole=whole, texts=texts, streams=streams)
