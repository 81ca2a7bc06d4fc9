"""Legacy text completions: chunks in, a `text_completion` out.

`choices[index].text` joins; with n, best_of or several prompts there are many indices (prompt i, choice j: i·n+j).
Source: OpenAI API reference, "Completions".
"""

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import index, items, mapping, string
from wire.openai.chat import streams
from wire.openai.envelope import Envelope
from wire.openai.grown import Appended, Latest, merged
from wire.openai.turns import plain_texts
from wire.openai.usage import usage_of
from wire.turns import kept


class TextChoice:
    """One choice. Its logprobs are lists side by side (tokens, token_logprobs, …), all of which extend."""

    def __init__(self) -> None:
        self.finish = Latest()
        self._text: list[str] = []
        self._logprobs: dict[str, Appended] | None = None
        self._fields: dict[str, Json] = {}

    def add(self, piece: dict[str, Json]) -> None:
        for key, value in piece.items():
            if key == "text":
                if isinstance(value, str):
                    self._text.append(value)
            elif key == "finish_reason":
                self.finish.add(value)
            elif key == "logprobs":
                if isinstance(value, dict):
                    self._logprobs = {} if self._logprobs is None else self._logprobs
                    for name, more in value.items():
                        self._logprobs.setdefault(name, Appended()).add(more)
            elif key != "index":
                self._fields[key] = merged(self._fields.get(key), value)

    def close(self, place: int) -> dict[str, Json]:
        logprobs: Json = None
        if self._logprobs is not None:
            logprobs = {name: field.close() for name, field in self._logprobs.items()}
        return {
            "index": place,
            "text": "".join(self._text),
            "logprobs": logprobs,
            "finish_reason": self.finish.close(),
            **self._fields,
        }


class CompletionFolder:
    """Terminal is `[DONE]`; without it, a finish reason for every choice seen leaves nothing missing."""

    def __init__(self) -> None:
        self._envelope = Envelope()
        self._choices: dict[int, TextChoice] = {}
        self._done = False
        self._extra = Extra()

    def add(self, event: Event) -> None:
        if event.is_done:
            self._done = True
            return
        if self._done and event.data:
            self._extra.count("events_after_done")
            return
        chunk = self._extra.payload(event)
        if chunk is None:
            return
        if event.name == "error" or chunk.get("object") == "error":
            self._extra.failed(chunk.get("error") or dict(chunk))
            return
        for key, value in chunk.items():
            if key == "choices":
                self._add_choices(value)
            elif key == "error":
                if value is not None:
                    self._extra.failed(value)
            elif key != "object":
                self._envelope.add(key, value)

    def _add_choices(self, choices: Json) -> None:
        for position, piece in enumerate(items(choices)):
            if not isinstance(piece, dict):
                self._extra.keep("unknown_events", piece)
                continue
            place = index(piece.get("index"))
            place = position if place is None else place
            if place not in self._choices:
                self._choices[place] = TextChoice()
            self._choices[place].add(piece)

    def close(self) -> Reply:
        choices: list[Json] = [self._choices[place].close(place) for place in sorted(self._choices)]
        finished = self._choices and all(choice.finish.close() for choice in self._choices.values())
        ended: Ended = "terminal" if self._done else "settled" if finished else "open"
        if self._extra.errors:
            ended = "failed"
        if len(self._envelope.ids) > 1:
            self._extra.put("ids", list(self._envelope.ids))
        return reply_of(self._extra.on(self._envelope.close("text_completion", choices)), ended)


def reply_of(response: dict[str, Json], ended: Ended) -> Reply:
    """A text completion, whole or as far as it came, as a Reply."""
    choices = [mapping(each) for each in items(response.get("choices"))]
    reasons = (each.get("finish_reason") for each in choices)
    return Reply(
        response=response,
        ended=ended,
        response_model=string(response.get("model")) or None,
        usage=usage_of(response.get("usage")),
        finish_reasons=tuple(reason if isinstance(reason, str) else None for reason in reasons),
        texts=kept("answer", (string(each.get("text")) for each in choices)),
    )


def whole(body: Json) -> Reply:
    """An unstreamed completion, or an error that came with status 200."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    failed = body.get("error") is not None and not body.get("choices")
    return reply_of(body, "failed" if failed else "terminal")


def texts(body: Json) -> tuple[Text, ...]:
    """The prompt, or each of several; and what is to follow the answer."""
    asked = mapping(body)
    return plain_texts(asked.get("prompt")) + plain_texts(asked.get("suffix"))


API = Api(operation="text_completion", folder=CompletionFolder, whole=whole, texts=texts, streams=streams)
