"""Ollama `/api/embed` and the older `/api/embeddings`: vectors are counted, not kept."""

from exchange.call import Json, Text
from exchange.reply import Reply, Usage
from wire.api import Api
from wire.fields import count, items, mapping, string
from wire.ollama.pieces import LineFolder
from wire.turns import kept


def whole(body: Json) -> Reply:
    """The answer, each vector replaced by how many numbers it has (`{"_length": 768}`)."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    response = dict(body)
    if isinstance(body.get("embedding"), list):
        response["embedding"] = {"_length": len(items(body["embedding"]))}
    if isinstance(body.get("embeddings"), list):
        response["embeddings"] = [{"_length": len(items(each))} for each in items(body["embeddings"])]
    tokens = count(body.get("prompt_eval_count"))
    return Reply(
        response=response,
        ended="terminal",
        response_model=string(body.get("model")) or None,
        usage=None if tokens is None else Usage(input_tokens=tokens),
    )


def texts(body: Json) -> tuple[Text, ...]:
    """The input: one string or several."""
    fields = mapping(body)
    given = fields.get("input", fields.get("prompt"))
    return kept("user", (string(each) for each in (given if isinstance(given, list) else [given])))


API = Api(operation="embeddings", folder=LineFolder, whole=whole, texts=texts, streams=lambda _: False)
