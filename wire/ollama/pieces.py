"""Ollama's lines being put together: every line is a whole object whose text fields are pieces."""

from typing import Final

from exchange.call import Json
from exchange.reply import Ended, Reply, Usage
from wire.api import Event
from wire.extra import Extra
from wire.fields import Object, count, items, mapping, string
from wire.json_text import fit
from wire.turns import called, kept

_GROWING: Final = frozenset(("content", "thinking", "response"))
_LISTS: Final = frozenset(("tool_calls", "images", "logprobs"))


class LineFolder:
    """Lines in, the unstreamed object out. Terminal is the line with `"done": true`; a line with `error` is a failure.

    Text concatenates and lists grow, at the top and in `message`; of everything else the last value that is not null
    holds. Source: Ollama's API reference, docs/api.md.
    """

    def __init__(self) -> None:
        self._fields: Object = {}
        self._message: Object | None = None
        self._pieces: dict[tuple[bool, str], list[str]] = {}
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        if payload.get("error") is not None:
            self._extra.failed(payload)
            return
        message = payload.pop("message", None)
        self._grow(self._fields, payload, inner=False)
        if isinstance(message, dict):
            if self._message is None:
                self._message = {}
                self._fields["message"] = self._message
            self._grow(self._message, message, inner=True)
        elif message is not None:
            self._extra.keep("unknown_events", {"message": message})

    def _grow(self, into: Object, told: Object, *, inner: bool) -> None:
        for key, value in told.items():
            before = into.get(key)
            if isinstance(value, str) and key in _GROWING:
                self._pieces.setdefault((inner, key), []).append(value)
                into[key] = ""  # keeps the field's place; the pieces are joined at the end
            elif isinstance(value, list) and isinstance(before, list) and key in _LISTS:
                before.extend(value)
            elif value is not None or key not in into:
                into[key] = value

    def close(self) -> Reply:
        for (inner, key), pieces in self._pieces.items():
            (self._message if inner and self._message is not None else self._fields)[key] = "".join(pieces)
        ended: Ended = "open"
        if self._extra.errors:
            ended = "failed"
        elif self._fields.get("done") is True:
            ended = "terminal"
        return reply_of(mapping(fit(self._extra.on(self._fields))), ended)


def reply_of(body: Object, ended: Ended) -> Reply:
    """A chat or generate answer, whole or as far as it came, as a Reply."""
    message = mapping(body.get("message"))
    reason = body.get("done_reason")
    said = [string(message.get("content")), string(body.get("response"))]
    for each in items(message.get("tool_calls")):
        function = mapping(mapping(each).get("function"))
        said.append(called(function.get("name"), function.get("arguments", {})))
    return Reply(
        response=body,
        ended=ended,
        response_model=string(body.get("model")) or None,
        usage=_usage_of(body),
        finish_reasons=(reason if isinstance(reason, str) else None,) if "done" in body else (),
        texts=kept("answer", said),
    )


def _usage_of(body: Object) -> Usage | None:
    """`prompt_eval_count` is all input that was evaluated; left out when the whole prompt was cached."""
    usage = Usage(input_tokens=count(body.get("prompt_eval_count")), output_tokens=count(body.get("eval_count")))
    return None if usage == Usage() else usage


def whole(body: Json) -> Reply:
    """An unstreamed answer, or an error body."""
    if not isinstance(body, dict) or "error" in body:
        return Reply(response=body, ended="terminal")
    return reply_of(body, "terminal")
