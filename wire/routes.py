"""Which API a path is. Each provider's rows stand in its own room (`paths`, `methods`); here they are asked in turn.

A path nobody knows is `other`: recorded with what it carries, folded into nothing.
"""

from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from wire import other
from wire.anthropic import batches, complete, count_tokens, messages
from wire.api import Api, Route
from wire.azure import paths as azure
from wire.bedrock import methods as bedrock
from wire.cohere import chat as cohere_chat
from wire.gemini import interactions
from wire.gemini import methods as gemini
from wire.ollama import chat as ollama_chat
from wire.ollama import embed as ollama_embed
from wire.ollama import generate as ollama_generate
from wire.openai import paths as openai

_EXACT: Final[dict[tuple[str, str], Api]] = {
    ("POST", "v1/messages"): messages.API,
    ("POST", "v1/messages/count_tokens"): count_tokens.API,
    ("POST", "v1/messages/batches"): batches.API,
    ("POST", "v1/complete"): complete.API,
    ("POST", "v1beta/interactions"): interactions.API,
    ("POST", "v1/interactions"): interactions.API,
    ("POST", "api/chat"): ollama_chat.API,
    ("POST", "api/generate"): ollama_generate.API,
    ("POST", "api/embed"): ollama_embed.API,
    ("POST", "api/embeddings"): ollama_embed.API,
    ("POST", "v2/chat"): cohere_chat.API,
}
"""Paths of one form, by their end; a prefix before it (`/api`, `/anthropic`) changes nothing."""


_PATH: Final = 512
"""Characters of a path that is remembered with where it leads: strangers, too, may send long ones."""


def route(dialect: str, method: str, path: str) -> Route:
    """Where a request leads. `path` is without its query; `method` as sent. Never raises: unknown is `other`.

    The dialect decides which reading comes first; servers that speak several (vLLM, OpenRouter, LiteLLM) are read by
    the path all the same.
    """
    return (_remembered_route if len(path) <= _PATH else _route)(dialect, method, path)


def _route(dialect: str, method: str, path: str) -> Route:
    path = path.partition("?")[0]
    if method == "POST" and (named := gemini.route(path) or bedrock.route(path)):
        return named
    plain = unquote(path).rstrip("/") if "%" in path else path.rstrip("/")
    plain = "/" + "/".join(step for step in plain.split("/") if step)
    # Before OpenAI's, whose rows take any prefix: `/v1/messages/batches` is none of its batches.
    if api := _exact(method, plain, (3, 2) if dialect == "ollama" else (3,)):
        return Route(api)
    deployment, rest = azure.parse(plain)
    if api := openai.api(method, rest):
        return Route(api, model=deployment, path_decides=dialect == "azure")
    if api := _exact(method, plain):
        return Route(api)
    return Route(other.API, model=deployment)


_remembered_route = lru_cache(maxsize=1024)(_route)


def _exact(method: str, path: str, lengths: tuple[int, ...] = (2,)) -> Api | None:
    steps = path.strip("/").split("/")
    for length in lengths:
        if len(steps) >= length and (api := _EXACT.get((method, "/".join(steps[-length:])))):
            return api
    return None
