"""Responses: events in, the `response` out.

The terminal event carries the object; whatever it leaves out, and all of it when the stream was cut, is built from
the events before. Items are matched by `output_index`, never by id: some servers change ids with every event.
Source: OpenAI API reference, "Responses" and "Streaming events".
"""

from collections.abc import Callable, Mapping
from typing import Final

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import index, items, mapping, string
from wire.openai.measured import MeasuredBase64
from wire.openai.output_item import OutputItem, place_of
from wire.openai.turns import part_texts, plain_texts, written
from wire.openai.usage import usage_of
from wire.turns import called, kept

_SNAPSHOTS: Final = frozenset(("response.created", "response.queued", "response.in_progress"))
_TERMINAL: Final = frozenset(("response.completed", "response.incomplete", "response.failed", "response.done"))
_STATUS: Final = frozenset(
    ("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call")
)
_PARTS: Final = {
    "output_text": ("content", "content_index", "text"),
    "refusal": ("content", "content_index", "refusal"),
    "reasoning_text": ("content", "content_index", "text"),
    "reasoning_summary_text": ("summary", "summary_index", "text"),
}
"""Which list a delta belongs to, by which index, and under which key `.done` has the whole."""

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "function_call_arguments": ("arguments",),
    "mcp_call_arguments": ("arguments",),
    "custom_tool_call_input": ("input",),
    "code_interpreter_call_code": ("code",),
    "apply_patch_call_operation_diff": ("operation", "diff"),
}


class ResponsesFolder:
    """Events in, one `response` out. Terminal: `response.completed`, `.incomplete` or `.failed` (and `.done`)."""

    def __init__(self) -> None:
        self._snapshot: dict[str, Json] = {}
        self._terminal: dict[str, Json] | None = None
        self._failed = False
        self._items: list[tuple[int, OutputItem]] = []
        self._at: dict[int, OutputItem] = {}
        self._extra = Extra()
        self._previews: dict[int, dict[str, Json]] = {}
        self._audio: MeasuredBase64 | None = None
        self._transcript: list[str] = []

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is not None:
            self.add_payload(payload, event.name)

    def add_payload(self, payload: dict[str, Json], name: str = "") -> None:
        """One event as JSON. `name` is the SSE event's, which counts when the payload has no `type`."""
        kind = string(payload.get("type")) or name
        if kind in _SNAPSHOTS:
            self._snapshot = {**self._snapshot, **mapping(payload.get("response"))}
        elif kind in _TERMINAL:
            self._end(kind, mapping(payload.get("response")))
        elif kind == "error" or (not kind and payload.get("error") is not None):
            self._extra.failed(payload)
        elif kind in ("keepalive", "response.keepalive", "ping", "response.compaction.compacting"):
            self._extra.count("signs_of_life")
        elif kind.startswith(("response.steer", "response.inject")):
            self._extra.keep("steer", payload)
        elif kind == "response.create":
            self._extra.keep("asked", payload)
        elif not self._add_output(kind, payload):
            self._extra.keep("unknown_events", payload)

    def _end(self, kind: str, response: dict[str, Json]) -> None:
        if self._terminal is not None:
            self._extra.keep("further_terminal_events", response)
            return
        self._terminal = response
        self._failed = kind == "response.failed" or response.get("status") == "failed"

    def _add_output(self, kind: str, payload: dict[str, Json]) -> bool:
        """An event about the output; False when it is none that is known."""
        subject, _, moment = kind.removeprefix("response.").rpartition(".")
        if subject in _PARTS:
            self._part_text(subject, moment, payload)
        elif subject in _FIELDS:
            self._field(_FIELDS[subject], moment, payload)
        elif subject == "output_item":
            self._item_event(moment, payload)
        elif subject in ("content_part", "reasoning_summary_part"):
            self._part_event(subject, payload)
        elif subject == "image_generation_call" and moment == "partial_image":
            self._preview(payload)
        elif subject in _STATUS:
            self._item(payload).put(("status",), moment)
        elif subject in _RARE:
            _RARE[subject](self, moment, payload)
        else:
            return False
        return True

    def _item(self, payload: dict[str, Json]) -> OutputItem:
        place = place_of(payload, "output_index")
        item = self._at.get(place)
        if item is None:
            item = self._open(place, {})
        return item

    def _open(self, place: int, base: dict[str, Json]) -> OutputItem:
        item = self._at[place] = OutputItem(base)
        self._items.append((place, item))
        return item

    def _item_event(self, moment: str, payload: dict[str, Json]) -> None:
        place = place_of(payload, "output_index")
        told = dict(mapping(payload.get("item")))
        item = self._at.get(place)
        if moment == "added":
            if item is None or item.done:  # parallel lanes use an index again
                self._open(place, told)
            return
        if item is None:
            item = self._open(place, {})
        item.settle(told)

    def _part_event(self, subject: str, payload: dict[str, Json]) -> None:
        name, by, kind = (
            ("content", "content_index", "output_text")
            if subject == "content_part"
            else ("summary", "summary_index", "summary_text")
        )
        item = self._item(payload)
        if not item.done:
            item.part(name, place_of(payload, by), kind).replace(mapping(payload.get("part")))

    def _part_text(self, subject: str, moment: str, payload: dict[str, Json]) -> None:
        name, by, key = _PARTS[subject]
        item = self._item(payload)
        if item.done:
            return  # the item is whole already
        kind = "summary_text" if name == "summary" else subject
        part = item.part(name, place_of(payload, by), kind)
        if moment == "delta":
            part.grow(payload.get("delta"), payload.get("logprobs"))
        else:
            part.settle(payload.get(key))

    def _annotation(self, _: str, payload: dict[str, Json]) -> None:
        item = self._item(payload)
        if not item.done:
            part = item.part("content", place_of(payload, "content_index"), "output_text")
            part.annotate(index(payload.get("annotation_index")), payload.get("annotation"))

    def _field(self, path: tuple[str, ...], moment: str, payload: dict[str, Json]) -> None:
        item = self._item(payload)
        if item.done:
            return
        if moment == "delta":
            item.grow(path, payload.get("delta"))
            return
        item.put(path, payload.get(path[-1]))
        if path == ("arguments",):
            item.put(("name",), payload.get("name"))

    def _shell_command(self, moment: str, payload: dict[str, Json]) -> None:
        item = self._item(payload)
        path = ("action", "commands", place_of(payload, "command_index"))
        if item.done:
            return
        if moment == "delta":
            item.grow(path, payload.get("delta"))
        else:
            item.put(path, payload.get("command"))

    def _shell_output(self, moment: str, payload: dict[str, Json]) -> None:
        item = self._item(payload)
        if item.done:
            return
        place = place_of(payload, "command_index")
        if moment == "done":
            for stream in ("stdout", "stderr"):  # what the deltas said is in the whole
                item.put(("output", place, stream), "")
            told = items(payload.get("output"))
            item.put(("output", place), told[0] if len(told) == 1 else told)
            return
        for stream, piece in mapping(payload.get("delta")).items():
            item.grow(("output", place, stream), piece)

    def _preview(self, payload: dict[str, Json]) -> None:
        """Previews are not in the object; which there were is noted, the last one of each image by size and digest."""
        self._extra.count("partial_images")
        image = MeasuredBase64()
        image.add(payload.get("partial_image_b64"))
        self._previews[place_of(payload, "output_index")] = {
            "output_index": payload.get("output_index"),
            "partial_image_index": payload.get("partial_image_index"),
            **image.close(),
        }

    def _spoken(self, moment: str, payload: dict[str, Json]) -> None:
        if moment == "delta":
            self._audio = self._audio or MeasuredBase64()
            self._audio.add(payload.get("delta"))

    def _transcribed(self, moment: str, payload: dict[str, Json]) -> None:
        if moment == "delta" and isinstance(piece := payload.get("delta"), str):
            self._transcript.append(piece)

    def _listed(self, moment: str, payload: dict[str, Json]) -> None:
        """`mcp_list_tools.*` says nothing that its item does not say, but that it failed."""
        if moment == "failed":
            self._extra.keep("failed_tools", payload)

    def close(self) -> Reply:
        response = dict(self._snapshot if self._terminal is None else self._terminal)
        ordered = sorted(self._items, key=lambda placed: placed[0])
        built: list[Json] = [item.close() for _, item in ordered]
        if built and not response.get("output"):
            response["output"] = built
        if self._previews:
            self._extra.put("last_partial_images", list(self._previews.values()))
        if self._audio is not None:
            self._extra.put("audio", {**self._audio.close(), "transcript": "".join(self._transcript)})
        elif self._transcript:
            self._extra.put("audio", {"transcript": "".join(self._transcript)})
        ended: Ended = "open" if self._terminal is None else "terminal"
        if self._failed or self._extra.errors:
            ended = "failed"
        return reply_of(self._extra.on(response), ended)


_RARE: Final[dict[str, Callable[[ResponsesFolder, str, dict[str, Json]], None]]] = {
    "output_text.annotation": ResponsesFolder._annotation,
    "shell_call_command": ResponsesFolder._shell_command,
    "shell_call_output_content": ResponsesFolder._shell_output,
    "audio": ResponsesFolder._spoken,
    "audio.transcript": ResponsesFolder._transcribed,
    "mcp_list_tools": ResponsesFolder._listed,
}


def reply_of(response: dict[str, Json], ended: Ended) -> Reply:
    """A response, whole or as far as it came, as a Reply. Its finish reason is why it is incomplete, or its status."""
    status = response.get("status")
    reason = mapping(response.get("incomplete_details")).get("reason") or (status if ended != "open" else None)
    return Reply(
        response=response,
        ended=ended,
        response_model=string(response.get("model")) or None,
        usage=usage_of(response.get("usage")),
        finish_reasons=(reason if isinstance(reason, str) else None,),
        texts=tuple(text for each in items(response.get("output")) for text in item_texts(mapping(each))),
    )


def item_texts(item: dict[str, Json]) -> tuple[Text, ...]:
    """A message's text, or a call with what it was called with; reasoning and results are not the answer."""
    kind = string(item.get("type"))
    if kind in ("message", ""):
        return tuple(part_texts(item.get("content"), "answer"))
    if not kind.endswith("_call"):
        return ()
    asked = next((item[key] for key in ("arguments", "input", "code", "action", "operation") if item.get(key)), "")
    return kept("answer", (called(item.get("name") or kind, asked),))


def whole(body: Json) -> Reply:
    """An unstreamed response, or an error that came with status 200."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    failed = body.get("status") == "failed" or (body.get("error") is not None and not body.get("output"))
    return reply_of(body, "failed" if failed else "terminal")


def streams(body: Mapping[str, Json]) -> bool:
    """`"stream": true`."""
    return body.get("stream") is True


def texts(body: Json) -> tuple[Text, ...]:
    """What is new in `input`: a string, or the items after the model's last one."""
    asked = mapping(body).get("input")
    if not isinstance(asked, list):
        return plain_texts(asked)
    new = len(asked)
    while new and not _by_model(mapping(asked[new - 1])):
        new -= 1
    found: list[Text] = []
    for each in asked[new:]:
        item = mapping(each)
        if item.get("role") in ("system", "developer"):
            continue
        if string(item.get("type")).endswith("_output"):
            output = item.get("output")
            found += part_texts(output, "tool") if isinstance(output, list) else kept("tool", (written(output),))
        else:
            found += part_texts(item.get("content"), "user")
    return tuple(found)


def _by_model(item: dict[str, Json]) -> bool:
    kind = string(item.get("type"))
    return (
        item.get("role") == "assistant"
        or kind.endswith("_call")
        or kind in ("reasoning", "compaction", "mcp_list_tools", "mcp_approval_request")
    )


API = Api(operation="responses", folder=ResponsesFolder, whole=whole, texts=texts, streams=streams)
