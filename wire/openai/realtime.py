"""Realtime: a session's events, client's and server's, become one record of it: what was said, heard and answered.

There is no unstreamed form. `{"object": "realtime.session", "session", "items", "responses"}`: items and responses by
id, each as it was told last; audio is measured, not kept. Source: OpenAI API reference, "Realtime server events" and
"client events"; the older names (`response.audio.delta`, `conversation.item.created`) mean the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from exchange.call import Json, Text
from exchange.reply import Ended, Reply, Usage
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import items, mapping, string
from wire.openai.measured import MeasuredBase64
from wire.openai.output_item import OutputItem, place_of
from wire.openai.usage import usage_of
from wire.turns import called, kept

_TEXTS: Final = {
    "output_text": "text",
    "text": "text",
    "output_audio_transcript": "transcript",
    "audio_transcript": "transcript",
}
_AUDIO: Final = ("output_audio", "audio")


class Answer:
    """One response, until `response.done` tells it whole."""

    def __init__(self) -> None:
        self.done = False
        self.base: dict[str, Json] = {}
        self.items: dict[int, OutputItem] = {}

    def item(self, payload: dict[str, Json]) -> OutputItem:
        place = place_of(payload, "output_index")
        if place not in self.items:
            self.items[place] = OutputItem({})
        return self.items[place]

    def close(self) -> dict[str, Json]:
        whole = dict(self.base)
        if not whole.get("output") and self.items:
            whole["output"] = [self.items[place].close() for place in sorted(self.items)]
        return whole


class RealtimeFolder:
    """Nothing ends a session but its connection: settled when every response begun is done, else open."""

    def __init__(self) -> None:
        self._session: dict[str, Json] = {}
        self._items: dict[str, dict[str, Json]] = {}
        self._heard: dict[tuple[str, int], list[str]] = {}
        self._answers: dict[str, Answer] = {}
        self._audio: dict[str, MeasuredBase64] = {}
        self._seen = False
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        self._seen = True
        kind = string(payload.get("type")) or event.name
        if kind == "error":
            self._extra.failed(payload.get("error") or payload)
        elif kind in ("session.created", "session.updated"):
            self._session = mapping(payload.get("session"))
        elif kind == "session.update" or kind.startswith("transcription_session."):
            self._extra.keep("session_events", payload)
        elif kind == "rate_limits.updated":
            self._extra.put("rate_limits", payload.get("rate_limits"))
        elif kind.startswith("conversation."):
            self._add_conversation(kind, payload)
        elif kind.startswith("response."):
            self._add_response(kind.removeprefix("response."), payload)
        elif kind == "input_audio_buffer.append":
            self._measured("input").add(payload.get("audio"))
        elif kind.startswith(("input_audio_buffer.", "output_audio_buffer.")):
            self._extra.keep("buffer_events", payload)
        elif kind.startswith("mcp_list_tools."):
            self._extra.keep("tool_lists", payload)
        else:
            self._extra.keep("unknown_events", payload)

    def _add_conversation(self, kind: str, payload: dict[str, Json]) -> None:
        subject, _, moment = kind.rpartition(".")
        if subject == "conversation.item.input_audio_transcription":
            self._hear(moment, payload)
        elif kind in ("conversation.item.deleted", "conversation.item.truncated"):
            self._extra.keep("item_events", payload)
        elif subject == "conversation.item" and isinstance(item := payload.get("item"), dict):
            known = string(item.get("id")) or f"unnamed_{len(self._items)}"
            earlier = self._items.get(known, {})
            self._items[known] = {**earlier, **item}
        else:
            self._extra.keep("conversation_events", payload)

    def _hear(self, moment: str, payload: dict[str, Json]) -> None:
        """What the caller said, as the server wrote it down."""
        place = (string(payload.get("item_id")), place_of(payload, "content_index"))
        if moment == "delta":
            self._heard.setdefault(place, []).append(string(payload.get("delta")))
        elif moment == "completed":
            self._heard[place] = [string(payload.get("transcript"))]
            if payload.get("usage") is not None:
                self._extra.keep("transcription_usage", payload["usage"])
        else:
            self._extra.keep("transcription_events", payload)

    def _add_response(self, kind: str, payload: dict[str, Json]) -> None:
        told = mapping(payload.get("response"))
        if kind == "create" or kind == "cancel":
            self._extra.keep("asked", payload)
            return
        answer = self._answer(string(payload.get("response_id")) or string(told.get("id")))
        subject, _, moment = kind.rpartition(".")
        if kind in ("created", "done"):
            answer.base = told
            answer.done = answer.done or kind == "done"
        elif subject == "output_item":
            item = mapping(payload.get("item"))
            if moment == "done":
                answer.item(payload).settle(dict(item))
            else:
                answer.items[place_of(payload, "output_index")] = OutputItem(dict(item))
        elif answer.done or answer.item(payload).done:
            if moment == "delta" and subject in _AUDIO:
                self._speak(payload)
        elif subject == "content_part":
            answer.item(payload).put(self._part(payload), dict(mapping(payload.get("part"))))
        elif subject in _TEXTS:
            key = _TEXTS[subject]
            if moment == "delta":
                answer.item(payload).grow((*self._part(payload), key), payload.get("delta"))
            else:
                answer.item(payload).put((*self._part(payload), key), payload.get(key))
        elif subject in _AUDIO:
            if moment == "delta":
                self._speak(payload)
        elif subject in ("function_call_arguments", "mcp_call_arguments"):
            if moment == "delta":
                answer.item(payload).grow(("arguments",), payload.get("delta"))
            else:
                answer.item(payload).put(("arguments",), payload.get("arguments"))
        elif subject == "mcp_call":
            answer.item(payload).put(("status",), moment)
        else:
            self._extra.keep("unknown_events", payload)

    @staticmethod
    def _part(payload: dict[str, Json]) -> tuple[str, int]:
        return "content", place_of(payload, "content_index")

    def _answer(self, known: str) -> Answer:
        if known not in self._answers:
            self._answers[known] = Answer()
        return self._answers[known]

    def _speak(self, payload: dict[str, Json]) -> None:
        self._measured(string(payload.get("item_id")) or "output").add(payload.get("delta"))

    def _measured(self, name: str) -> MeasuredBase64:
        if name not in self._audio:
            self._audio[name] = MeasuredBase64()
        return self._audio[name]

    def close(self) -> Reply:
        heard = {place: "".join(pieces) for place, pieces in self._heard.items()}
        for (known, place), transcript in heard.items():
            self._write_down(known, place, transcript)
        answers = [answer.close() for answer in self._answers.values()]
        response: dict[str, Json] = {
            "object": "realtime.session",
            "session": self._session,
            "items": list(self._items.values()),
            "responses": [*answers],
        }
        if self._audio:
            self._extra.put("audio", {name: audio.close() for name, audio in self._audio.items()})
        done = self._seen and all(answer.done for answer in self._answers.values())
        ended: Ended = "settled" if done else "open"
        if self._extra.errors or any(answer.get("status") == "failed" for answer in answers):
            ended = "failed"
        statuses = (answer.get("status") for answer in answers)
        texts = kept("user", heard.values())
        for answer in answers:
            texts += _said(answer)
        return Reply(
            response=self._extra.on(response),
            ended=ended,
            response_model=string(self._session.get("model")) or None,
            usage=total_usage([usage_of(answer.get("usage")) for answer in answers]),
            finish_reasons=tuple(status if isinstance(status, str) else None for status in statuses),
            texts=texts,
        )

    def _write_down(self, known: str, place: int, transcript: str) -> None:
        item = self._items.setdefault(known, {"id": known})
        content = list(items(item.get("content")))
        while len(content) <= min(place, len(content)):
            content.append({"type": "input_audio"})
        at = min(place, len(content) - 1)
        content[at] = {**mapping(content[at]), "transcript": transcript}
        item["content"] = content


def _said(answer: dict[str, Json]) -> tuple[Text, ...]:
    found: list[Text] = []
    for each in items(answer.get("output")):
        item = mapping(each)
        for part in items(item.get("content")):
            told = mapping(part)
            found += kept("answer", (string(told.get("text")), string(told.get("transcript"))))
        if string(item.get("type")).endswith("_call"):
            found += kept("answer", (called(item.get("name"), item.get("arguments", "")),))
    return tuple(found)


def total_usage(parts: list[Usage | None]) -> Usage | None:
    """The session's usage: each response is billed on its own."""
    known = [part for part in parts if part is not None]
    if not known:
        return None

    def total(name: str) -> int | None:
        counts = [count for part in known if isinstance(count := getattr(part, name), int)]
        return sum(counts) if counts else None

    return Usage(
        input_tokens=total("input_tokens"),
        output_tokens=total("output_tokens"),
        cached_input_tokens=total("cached_input_tokens"),
        reasoning_tokens=total("reasoning_tokens"),
    )


def whole(body: Json) -> Reply:
    """A session or client secret as JSON; the secret is a key: its `value` is not kept."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    response = dict(body)
    if "value" in response:
        response["value"] = "…"
    if isinstance(secret := response.get("client_secret"), dict):
        response["client_secret"] = {**secret, "value": "…"}
    session = mapping(body.get("session")) or body
    return Reply(
        response=response,
        ended="failed" if body.get("error") is not None else "terminal",
        response_model=string(session.get("model")) or None,
    )


def streams(_: Mapping[str, Json]) -> bool:
    """A session streams by its nature, over a WebSocket or WebRTC, not as a reply's body."""
    return False


def texts(body: Json) -> tuple[Text, ...]:
    """What was asked for in a session's settings: its instructions."""
    asked = mapping(body)
    session = mapping(asked.get("session")) or asked
    return kept("user", (string(session.get("instructions")),))


API = Api(operation="realtime", folder=RealtimeFolder, whole=whole, texts=texts, streams=streams, media="any")
SESSIONS: Api = replace(API, media="json")
