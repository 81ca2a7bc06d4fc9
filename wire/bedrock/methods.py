"""Which API a Bedrock path's method is; the rows that the routes are made of."""

from typing import Final

from wire.anthropic import count_tokens
from wire.api import Api, Route
from wire.bedrock import converse, invoke
from wire.bedrock.paths import parse

APIS: Final[dict[str, Api]] = {
    "converse": converse.API,
    "converse-stream": converse.API,
    "invoke": invoke.API,
    "invoke-with-response-stream": invoke.API,
    "count-tokens": count_tokens.API,
}
"""The API by the last part of the path."""


def route(path: str) -> Route | None:
    """Where a path leads, model and stream set; None where no API here knows it."""
    found = parse(path)
    if found is None:
        return None
    model, method, stream = found
    api = APIS.get(method)
    return None if api is None else Route(api, model, stream)
