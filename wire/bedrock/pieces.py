"""Models on Bedrock that stream objects of their own: Titan, Llama, Mistral, Command, Claude 2.

Source: "Inference request parameters and response fields for foundation models", Amazon Bedrock user guide.
"""

from dataclasses import replace
from typing import Final

from exchange.call import Json
from exchange.reply import Ended, Reply, Usage
from wire.extra import Extra
from wire.fields import Object, count, index, items, mapping, string, total
from wire.json_text import fit
from wire.turns import kept

METRICS: Final = "amazon-bedrock-invocationMetrics"
"""Field of the last chunk, whosever model it is; unstreamed, these counts are headers."""

GUARDRAIL: Final = "amazon-bedrock-guardrailAction"

_TEXTS: Final = frozenset(("outputText", "generation", "completion", "text"))
_REASONS: Final = ("completionReason", "stop_reason", "finish_reason")


class PiecesFolder:
    """Chunks in, one object out: text fields are strung together, lists merge by position, of all else the last value
    that is not null holds. Terminal is the chunk with the invocation metrics; an answer that tells why it ended, or
    that a guardrail stopped, is settled without them."""

    def __init__(self, extra: Extra) -> None:
        self._fields: Object = {}
        self._pieces: dict[tuple[int, str], tuple[Object, list[str]]] = {}  # by the identity of what holds them
        self._metrics: Object | None = None
        self._extra = extra

    def add_payload(self, payload: Object, _: str = "") -> None:
        """One chunk as JSON."""
        metrics = payload.pop(METRICS, None)
        if metrics is not None:
            self._metrics = mapping(metrics)
            self._extra.put(METRICS, metrics)
        if "error" in payload:
            self._extra.failed(payload)
        else:
            self._merge(self._fields, payload)

    def _merge(self, into: Object, told: Object) -> None:
        for key, value in told.items():
            before = into.get(key)
            if isinstance(value, str) and key in _TEXTS:
                self._pieces.setdefault((id(into), key), (into, []))[1].append(value)
                into[key] = ""  # keeps the field's place; the pieces are joined at the end
            elif isinstance(value, dict):
                inner = before if isinstance(before, dict) else {}
                into[key] = inner
                self._merge(inner, value)
            elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
                listed = items(before)
                into[key] = listed
                self._merge_list(listed, value)
            elif value is not None or key not in into:
                into[key] = value

    def _merge_list(self, listed: list[Json], told: list[Json]) -> None:
        for position, each in enumerate(told):
            at = index(mapping(each).get("index"))
            at = min(position if at is None else at, len(listed))
            if at == len(listed):
                listed.append({})
            inner = listed[at]
            if not isinstance(inner, dict):
                inner = listed[at] = {}
            self._merge(inner, mapping(each))

    def close(self) -> Reply:
        for (_, key), (holder, pieces) in self._pieces.items():
            holder[key] = "".join(pieces)
        usage = _usage(self._metrics or {}, self._fields)
        reply = _reply(mapping(fit(self._extra.on(_unstreamed(self._fields)))), self._ended(), usage)
        if reply.ended == "open" and any(reason is not None for reason in reply.finish_reasons):
            return replace(reply, ended="settled")
        return reply

    def _ended(self) -> Ended:
        if self._extra.errors:
            return "failed"
        if self._metrics is not None:
            return "terminal"
        return "settled" if self._fields.get(GUARDRAIL) == "INTERVENED" else "open"


def whole(body: Object) -> Reply:
    """An unstreamed answer, or an error body (`{"message": …}`)."""
    return _reply(body, "terminal", _usage({}, body))


def _unstreamed(fields: Object) -> Object:
    """Titan's chunks are flat; unstreamed, its text stands in `results`. The others keep their shape."""
    if "outputText" not in fields:
        return fields
    result: Object = {
        "tokenCount": fields.get("totalOutputTextTokenCount"),
        "outputText": fields["outputText"],
        "completionReason": fields.get("completionReason"),
    }
    moved = ("outputText", "totalOutputTextTokenCount", "completionReason", "index")
    return {**{key: value for key, value in fields.items() if key not in moved}, "results": [result]}


def _usage(metrics: Object, fields: Object) -> Usage | None:
    """The metrics' counts, else the model's own."""
    read = count(metrics.get("cacheReadInputTokenCount"))
    told = total(count(metrics.get("inputTokenCount")), read, count(metrics.get("cacheWriteInputTokenCount")))
    results = [mapping(each) for each in items(fields.get("results"))]
    usage = Usage(
        input_tokens=_first(told, fields.get("inputTextTokenCount"), fields.get("prompt_token_count")),
        output_tokens=_first(
            count(metrics.get("outputTokenCount")),
            fields.get("totalOutputTextTokenCount"),
            fields.get("generation_token_count"),
            total(*(count(each.get("tokenCount")) for each in results)),
        ),
        cached_input_tokens=read,
    )
    return None if usage == Usage() else usage


def _first(*values: Json) -> int | None:
    return next((found for found in map(count, values) if found is not None), None)


def _reply(body: Object, ended: Ended, usage: Usage | None) -> Reply:
    told = [
        mapping(each) for name in ("results", "outputs", "generations", "completions") for each in items(body.get(name))
    ]
    said, reasons = list[str](), list[str | None]()
    for each in told or [body]:
        text = next((string(each[key]) for key in each if key in _TEXTS), None)
        if text is not None:
            reason = next((each[key] for key in _REASONS if key in each), None)
            said.append(text)
            reasons.append(reason if isinstance(reason, str) else None)
    return Reply(body, ended, usage=usage, finish_reasons=tuple(reasons), texts=kept("answer", said))
