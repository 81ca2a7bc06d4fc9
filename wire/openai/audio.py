"""Transcription (and translation) and speech. Source: OpenAI API reference, "Audio" and "Streaming events"."""

from collections.abc import Mapping

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import items, mapping, string
from wire.openai.measured import MeasuredBase64
from wire.openai.usage import usage_of
from wire.turns import kept


class TranscriptFolder:
    """Terminal is `transcript.text.done`, which is the object but for its `type`; diarized segments join it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._logprobs: list[Json] = []
        self._segments: list[Json] = []
        self._final: dict[str, Json] | None = None
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        kind = string(payload.get("type")) or event.name
        told = {key: value for key, value in payload.items() if key not in ("type", "obfuscation")}
        if kind == "transcript.text.delta":
            self._pieces.append(string(payload.get("delta")))
            self._logprobs += items(payload.get("logprobs"))
        elif kind == "transcript.text.segment":
            self._segments.append(told)
        elif kind == "transcript.text.done":
            self._final = told
        else:
            self._extra.other(kind, payload)

    def close(self) -> Reply:
        response: dict[str, Json]
        if self._final is not None:
            response = dict(self._final)
        else:
            response = {"text": "".join(self._pieces)}
            if self._logprobs:
                response["logprobs"] = self._logprobs
        if self._segments:
            response.setdefault("segments", self._segments)
        ended: Ended = "failed" if self._extra.errors else "open" if self._final is None else "terminal"
        return _transcript(self._extra.on(response), ended)


def _transcript(response: dict[str, Json], ended: Ended) -> Reply:
    return Reply(
        response=response,
        ended=ended,
        response_model=string(response.get("model")) or None,
        usage=usage_of(response.get("usage")),
        texts=kept("answer", (string(response.get("text")),)),
    )


def whole_transcript(body: Json) -> Reply:
    """An unstreamed transcript as JSON (plain text, SRT and VTT are no JSON and never come here)."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    return _transcript(body, "failed" if body.get("error") is not None and "text" not in body else "terminal")


def transcript_texts(body: Json) -> tuple[Text, ...]:
    """The prompt that leads the transcription."""
    return kept("user", (string(mapping(body).get("prompt")),))


def transcript_streams(body: Mapping[str, Json]) -> bool:
    """`stream` is a form field: the word `true`."""
    return body.get("stream") in ("true", "True", "1", True)


class SpeechFolder:
    """Terminal is `speech.audio.done`. The audio is measured; its bytes stand in the raw reply."""

    def __init__(self) -> None:
        self._audio = MeasuredBase64()
        self._done: dict[str, Json] | None = None
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        kind = string(payload.get("type")) or event.name
        if kind == "speech.audio.delta":
            self._audio.add(payload.get("audio"))
        elif kind == "speech.audio.done":
            self._done = payload
        else:
            self._extra.other(kind, payload)

    def close(self) -> Reply:
        response: dict[str, Json] = {"_media_type": "audio/*", **self._audio.close()}
        usage = mapping(self._done).get("usage")
        if usage is not None:
            response["usage"] = usage
        ended: Ended = "failed" if self._extra.errors else "open" if self._done is None else "terminal"
        return Reply(response=self._extra.on(response), ended=ended, usage=usage_of(usage))


def whole_speech(body: Json) -> Reply:
    """JSON where audio was expected: an error, or a server's own way."""
    return Reply(response=body, ended="failed" if mapping(body).get("error") is not None else "terminal")


def speech_texts(body: Json) -> tuple[Text, ...]:
    """What is to be spoken, and how."""
    asked = mapping(body)
    return kept("user", (string(asked.get("input")), string(asked.get("instructions"))))


def speech_streams(body: Mapping[str, Json]) -> bool:
    """`"stream_format": "sse"`; the default, `audio`, is binary audio in chunks."""
    return body.get("stream_format") == "sse"


TRANSCRIPTION = Api(
    operation="transcription",
    folder=TranscriptFolder,
    whole=whole_transcript,
    texts=transcript_texts,
    streams=transcript_streams,
    media="multipart",
)
SPEECH = Api(operation="speech", folder=SpeechFolder, whole=whole_speech, texts=speech_texts, streams=speech_streams)
