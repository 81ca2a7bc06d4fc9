"""Ollama `/api/generate`."""

from exchange.call import Json, Text
from wire.api import Api
from wire.fields import mapping, string
from wire.ollama.chat import streams
from wire.ollama.pieces import LineFolder, whole
from wire.turns import kept


def texts(body: Json) -> tuple[Text, ...]:
    """The prompt, and the text that is to follow what the model fills in."""
    fields = mapping(body)
    return kept("user", (string(fields.get("prompt")), string(fields.get("suffix"))))


API = Api(operation="text_completion", folder=LineFolder, whole=whole, texts=texts, streams=streams)
