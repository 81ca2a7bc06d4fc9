"""One interaction being put together: its steps, and the deltas that make each step grow."""

import base64
import binascii
from collections.abc import Callable
from typing import Final

from exchange.call import Json
from wire.cut_json import put_arguments
from wire.extra import Extra
from wire.fields import Object, index, items, mapping, string


class Step:
    """A step as `step.start` gave it, and what came since."""

    def __init__(self, fields: Object) -> None:
        self.fields = fields
        self._arguments: list[str] = []
        self._pieces: list[str] | None = None  # of the text content that is growing

    def add(self, delta: Object) -> bool:
        """One delta. False when no rule knows its type."""
        kind = string(delta.get("type"))
        if kind != "text":
            self._end_text()
        rule = _RULES.get(kind)
        if rule is None:
            return False
        rule(self, delta)
        return True

    def text(self, delta: Object) -> None:
        piece = string(delta.get("text"))
        if self._pieces is None:
            self._list("content").append({k: v for k, v in delta.items() if v is not None})
            self._pieces = [piece]
        else:
            self._pieces.append(piece)

    def annotations(self, delta: Object) -> None:
        """Annotations belong to the text that came last."""
        told = items(delta.get("annotations"))
        content = self._list("content")
        last = content[-1] if content else None
        if not isinstance(last, dict):
            last = {"type": "text", "text": ""}
            content.append(last)
        known = last.get("annotations")
        last["annotations"] = [*items(known), *told]

    def summary(self, delta: Object) -> None:
        """A thought's summary; neighbouring texts are one."""
        told = delta.get("content")
        if told is None:
            return
        summary = self._list("summary")
        last = summary[-1] if summary else None
        if isinstance(told, dict) and isinstance(last, dict) and told.get("type") == last.get("type") == "text":
            last["text"] = string(last.get("text")) + string(told.get("text"))
        else:
            summary.append(told)

    def signature(self, delta: Object) -> None:
        self.fields["signature"] = delta.get("signature")

    def arguments(self, delta: Object) -> None:
        told = delta.get("arguments")
        if isinstance(told, str):
            self._arguments.append(told)
        elif told is not None:
            self.fields["arguments"] = told

    def media(self, delta: Object) -> None:
        """Image, audio, video, document: contents of their own; audio arrives in pieces, which are one."""
        content = self._list("content")
        last = mapping(content[-1]) if content else {}
        data = delta.get("data")
        same = all(last.get(key) == delta.get(key) for key in ("type", "mime_type") if delta.get(key) is not None)
        if delta.get("type") == "audio" and same and isinstance(data, str) and isinstance(last.get("data"), str):
            joined = _joined(string(last["data"]), data)
            if joined is not None:
                last["data"] = joined
                return
        content.append({key: value for key, value in delta.items() if value is not None})

    def whole_call(self, delta: Object) -> None:
        """Calls and results of the provider's own tools come whole: their fields are the step's."""
        for key, value in delta.items():
            if key != "type" and value is not None:
                self.fields[key] = value

    def whole(self) -> Object:
        self._end_text()
        if self._arguments:
            put_arguments(self.fields, "arguments", "".join(self._arguments))
        self._arguments.clear()
        return self.fields

    def _end_text(self) -> None:
        if self._pieces is not None:
            mapping(self._list("content")[-1])["text"] = "".join(self._pieces)
            self._pieces = None

    def _list(self, name: str) -> list[Json]:
        known = self.fields.get(name)
        if not isinstance(known, list):
            known = self.fields[name] = []
        return known


type _Rule = Callable[[Step, Object], None]

_RULES: Final[dict[str, _Rule]] = {
    "text": Step.text,
    "text_annotation_delta": Step.annotations,
    "thought_summary": Step.summary,
    "thought_signature": Step.signature,
    "arguments_delta": Step.arguments,
    "image": Step.media,
    "audio": Step.media,
    "video": Step.media,
    "document": Step.media,
    **dict.fromkeys(
        (
            *(f"{tool}_call" for tool in ("code_execution", "file_search", "google_maps", "google_search")),
            *(f"{tool}_result" for tool in ("code_execution", "file_search", "google_maps", "google_search")),
            *("function_result", "mcp_server_tool_call", "mcp_server_tool_result"),
            *("processing_call", "processing_result", "retrieval_call", "retrieval_result"),
            *("tool_search_call", "tool_search_result", "url_context_call", "url_context_result"),
        ),
        Step.whole_call,
    ),
}


class Interaction:
    """Steps by index, under the snapshot that came last."""

    def __init__(self) -> None:
        self.fields: Object = {}
        self._steps: dict[int, Step] = {}

    def tell(self, snapshot: Object) -> None:
        """What `interaction.created` or `.completed` says: it holds, except that null takes nothing back and an empty
        list of steps does not undo the steps that came."""
        for key, value in snapshot.items():
            if key == "steps" and not value:
                continue
            if value is not None or key not in self.fields:
                self.fields[key] = value

    def start(self, event: Object, extra: Extra) -> None:
        at = index(event.get("index"))
        if at is None:
            at = max(self._steps, default=-1) + 1
        replaced = self._steps.get(at)
        if replaced is not None:
            extra.keep("replaced_steps", replaced.whole())
        self._steps[at] = Step(dict(mapping(event.get("step"))))

    def delta(self, event: Object, extra: Extra) -> None:
        at = index(event.get("index"))
        if at is None:
            at = max(self._steps, default=0)
        step = self._steps.get(at)
        if step is None:
            step = self._steps[at] = Step({})
            extra.count("steps_without_start")
        if not step.add(mapping(event.get("delta"))):
            extra.keep("unknown_events", event)
        if event.get("metadata") is not None:
            extra.put("metadata", event["metadata"])

    def whole(self) -> Object:
        """The interaction, with the steps that its last snapshot names, else with those that were streamed."""
        steps: list[Json] = [self._steps[at].whole() for at in sorted(self._steps)]
        if steps and not self.fields.get("steps"):
            return {**self.fields, "steps": steps}
        return self.fields


def _joined(first: str, second: str) -> str | None:
    """Two pieces of base64 as one: each may be padded, so the strings cannot simply be strung together."""
    if not first.endswith("=") and len(first) % 4 == 0:
        return first + second
    try:
        return base64.b64encode(base64.b64decode(first) + base64.b64decode(second)).decode()
    except (binascii.Error, ValueError):
        return None
