"""Amazon Bedrock InvokeModel and InvokeModelWithResponseStream: the model's own format, in Bedrock's frames.

Each `chunk` frame's payload is `{"bytes": base64(event JSON), "p": padding}`. Anthropic's models send the events of
Messages, Amazon Nova those of Converse, OpenAI's and others the chunks of chat completions; the rest send objects
whose text fields are pieces.
"""

import base64
import binascii

from exchange.call import Json, Text
from exchange.reply import Reply
from wire.anthropic import messages
from wire.anthropic.messages import MessageFolder
from wire.api import Api, Event
from wire.bedrock import converse, pieces
from wire.bedrock.chat_pieces import ChatPieces
from wire.bedrock.converse import ConverseFolder, exception_of, streams
from wire.bedrock.pieces import PiecesFolder
from wire.extra import Extra
from wire.fields import Object, mapping, string
from wire.openai import chat
from wire.turns import kept

type _Inner = MessageFolder | ConverseFolder | ChatPieces | PiecesFolder


class InvokeFolder:
    """Frames in, the object that the model's own API returns out. The first event tells whose format it is."""

    def __init__(self) -> None:
        self._extra = Extra()
        self._inner: _Inner | None = None

    def add(self, event: Event) -> None:
        if event.field == "error":
            self._extra.failed(exception_of(event))
            return
        outer = self._extra.payload(event)
        payload = None if outer is None else self._unpacked(outer)
        if payload is None:
            return
        if self._inner is None:
            self._inner = self._begin(payload)
        self._inner.add_payload(payload)

    def _unpacked(self, outer: Object) -> Object | None:
        packed = outer.get("bytes")
        if not isinstance(packed, str):
            return outer  # some gateways unpack the chunks
        try:
            unpacked = base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            self._extra.keep("bad_events", packed)
            return None
        return self._extra.payload(Event(unpacked.decode("utf-8", "replace")))

    def _begin(self, first: Object) -> _Inner:
        if isinstance(first.get("type"), str):
            return MessageFolder(self._extra)
        if first.keys() & converse.KINDS:
            return ConverseFolder(self._extra)
        if "choices" in first:
            return ChatPieces(self._extra)
        return PiecesFolder(self._extra)

    def close(self) -> Reply:
        return (self._inner or PiecesFolder(self._extra)).close()


def whole(body: Json) -> Reply:
    """An unstreamed answer in whichever format, or an error body."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    if body.get("type") == "message":
        return messages.whole(body)
    if "choices" in body:
        return chat.API.whole(body)
    return converse.whole(body) if "output" in body else pieces.whole(body)


def texts(body: Json) -> tuple[Text, ...]:
    """What is new in a request: of a conversation the last turn, else the prompt."""
    fields = mapping(body)
    if "messages" in fields:
        return converse.texts(body) if "anthropic_version" not in fields else messages.texts(body)
    return kept("user", (string(fields.get(key)) for key in ("inputText", "prompt", "message")))


API = Api(operation="chat", folder=InvokeFolder, whole=whole, texts=texts, streams=streams)
