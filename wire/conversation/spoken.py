"""The words of a streamed reply as they come: bytes in, what they add to the answer's text out. For replay."""

from collections.abc import Callable
from typing import Final

from exchange.call import Json
from wire.api import Event
from wire.bedrock.event_stream import FrameReader
from wire.decoding import ContentDecoder
from wire.fields import Object, index, items, mapping, string
from wire.framing import EventReader, framing, undecided
from wire.json_array import JsonArray
from wire.json_text import fit_text, read_json
from wire.ndjson import JsonLines
from wire.opaque import media_type
from wire.sse import EventStream

_READERS: Final[dict[str, Callable[[], EventReader]]] = {
    "sse": EventStream,
    "lines": JsonLines,
    "array": JsonArray,
    "frames": FrameReader,
}


class Spoken:
    """One reply of a record: by its `operation`, `status` and `stream`, and the types of its raw bytes.

    Never raises for what came over the wire. A reply that is no stream has no words here.
    """

    def __init__(
        self, *, operation: str, status: int, content_type: str | None, content_encoding: str | None, streamed: bool
    ) -> None:
        self._decoder = ContentDecoder(content_encoding)
        self._arrays = operation == "generate_content"
        self._status = status
        self._media = media_type(content_type)
        self._streamed = streamed
        self._head = b""
        self._begun = False
        self._reader: EventReader | None = None

    def feed(self, data: bytes) -> str:
        """What these bytes add to the text."""
        if self._decoder.unknown:
            return ""
        return "".join(self._plain(piece) for piece in self._decoder.feed(data))

    def close(self) -> str:
        """What was held back until it was certain."""
        begun = self._begin() if not self._begun and self._head else ""
        return begun + (self._words(self._reader.close()) if self._reader else "")

    def _plain(self, piece: bytes) -> str:
        if self._begun:
            return self._words(self._reader.feed(piece)) if self._reader else ""
        self._head += piece
        return "" if undecided(self._head) else self._begin()

    def _begin(self) -> str:
        self._begun = True
        kind = framing(self._head, self._media, status=self._status, streamed=self._streamed, arrays=self._arrays)
        if kind not in _READERS:
            return ""
        self._reader = _READERS[kind]()
        return self._words(self._reader.feed(self._head))

    def _words(self, events: list[Event]) -> str:
        return "".join(map(words, events))


def words(event: Event) -> str:
    """What one event adds to the text of the first choice; empty for anything else."""
    try:
        payload = read_json(event.data)
    except ValueError:
        return ""
    fields = mapping(payload)
    kind = string(fields.get("type")) or event.name
    if kind.startswith("response."):
        return fit_text(string(fields.get("delta"))) if kind in _RESPONSES else ""
    return fit_text(_chat(fields) or _anthropic(fields) or _gemini(fields) or _others(fields, kind))


_RESPONSES: Final = frozenset(
    ("response.output_text.delta", "response.refusal.delta", "response.output_audio_transcript.delta")
)


def _first(choices: Json) -> Object:
    """The choice with index 0."""
    for choice in items(choices):
        fields = mapping(choice)
        if not index(fields.get("index")):
            return fields
    return {}


def _chat(fields: Object) -> str:
    choice = _first(fields.get("choices"))
    delta = mapping(choice.get("delta"))
    content = delta.get("content")
    if isinstance(content, list):  # Mistral's typed parts
        content = "".join(string(mapping(part).get("text")) for part in content)
    return string(content) or string(delta.get("refusal")) or string(choice.get("text"))


def _anthropic(fields: Object) -> str:
    if fields.get("type") == "content_block_delta":
        return string(mapping(fields.get("delta")).get("text"))
    return string(fields.get("completion"))


def _gemini(fields: Object) -> str:
    parts = items(mapping(_first(fields.get("candidates")).get("content")).get("parts"))
    return "".join(string(part.get("text")) for part in map(mapping, parts) if part.get("thought") is not True)


def _others(fields: Object, kind: str) -> str:
    """Ollama, Cohere, Bedrock's frames, transcripts, Gemini's interactions."""
    if kind == "transcript.text.delta":
        return string(fields.get("delta"))
    delta = mapping(fields.get("delta"))
    inner = mapping(mapping(delta.get("message")).get("content"))
    said = string(mapping(fields.get("message")).get("content")) or string(fields.get("response"))
    return said or string(inner.get("text")) or string(delta.get("text"))
