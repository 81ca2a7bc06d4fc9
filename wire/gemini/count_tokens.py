"""Gemini `:countTokens` and `:computeTokens`: numbers about a request. Nothing is generated, so they are no usage."""

from exchange.call import Json
from exchange.reply import Reply
from wire.api import Api
from wire.gemini.generate_content import GenerateContentFolder, streams, texts


def whole(body: Json) -> Reply:
    """The answer as it is."""
    return Reply(response=body, ended="terminal")


API = Api(operation="other", folder=GenerateContentFolder, whole=whole, texts=texts, streams=streams)
