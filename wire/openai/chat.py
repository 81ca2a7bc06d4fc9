"""Chat completions: chunks in, a `chat.completion` out.

Sources: OpenAI API reference, "Chat Completions" and its streaming object; for what servers that speak like it do
otherwise, the rules in docs/wire.md, each with its test.
"""

from collections.abc import Mapping
from typing import Final

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import index, items, mapping, string
from wire.openai.envelope import Envelope
from wire.openai.grown import Appended, Joined, Latest, merged
from wire.openai.message import Message
from wire.openai.turns import part_texts, request_texts
from wire.openai.usage import usage_of
from wire.turns import called, kept

_CHUNK: Final = frozenset(("choices", "usage", "id", "object", "prompt_filter_results"))
"""A payload with any of these is a chunk, whatever its `object` says: servers send "" and worse."""


class Choice:
    """One choice, out of its pieces. `finished`: a finish reason has come."""

    def __init__(self) -> None:
        self.finished = False
        self._message: Message | None = None
        self._snapshot: Json = None
        self._finish: Latest | None = None
        self._logprobs: dict[str, Appended | Latest] | None = None
        self._logprobs_seen = False
        self._text: Joined | None = None
        self._fields: dict[str, Json] = {}

    def add(self, piece: dict[str, Json], envelope: Envelope, extra: Extra) -> None:
        for key, value in piece.items():
            if key == "delta":
                if isinstance(value, dict):
                    if self._message is None:
                        self._message = Message()
                    self._message.add(value)
            elif key == "finish_reason":
                self._finish = self._finish or Latest()
                if value is not None:
                    self._finish.add(value)
                    self.finished = self.finished or bool(value)
            elif key == "logprobs":
                self._add_logprobs(value)
            elif key == "text":
                self._text = self._text or Joined()
                self._text.add(value)
            elif key == "message":
                self._snapshot = value  # Perplexity and Writer repeat the whole beside each delta
            elif key == "usage":
                envelope.add_inner_usage(value)
            elif key == "error" and value is not None:
                extra.failed(value)
            elif key != "index":
                self._fields[key] = merged(self._fields.get(key), value)

    def _add_logprobs(self, value: Json) -> None:
        self._logprobs_seen = True
        if not isinstance(value, dict):
            return
        if self._logprobs is None:
            self._logprobs = {}
        for key, piece in value.items():
            field = self._logprobs.get(key)
            if field is None or (isinstance(piece, list) and isinstance(field, Latest) and field.close() is None):
                field = self._logprobs[key] = Appended() if isinstance(piece, list) else Latest()
            if piece is not None:
                field.add(piece)

    def close(self, place: int) -> dict[str, Json]:
        whole: dict[str, Json] = {"index": place}
        if self._message is not None:
            whole["message"] = self._message.close()
        elif self._snapshot is not None:
            whole["message"] = self._snapshot
        else:
            whole["message"] = Message().close()
        if self._text is not None:
            whole["text"] = self._text.close()
        if self._logprobs is not None:
            whole["logprobs"] = {key: field.close() for key, field in self._logprobs.items()}
        elif self._logprobs_seen:
            whole["logprobs"] = None
        whole["finish_reason"] = self._finish.close() if self._finish else None
        whole.update(self._fields)
        return whole


class ChatFolder:
    """Chunks in, one `chat.completion` out, choices in order of their index.

    Terminal is `[DONE]`; without it, a finish reason for every choice seen leaves nothing missing ("settled").
    """

    def __init__(self) -> None:
        self._envelope = Envelope()
        self._choices: dict[int, Choice] = {}
        self._done = False
        self._extra = Extra()

    def add(self, event: Event) -> None:
        data = event.data
        if not data.startswith("{") and event.is_done:
            self._done = True
            return
        if self._done and data:
            self._extra.count("events_after_done")
            return
        chunk = self._extra.payload(event)
        if chunk is None:
            return
        if event.name == "error" or chunk.get("object") == "error":
            self._extra.failed(chunk.get("error") or dict(chunk))
            return
        if chunk.get("error") is not None:
            self._extra.failed(chunk["error"])
        elif not (_CHUNK & chunk.keys()):
            self._extra.keep("unknown_events", chunk)
            return
        self.add_chunk(chunk)

    def add_chunk(self, chunk: dict[str, Json]) -> None:
        """One chunk as JSON."""
        for key, value in chunk.items():
            if key == "choices":
                for position, piece in enumerate(value if isinstance(value, list) else ()):
                    if not isinstance(piece, dict):
                        self._extra.keep("unknown_events", piece)
                        continue
                    place = index(piece.get("index"))
                    if place is None:
                        place = position
                    choice = self._choices.get(place)
                    if choice is None:
                        choice = self._choices[place] = Choice()
                    choice.add(piece, self._envelope, self._extra)
            elif key not in ("object", "error"):
                self._envelope.add(key, value)

    def close(self) -> Reply:
        choices: list[Json] = [self._choices[place].close(place) for place in sorted(self._choices)]
        if len(self._envelope.ids) > 1:
            self._extra.put("ids", list(self._envelope.ids))
        response = self._extra.on(self._envelope.close("chat.completion", choices))
        return reply_of(response, self._ended())

    def _ended(self) -> Ended:
        if self._extra.errors:
            return "failed"
        if self._done:
            return "terminal"
        finished = self._choices and all(choice.finished for choice in self._choices.values())
        return "settled" if finished else "open"


def reply_of(response: dict[str, Json], ended: Ended) -> Reply:
    """A completion, whole or as far as it came, as a Reply."""
    choices = [mapping(each) for each in items(response.get("choices"))]
    reasons = (each.get("finish_reason") for each in choices)
    return Reply(
        response=response,
        ended=ended,
        response_model=string(response.get("model")) or None,
        usage=usage_of(response.get("usage")),
        finish_reasons=tuple(reason if isinstance(reason, str) else None for reason in reasons),
        texts=tuple(text for each in choices for text in _said(each)),
    )


def _said(choice: dict[str, Json]) -> list[Text]:
    """Text, refusal, transcript and calls of one choice; not its reasoning."""
    message = mapping(choice.get("message"))
    said = list(part_texts(message.get("content"), "answer"))
    said += kept("answer", (string(message.get("refusal")), string(mapping(message.get("audio")).get("transcript"))))
    for each in [*items(message.get("tool_calls")), {"function": message.get("function_call")}]:
        call = mapping(each)
        body = mapping(call.get("function") or call.get("custom"))
        if body:
            said += kept("answer", (called(body.get("name"), body.get("arguments", body.get("input", ""))),))
    return said


def whole(body: Json) -> Reply:
    """An unstreamed completion, or an error that came with status 200."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    failed = body.get("error") is not None and not body.get("choices")
    return reply_of(body, "failed" if failed else "terminal")


def streams(body: Mapping[str, Json]) -> bool:
    """`"stream": true`."""
    return body.get("stream") is True


def texts(body: Json) -> tuple[Text, ...]:
    """What is new in a request: what came after the model's last message."""
    return request_texts(mapping(body).get("messages"))


API = Api(operation="chat", folder=ChatFolder, whole=whole, texts=texts, streams=streams)
