"""Gemini `:generateContent` and `:streamGenerateContent`.

Each chunk is a partial GenerateContentResponse, as an SSE event (`alt=sse`: no names, no `[DONE]`) or as an element of
one long JSON array. The official SDK has no accumulator; the rules are in docs/wire-providers.md.
"""

from collections.abc import Mapping

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import Object, index, items, mapping, string
from wire.gemini.candidate import Candidate, texts_of
from wire.gemini.contents import request_texts
from wire.gemini.usage import usage_of
from wire.json_text import fit
from wire.turns import kept


class GenerateContentFolder:
    """Chunks in, one GenerateContentResponse out. Terminal is a `finishReason` or a `promptFeedback`."""

    def __init__(self) -> None:
        self._fields: Object = {}
        self._envelope: Object | None = None
        self._candidates: dict[int, Candidate] = {}
        self._finished = False
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is not None:
            self.add_chunk(payload)

    def add_chunk(self, chunk: Object) -> None:
        """One chunk as JSON. Code Assist wraps each in `{"response": …, "traceId": …}`: so it wraps the whole."""
        inner = chunk.get("response")
        if isinstance(inner, dict) and "candidates" not in chunk:
            self._envelope = {**(self._envelope or {}), **chunk}
            chunk = inner
        for key, value in chunk.items():
            if key == "candidates":
                for position, candidate in enumerate(items(value)):
                    self._add_candidate(mapping(candidate), position)
            elif key == "error":
                self._extra.failed(value)
            elif key == "promptFeedback":
                # only the first chunk brings it: the prompt was blocked, no candidate follows
                if value is not None:
                    self._finished = True
                    self._fields.setdefault(key, value)
            elif value is not None or key not in self._fields:
                self._fields[key] = value

    def _add_candidate(self, chunk: Object, position: int) -> None:
        at = index(chunk.get("index"))
        if at is None:
            at = position  # left out where it is 0
        candidate = self._candidates.get(at)
        if candidate is None:
            candidate = self._candidates[at] = Candidate()
        candidate.add(chunk, self._extra)
        if chunk.get("finishReason"):
            self._finished = True

    def close(self) -> Reply:
        response: Object = {}
        if self._candidates:
            response["candidates"] = [self._candidates[at].whole(self._extra) for at in sorted(self._candidates)]
        response.update(self._fields)
        if self._envelope is not None:
            response = {**self._envelope, "response": response}
        ended: Ended = "failed" if self._extra.errors else "terminal" if self._finished else "open"
        return reply_of(mapping(fit(self._extra.on(response))), ended)


def reply_of(response: Object, ended: Ended) -> Reply:
    """A response, whole or as far as it came, as a Reply."""
    inner = response if "candidates" in response else mapping(response.get("response")) or response
    candidates = [mapping(each) for each in items(inner.get("candidates"))]
    reasons = (each.get("finishReason") for each in candidates)
    return Reply(
        response=response,
        ended=ended,
        response_model=string(inner.get("modelVersion")) or None,
        usage=usage_of(inner.get("usageMetadata")),
        finish_reasons=tuple(reason if isinstance(reason, str) else None for reason in reasons),
        texts=kept("answer", (text for each in candidates for text in texts_of(each))),
    )


def whole(body: Json) -> Reply:
    """An unstreamed response, an error body, or the whole array of a stream that was read at once."""
    if isinstance(body, list) and any("error" not in mapping(each) for each in body):
        folder = GenerateContentFolder()
        for each in body:
            folder.add_chunk(mapping(each))
        return folder.close()
    if not isinstance(body, dict) or "error" in body:
        return Reply(response=body, ended="terminal")
    return reply_of(body, "terminal")


def texts(body: Json) -> tuple[Text, ...]:
    """What is new in a request."""
    return request_texts(body)


def streams(_: Mapping[str, Json]) -> bool:
    """Never by the body: the path's method says so."""
    return False


API = Api(operation="generate_content", folder=GenerateContentFolder, whole=whole, texts=texts, streams=streams)
