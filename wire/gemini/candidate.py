"""One candidate being put together out of the chunks that bring its pieces."""

from typing import Final

from exchange.call import Json
from wire.extra import Extra
from wire.fields import Object, items, mapping, string
from wire.gemini.function_call import StreamedCall, opens
from wire.turns import called

_TEXT: Final = frozenset(("text", "thought", "thoughtSignature"))
"""The keys of a part that is text and nothing else: only such parts join."""


class Candidate:
    """`parts` append; neighbouring text parts of one kind join, since unstreamed they come as one."""

    def __init__(self) -> None:
        self.fields: Object = {}
        self._content: Object | None = None
        self._parts: list[Object] | None = None
        self._pieces: list[str] | None = None  # of the last part, while it is text that may still grow
        self._call: StreamedCall | None = None

    def add(self, chunk: Object, extra: Extra) -> None:
        """One chunk's piece of this candidate. Of other fields the last value that is not null holds; `finishReason`
        may come more than once, and text may follow it."""
        for key, value in chunk.items():
            if key == "content":
                self._add_content(mapping(value), extra)
            elif key == "logprobsResult":
                self._add_logprobs(mapping(value))
            elif value is not None or key not in self.fields:
                self.fields[key] = value

    def _add_content(self, content: Object, extra: Extra) -> None:
        if self._content is None:
            self._content = {}
        for key, value in content.items():
            if key == "parts":
                if self._parts is None:
                    self._parts = []
                for part in items(value):
                    if isinstance(part, dict):
                        self._add_part(dict(part), self._parts, extra)
                    elif part is not None:
                        extra.keep("unknown_events", part)
            elif value not in (None, "") or key not in self._content:
                self._content[key] = value

    def _add_part(self, part: Object, parts: list[Object], extra: Extra) -> None:
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._end_text(parts)
            if self._add_call(part, call, extra):
                return
            parts.append(part)
            if self._call is not None and not self._call.add(dict(part), extra):
                self._end_call(extra)
            return
        self._end_call(extra)
        text = part.get("text")
        if not isinstance(text, str) or not part.keys() <= _TEXT:
            self._end_text(parts)
            parts.append(part)
            return
        if self._pieces is None or bool(parts[-1].get("thought")) is not bool(part.get("thought")):
            self._end_text(parts)
            parts.append(part)
            self._pieces = [text]
        else:
            self._pieces.append(text)
        if part.get("thoughtSignature"):
            # a signature closes what it signs, often on an empty part of its own
            parts[-1]["thoughtSignature"] = part["thoughtSignature"]
            self._end_text(parts)

    def _add_call(self, part: Object, call: Object, extra: Extra) -> bool:
        """Whether the part went into a call that is open. A part that opens one is left for the caller to append."""
        if self._call is not None and self._call.takes(call):
            if not self._call.add(part, extra):
                self._end_call(extra)
            return True
        self._end_call(extra)
        if opens(call):
            self._call = StreamedCall(part)
        return False

    def _end_call(self, extra: Extra) -> None:
        if self._call is not None:
            self._call.close(extra)
            self._call = None

    def _end_text(self, parts: list[Object]) -> None:
        if self._pieces is not None:
            parts[-1]["text"] = "".join(self._pieces)
            self._pieces = None

    def _add_logprobs(self, told: Object) -> None:
        kept = self.fields.setdefault("logprobsResult", {})
        if not isinstance(kept, dict):
            kept = self.fields["logprobsResult"] = {}
        for key, value in told.items():
            before = kept.get(key)
            if isinstance(value, list) and isinstance(before, list):
                before.extend(value)
            elif value is not None:
                kept[key] = list(value) if isinstance(value, list) else value

    def whole(self, extra: Extra) -> Object:
        """The candidate as it would have come unstreamed, as far as it came."""
        if self._call is not None:
            extra.count("open_function_calls")
            self._end_call(extra)
        if self._content is None:
            return self.fields
        content = dict(self._content)
        if self._parts is not None:
            self._end_text(self._parts)
            parts: list[Json] = list(self._parts)
            content["parts"] = parts
        return {"content": content, **self.fields}


def texts_of(candidate: Object) -> list[str]:
    """What the candidate says: its text (not its thoughts), code it writes, and functions it calls."""
    found: list[str] = []
    for each in items(mapping(candidate.get("content")).get("parts")):
        part = mapping(each)
        call = mapping(part.get("functionCall"))
        if call:
            found.append(called(call.get("name"), call.get("args", {})))
        elif not part.get("thought"):
            found.append(string(part.get("text")) or string(mapping(part.get("executableCode")).get("code")))
    return [text for text in found if text]
