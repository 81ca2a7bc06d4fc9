"""A token may be for less than its owner may do, and is never for more."""

import pytest

from exchange.call import Call
from exchange.principal import Principal
from exchange.scope import Scope
from policies.rules import rulebook_from
from settings.schema import Policies

RULES = [{"name": "all", "domains": ["example.com"], "models": ["gpt-4o*"], "operations": ["chat", "responses"]}]


@pytest.mark.parametrize(
    ("scope", "operation", "model", "others", "code"),
    [
        (None, "chat", "gpt-4o-mini", (), None),
        (Scope(), "chat", "gpt-4o-mini", (), None),
        (Scope(models=("gpt-4o-mini",)), "chat", "gpt-4o-mini", (), None),
        (Scope(models=("gpt-4o-m*",)), "chat", "gpt-4o-mini", (), None),
        (Scope(models=("gpt-4o-mini",)), "chat", "gpt-4o", (), "model_not_allowed"),
        (Scope(models=("gpt-4o-mini",)), "chat", "gpt-4o-mini", ("gpt-4o",), "model_not_allowed"),
        (Scope(models=("gpt-4o-mini",)), "chat", None, (), "model_not_allowed"),
        (Scope(models=("GPT-4O-MINI",)), "chat", "gpt-4o-mini", (), "model_not_allowed"),
        (Scope(models=()), "chat", "gpt-4o-mini", (), "model_not_allowed"),
        (Scope(operations=("chat",)), "chat", "gpt-4o", (), None),
        (Scope(operations=("chat",)), "responses", "gpt-4o", (), "operation_not_allowed"),
        (Scope(models=("o3",)), "chat", "o3", (), "model_not_allowed"),  # what no rule allows, no token makes allowed
        (Scope(operations=("embeddings",)), "embeddings", "gpt-4o", (), "operation_not_allowed"),
    ],
)
def test_a_call_passes_when_both_its_rules_and_its_token_are_for_it(
    scope: Scope | None, operation: str, model: str | None, others: tuple[str, ...], code: str | None
) -> None:
    book = rulebook_from(Policies.model_validate({"rules": RULES}), "gateway")
    who = Principal("ann", "ann@example.com", "example.com", "own")
    call = Call(operation, model, stream=False, inspected=True, other_models=others)  # type: ignore[arg-type] # plain words

    assert getattr(book.decide(who, call, "openai", scope), "code", None) == code
    assert getattr(book.admits(who, operation, "openai", Scope(operations=())), "code", None) == "operation_not_allowed"
