"""Lists of models, answered by us: those that the settings name, as far as the rules let the caller use them.

The provider is not asked, and nothing is forwarded: no exchange, and no row. What a provider would say of itself is
every model that it has, which tells nobody what they may use here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from mitmproxy import http

from addons.flows import OpenExchange
from exchange.call import Call, Operation
from exchange.decision import Allow
from exchange.principal import Principal
from exchange.scope import Scope
from policies.rules import RuleBook
from settings.schema import Provider

PATHS: Final = ("/v1/models", "/models")
"""Where OpenAI's API lists models ("List models"), with the version in the path or in the address before it."""

_OPERATIONS: Final[tuple[Operation, ...]] = (
    "chat",
    "responses",
    "embeddings",
    "text_completion",
    "image_generation",
    "transcription",
    "speech",
    "realtime",
    "moderation",
)
"""What the models of that API are used for. Who may use one for any of these is shown it."""


class ModelLists:
    """Asked by the gate with every call that it understood.

    Args:
        rules: which models a caller may use.
        providers: whose `models` are listed; one that names none is asked itself.
    """

    def __init__(self, rules: RuleBook, providers: Mapping[str, Provider]) -> None:
        self._rules = rules
        self._named = {name: provider.models for name, provider in providers.items() if provider.models}

    def answer(self, method: bytes, seen: OpenExchange) -> http.Response | None:
        """The answer to a call that asks for the list; None for every other call."""
        head = seen.head_in
        if method != b"GET" or head is None or head.destination.path not in PATHS or not head.destination.known:
            return None
        provider = head.destination.provider
        models = self._named.get(provider)
        if models is None or seen.principal is None:
            return None
        scope = seen.identified.scope if seen.identified is not None else None
        return as_list(self.usable(models, provider, seen.principal, scope=scope), provider)

    def usable(
        self,
        models: Iterable[str],
        provider: str,
        who: Principal,
        *,
        scope: Scope | None = None,
        operations: Sequence[Operation] = _OPERATIONS,
    ) -> list[str]:
        """Those of these models that this caller may use for any of these operations."""
        return [
            model
            for model in models
            if any(
                isinstance(self._rules.decide(who, Call(operation, model, True, True), provider, scope), Allow)
                for operation in operations
            )
        ]


def as_list(models: Sequence[str], provider: str) -> http.Response:
    """These models, as OpenAI's API lists them."""
    data = [{"id": model, "object": "model", "created": 0, "owned_by": provider} for model in models]
    return as_json(msgspec.json.encode({"object": "list", "data": data}))


def as_json(body: bytes) -> http.Response:
    """An answer for one caller, which nobody keeps for another."""
    return http.Response.make(200, body, {"content-type": "application/json", "cache-control": "no-store"})
