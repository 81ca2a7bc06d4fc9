"""Ollama `/api/chat`."""

from collections.abc import Mapping

from exchange.call import Json, Text
from wire.api import Api
from wire.fields import mapping, string
from wire.ollama.pieces import LineFolder, whole
from wire.turns import kept, new_turns


def texts(body: Json) -> tuple[Text, ...]:
    """What is new in a request: the caller's text, and what tools gave back."""
    found: list[Text] = []
    for turn in new_turns(mapping(body).get("messages")):
        found += kept("tool" if turn.get("role") == "tool" else "user", (string(turn.get("content")),))
    return tuple(found)


def streams(body: Mapping[str, Json]) -> bool:
    """Ollama streams unless the body says `"stream": false`."""
    return body.get("stream") is not False


API = Api(operation="chat", folder=LineFolder, whole=whole, texts=texts, streams=streams)
