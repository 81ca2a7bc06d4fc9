"""Gemini `:embedContent` and `:batchEmbedContents`: vectors are counted, not kept."""

from exchange.call import Json
from exchange.reply import Reply
from wire.api import Api
from wire.fields import Object, items, mapping
from wire.gemini.generate_content import GenerateContentFolder, streams, texts
from wire.gemini.usage import usage_of


def whole(body: Json) -> Reply:
    """The answer, each vector's `values` replaced by how many there were (`{"_length": 768}`)."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    response = dict(body)
    if isinstance(body.get("embedding"), dict):
        response["embedding"] = _counted(mapping(body["embedding"]))
    if isinstance(body.get("embeddings"), list):
        response["embeddings"] = [_counted(mapping(each)) for each in items(body["embeddings"])]
    return Reply(response=response, ended="terminal", usage=usage_of(body.get("usageMetadata")))


def _counted(embedding: Object) -> Json:
    values = embedding.get("values")
    return {**embedding, "values": {"_length": len(values)}} if isinstance(values, list) else embedding


API = Api(operation="embeddings", folder=GenerateContentFolder, whole=whole, texts=texts, streams=streams)
