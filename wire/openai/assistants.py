"""Assistants: a run's events in, the run out; its messages and steps, which a run does not hold, beside it.

The SSE event's name is the type, its data the object (no `type` inside).
Source: OpenAI API reference, "Assistants: streaming".
"""

from typing import Final

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import index, items, mapping, string
from wire.openai.chat import streams
from wire.openai.turns import part_texts, request_texts
from wire.openai.usage import usage_of
from wire.turns import called, kept

_GROWING: Final = frozenset(("value", "arguments", "input", "logs"))
"""Strings that deltas continue; all others are told whole."""


class Tree:
    """An object that deltas complete: fields by name, list entries by their own `index`."""

    def __init__(self, name: str = "") -> None:
        self._grows = name in _GROWING
        self._value: Json = None
        self._pieces: list[str] = []
        self._fields: dict[str, Tree] = {}
        self._entries: dict[int, Tree] = {}

    def add(self, piece: Json) -> None:
        if piece is None and self._value is not None:
            return
        if isinstance(piece, dict):
            for name, value in piece.items():
                if name not in self._fields:
                    self._fields[name] = Tree(name)
                self._fields[name].add(value)
        elif isinstance(piece, list):
            for position, entry in enumerate(piece):
                place = index(mapping(entry).get("index"))
                place = position if place is None else place
                self._entries.setdefault(place, Tree()).add(entry)
        elif isinstance(piece, str) and self._grows:
            self._pieces.append(piece)
        self._value = piece

    def close(self) -> Json:
        if isinstance(self._value, dict):
            return {name: field.close() for name, field in self._fields.items()}
        if isinstance(self._value, list):
            return [_without_index(self._entries[place].close()) for place in sorted(self._entries)]
        return "".join(self._pieces) if self._pieces else self._value


def _without_index(entry: Json) -> Json:
    return {name: value for name, value in entry.items() if name != "index"} if isinstance(entry, dict) else entry


class AssistantFolder:
    """Terminal is the event `done`. A run that failed, and an `error` event, make it failed."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, Json]] = {}
        self._objects: dict[str, dict[str, Tree]] = {"messages": {}, "steps": {}}
        self._thread: dict[str, Json] | None = None
        self._done = False
        self._extra = Extra()

    def add(self, event: Event) -> None:
        if event.name == "done" or event.is_done:
            self._done = True
            return
        payload = self._extra.payload(event)
        if payload is not None:
            self._add_payload(event.name or string(payload.get("type")), payload)

    def _add_payload(self, kind: str, payload: dict[str, Json]) -> None:
        known = string(payload.get("id"))
        if kind == "error":
            self._extra.failed(payload)
        elif kind.startswith("thread.run.step."):
            self._add_object("steps", kind, known, payload)
        elif kind.startswith("thread.message."):
            self._add_object("messages", kind, known, payload)
        elif kind.startswith("thread.run."):
            self._runs[known] = payload
        elif kind.startswith("thread."):
            self._thread = payload
        else:
            self._extra.keep("unknown_events", payload)

    def _add_object(self, name: str, kind: str, known: str, payload: dict[str, Json]) -> None:
        trees = self._objects[name]
        if kind.endswith(".delta"):
            if known not in trees:
                trees[known] = Tree()
                trees[known].add({"id": known})
            trees[known].add(payload.get("delta"))
        else:
            trees[known] = Tree()
            trees[known].add(payload)

    def close(self) -> Reply:
        runs = list(self._runs.values())
        run = dict(runs[-1]) if runs else {}
        for name, trees in self._objects.items():
            if trees:
                self._extra.put(name, [tree.close() for tree in trees.values()])
        if self._thread is not None:
            self._extra.put("thread", self._thread)
        if len(runs) > 1:
            self._extra.put("earlier_runs", [*runs[:-1]])
        ended: Ended = "terminal" if self._done else "open"
        if self._extra.errors or run.get("status") == "failed":
            ended = "failed"
        return reply_of(self._extra.on(run), ended)


def reply_of(response: dict[str, Json], ended: Ended) -> Reply:
    """A run, with what was said in its stream, as a Reply. Its finish reason is its status."""
    status = response.get("status")
    extra = mapping(response.get("_extra"))
    said: list[Text] = []
    for message in items(extra.get("messages")):
        said += part_texts(mapping(message).get("content"), "answer")
    action = mapping(mapping(response.get("required_action")).get("submit_tool_outputs"))
    for each in items(action.get("tool_calls")):
        function = mapping(mapping(each).get("function"))
        said += kept("answer", (called(function.get("name"), function.get("arguments", "")),))
    return Reply(
        response=response,
        ended=ended,
        response_model=string(response.get("model")) or None,
        usage=usage_of(response.get("usage")),
        finish_reasons=(status if isinstance(status, str) and ended != "open" else None,),
        texts=tuple(said),
    )


def whole(body: Json) -> Reply:
    """An unstreamed run, or an error that came with status 200."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    return reply_of(body, "failed" if body.get("error") is not None and not body.get("id") else "terminal")


def texts(body: Json) -> tuple[Text, ...]:
    """New messages (of the thread that is made, or added to it), and outputs of tools."""
    asked = mapping(body)
    messages = [*items(mapping(asked.get("thread")).get("messages")), *items(asked.get("additional_messages"))]
    outputs = (string(mapping(each).get("output")) for each in items(asked.get("tool_outputs")))
    return (*request_texts(messages), *kept("tool", outputs))


API = Api(operation="other", folder=AssistantFolder, whole=whole, texts=texts, streams=streams)
