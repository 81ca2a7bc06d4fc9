"""Anthropic message batches (`/v1/messages/batches`): many Messages requests in one, answered later.

The answer names the batch; the results are fetched from another path, one JSON object a line.
"""

from exchange.call import Json, Text
from wire.anthropic.count_tokens import whole
from wire.anthropic.messages import MessageFolder
from wire.anthropic.texts import request_texts
from wire.api import Api
from wire.fields import items, mapping


def texts(body: Json) -> tuple[Text, ...]:
    """What is new in each of the batch's requests."""
    requests = items(mapping(body).get("requests"))
    return tuple(text for each in requests for text in request_texts(mapping(each).get("params")))


def models(body: Json) -> tuple[str, ...]:
    """Every model that a request of the batch asks for, each once."""
    asked = (mapping(mapping(each).get("params")).get("model") for each in items(mapping(body).get("requests")))
    return tuple(dict.fromkeys(name if isinstance(name, str) else "" for name in asked))


API = Api(operation="other", folder=MessageFolder, whole=whole, texts=texts, streams=lambda _: False, models=models)
