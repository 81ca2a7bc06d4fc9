"""Live and translation sessions: what was heard and said, and what was delegated to Responses.

`{"object": "live.session", "session", "transcripts", "responses"}`; audio is measured, not kept.
Source: OpenAI API reference, "Live server events" and "Realtime translation events".
"""

from dataclasses import replace
from typing import Final

from exchange.call import Json
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import mapping, string
from wire.openai.measured import MeasuredBase64
from wire.openai.realtime import API as REALTIME
from wire.openai.realtime import total_usage
from wire.openai.responses import ResponsesFolder
from wire.turns import kept

_AUDIO: Final = {
    "session.input_audio.append": "input",
    "session.input_audio_buffer.append": "input",
    "session.output_audio.delta": "output",
}
_TRANSCRIPTS: Final = {"session.input_transcript.delta": "input", "session.output_transcript.delta": "output"}
_SESSIONS: Final = frozenset(("session.created", "session.started", "session.updated", "session.closed"))


class LiveFolder:
    """Terminal is `session.closed`. Transcripts have no turns: the pieces are joined in the order they came."""

    def __init__(self) -> None:
        self._session: dict[str, Json] = {}
        self._transcripts: dict[str, list[str]] = {}
        self._audio: dict[str, MeasuredBase64] = {}
        self._delegated: dict[str, ResponsesFolder] = {}
        self._closed = False
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        kind = string(payload.get("type")) or event.name
        if kind == "error":
            self._extra.failed(payload.get("error") or payload)
        elif kind in _SESSIONS:
            self._session = mapping(payload.get("session")) or self._session
            self._closed = self._closed or kind == "session.closed"
            self._tell_usage(payload)
        elif kind == "session.usage.updated":
            self._tell_usage(payload)
        elif kind in _TRANSCRIPTS:
            self._transcripts.setdefault(_TRANSCRIPTS[kind], []).append(string(payload.get("delta")))
        elif kind in _AUDIO:
            audio = self._audio.setdefault(_AUDIO[kind], MeasuredBase64())
            audio.add(payload.get("delta") or payload.get("audio"))
        elif kind == "response.event":
            delegated = self._delegated.setdefault(string(payload.get("delegation_id")), ResponsesFolder())
            delegated.add_payload(mapping(payload.get("event")))
        elif kind.startswith(("session.", "decision.", "transport.", "response.", "info")):
            self._extra.keep("session_events", payload)
        else:
            self._extra.keep("unknown_events", payload)

    def _tell_usage(self, payload: dict[str, Json]) -> None:
        if payload.get("usage") is not None:
            self._extra.put("audio_usage", payload["usage"])  # seconds, cumulative: no tokens

    def close(self) -> Reply:
        transcripts = {name: "".join(pieces) for name, pieces in self._transcripts.items()}
        delegated = [folder.close() for folder in self._delegated.values()]
        response: dict[str, Json] = {
            "object": "live.session",
            "session": self._session,
            "transcripts": {**transcripts},
            "responses": [reply.response for reply in delegated],
        }
        if self._audio:
            self._extra.put("audio", {name: audio.close() for name, audio in self._audio.items()})
        ended: Ended = "terminal" if self._closed else "open"
        if self._extra.errors:
            ended = "failed"
        texts = kept("user", (transcripts.get("input", ""),)) + kept("answer", (transcripts.get("output", ""),))
        for reply in delegated:
            texts += reply.texts
        return Reply(
            response=self._extra.on(response),
            ended=ended,
            response_model=string(self._session.get("model")) or None,
            usage=total_usage([reply.usage for reply in delegated]),
            texts=texts,
        )


API: Api = replace(REALTIME, folder=LiveFolder)
SESSIONS: Api = replace(API, media="json")
