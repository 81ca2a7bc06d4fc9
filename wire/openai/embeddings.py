"""Embeddings: what was asked is kept, the vectors are counted. Source: OpenAI API reference, "Embeddings"."""

from collections.abc import Mapping

from exchange.call import Json, Text
from exchange.reply import Reply
from wire.api import Api
from wire.fields import items, mapping, string
from wire.openai.turns import plain_texts
from wire.openai.unstreamed import LastPayload
from wire.openai.usage import usage_of

_BYTES_OF_FLOAT32 = 4


def whole(body: Json) -> Reply:
    """The answer with `{"_dimensions": n}` in place of each vector (of float32 in base64, what it decodes to)."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    response = dict(body)
    if "data" in body:
        response["data"] = [_measured(each) for each in items(body["data"])]
    return Reply(
        response=response,
        ended="failed" if body.get("error") is not None and not body.get("data") else "terminal",
        response_model=string(body.get("model")) or None,
        usage=usage_of(body.get("usage")),
    )


def _measured(entry: Json) -> Json:
    vector = mapping(entry).get("embedding")
    if isinstance(vector, list):
        size = len(vector)
    elif isinstance(vector, str):
        size = len(vector.rstrip("=")) * 3 // 4 // _BYTES_OF_FLOAT32
    else:
        return entry
    return {**mapping(entry), "embedding": {"_dimensions": size}}


def texts(body: Json) -> tuple[Text, ...]:
    """What is to be embedded, where it is text and not tokens."""
    return plain_texts(mapping(body).get("input"))


def streams(_: Mapping[str, Json]) -> bool:
    """Never."""
    return False


API = Api(
    operation="embeddings", folder=lambda: LastPayload(whole), whole=whole, texts=texts, streams=streams, media="json"
)
