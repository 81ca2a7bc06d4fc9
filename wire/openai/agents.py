"""Agent sessions (beta): a session's events in, the session out, with its turns and what it put out.

Items are matched by turn and `output_index`. Source: OpenAI API reference, "Agents: session events".
"""

from typing import Final

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import items, mapping, string
from wire.openai.chat import streams
from wire.openai.output_item import OutputItem, place_of
from wire.openai.responses import item_texts
from wire.openai.turns import part_texts
from wire.openai.usage import usage_of
from wire.turns import kept

_OVER: Final = frozenset(("idle", "failed", "requires_action", "budget_reached"))
"""States of a session in which it waits: nothing more comes by itself."""

_TEXTS: Final = {"output_text": ("content", "content_index"), "reasoning_summary_text": ("summary", "summary_index")}
_PARTS: Final = {"content_part": "output_text", "reasoning_summary_part": "reasoning_summary_text"}
_KINDS: Final = {"output_text": "output_text", "reasoning_summary_text": "summary_text"}


class AgentFolder:
    """Terminal is a session event after which the agent waits: idle, failed, action required, budget reached."""

    def __init__(self) -> None:
        self._session: dict[str, Json] = {}
        self._turns: dict[str, dict[str, Json]] = {}
        self._items: dict[tuple[str, int], OutputItem] = {}
        self._over = False
        self._failed = False
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        kind = string(payload.get("type")) or event.name
        if kind == "error":
            self._extra.failed(payload.get("error") or payload)
            return
        subject, _, moment = kind.removeprefix("agent.").removeprefix("session.").rpartition(".")
        if isinstance(session := payload.get("session"), dict):
            self._session = session
            self._over = moment in _OVER
            self._failed = self._failed or moment == "failed"
        if subject == "turn":
            self._turns[string(payload.get("turn_id"))] = mapping(payload.get("turn"))
            self._failed = self._failed or moment == "failed"
            if payload.get("usage") is not None:
                self._turns[string(payload.get("turn_id"))]["usage"] = payload["usage"]
        elif subject.startswith("turn.") or subject == "output.command_execution_output":
            self._add_output(subject.removeprefix("turn."), moment, payload)
        elif subject.startswith(("environment", "subagent")):
            self._extra.keep("session_events", payload)
        elif "session" not in payload:
            self._extra.keep("unknown_events", payload)

    def _add_output(self, subject: str, moment: str, payload: dict[str, Json]) -> None:
        place = (string(payload.get("turn_id")), place_of(payload, "output_index"))
        item = self._items.get(place)
        if subject == "item":
            told = dict(mapping(payload.get("item")))
            if payload.get("output_index") is None:
                self._extra.keep("input_items", told)  # what the caller put in is no output
            elif moment == "done":
                self._items.setdefault(place, OutputItem({})).settle(told)
            else:
                self._items[place] = OutputItem(told)
            return
        if item is None:
            item = self._items[place] = OutputItem({})
        if item.done:
            return
        text = _PARTS.get(subject, subject)
        if text in _TEXTS:
            name, by = _TEXTS[text]
            part = item.part(name, place_of(payload, by), _KINDS[text])
            if subject in _PARTS:
                part.replace(mapping(payload.get("part")))
            elif moment == "delta":
                part.grow(payload.get("delta"), None)
            else:
                part.settle(payload.get("text"))
        elif subject == "output.command_execution_output":
            item.grow(("output",), payload.get("delta"))
        else:
            self._extra.keep("unknown_events", payload)

    def close(self) -> Reply:
        response: dict[str, Json] = dict(self._session)
        if self._turns:
            response["turns"] = list(self._turns.values())
        if self._items:
            response["output"] = [item.close() for item in self._items.values()]
        ended: Ended = "terminal" if self._over else "open"
        if self._failed or self._extra.errors:
            ended = "failed"
        return reply_of(self._extra.on(response), ended)


def reply_of(response: dict[str, Json], ended: Ended) -> Reply:
    """A session, whole or as far as it came, as a Reply. Its finish reason is its status."""
    status = response.get("status")
    turns = [mapping(each) for each in items(response.get("turns"))]
    usages = [usage for turn in turns if (usage := usage_of(turn.get("usage"))) is not None]
    return Reply(
        response=response,
        ended=ended,
        response_model=string(mapping(response.get("agent")).get("model")) or None,
        usage=usages[-1] if usages else usage_of(response.get("usage")),
        finish_reasons=(status if isinstance(status, str) and ended != "open" else None,),
        texts=tuple(text for each in items(response.get("output")) for text in item_texts(mapping(each))),
    )


def whole(body: Json) -> Reply:
    """An unstreamed session, or an error that came with status 200."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    return reply_of(body, "failed" if body.get("error") is not None and not body.get("id") else "terminal")


def texts(body: Json) -> tuple[Text, ...]:
    """What is put into the session: a string, or messages."""
    asked = mapping(body).get("input")
    if isinstance(asked, str):
        return kept("user", (asked,))
    return tuple(text for each in items(asked) for text in part_texts(mapping(each).get("content"), "user"))


API = Api(operation="other", folder=AgentFolder, whole=whole, texts=texts, streams=streams)
