"""Anthropic Text Completions (`/v1/complete`), the API before Messages.

Streamed, each event's `completion` is the next piece, and the last event's `stop_reason` is not null; some servers
name events `completion` and `ping`, and frame with CRLF.
"""

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import Object, mapping, string
from wire.json_text import fit
from wire.other import streams
from wire.turns import kept


class CompleteFolder:
    """Pieces of `completion` joined; every other field as the last event that told it has it."""

    def __init__(self) -> None:
        self._fields: Object = {}
        self._pieces: list[str] = []
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None or (string(payload.get("type")) or event.name) == "ping":
            return
        if "error" in payload or event.name == "error":
            self._extra.failed(payload)
            return
        if "completion" not in payload:
            self._extra.keep("unknown_events", payload)
            return
        self._pieces.append(string(payload["completion"]))
        for key, value in payload.items():
            if value is not None or key not in self._fields:
                self._fields[key] = value

    def close(self) -> Reply:
        if self._pieces:
            self._fields["completion"] = "".join(self._pieces)
        ended: Ended = "open"
        if self._extra.errors:
            ended = "failed"
        elif self._fields.get("stop_reason") is not None:
            ended = "terminal"
        return _reply_of(mapping(fit(self._extra.on(self._fields))), ended)


def _reply_of(body: Object, ended: Ended) -> Reply:
    reason = body.get("stop_reason")
    return Reply(
        response=body,
        ended=ended,
        response_model=string(body.get("model")) or None,
        finish_reasons=(reason if isinstance(reason, str) else None,) if "completion" in body else (),
        texts=kept("answer", (string(body.get("completion")),)),
    )


def whole(body: Json) -> Reply:
    """An unstreamed completion, or an error body."""
    return _reply_of(body, "terminal") if isinstance(body, dict) else Reply(response=body, ended="terminal")


def texts(body: Json) -> tuple[Text, ...]:
    """The last thing the human said: the prompt is the whole conversation in one string ("\\n\\nHuman: …")."""
    last = string(mapping(body).get("prompt")).rpartition("\n\nHuman:")[2]
    return kept("user", (last.rpartition("\n\nAssistant:")[0].strip() or last.strip(),))


API = Api(operation="text_completion", folder=CompleteFolder, whole=whole, texts=texts, streams=streams)
