"""Which API a Gemini path's method is; the rows that the routes are made of."""

from typing import Final

from wire.anthropic import count_tokens as anthropic_count_tokens
from wire.anthropic import messages
from wire.api import Api, Route
from wire.gemini import count_tokens, embed_content, generate_content
from wire.gemini.paths import parse

APIS: Final[dict[str, Api]] = {
    "generateContent": generate_content.API,
    "streamGenerateContent": generate_content.API,
    "countTokens": count_tokens.API,
    "computeTokens": count_tokens.API,
    "embedContent": embed_content.API,
    "batchEmbedContents": embed_content.API,
}
"""The API by the method after the colon."""

_RAW: Final = ("rawPredict", "streamRawPredict")
_ANTHROPIC: Final = "/publishers/anthropic/models/"


def route(path: str) -> Route | None:
    """Where a path leads, model and stream set; None where no API here knows it.

    Vertex AI serves Anthropic's models under `publishers/anthropic` with `:rawPredict` and `:streamRawPredict`
    (counting tokens under the model name `count-tokens`); the body is a Messages request without its model.
    """
    found = parse(path)
    if found is None:
        return None
    model, method, stream = found
    if method in _RAW:
        if _ANTHROPIC not in path:
            return None
        return Route(anthropic_count_tokens.API if model == "count-tokens" else messages.API, model, stream)
    api = APIS.get(method)
    return None if api is None else Route(api, model, stream)
