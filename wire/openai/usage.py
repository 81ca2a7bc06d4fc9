"""Token counts of OpenAI's APIs and of those that speak like it."""

from exchange.call import Json
from exchange.reply import Usage
from wire.fields import count, mapping


def usage_of(value: Json) -> Usage | None:
    """`usage` of any OpenAI-shaped object: `prompt_tokens` (chat, completions, embeddings, assistants) or
    `input_tokens` (Responses, images, audio). Both count cached input already. None when there is none.

    Cached input stands in the details; DeepSeek and Moonshot have names of their own for it, xAI and Copilot for
    reasoning.
    """
    told = mapping(value)
    asked = _first(told, "prompt_tokens", "input_tokens")
    answered = _first(told, "completion_tokens", "output_tokens")
    if asked is None and answered is None:
        return None
    into = mapping(told.get("prompt_tokens_details") or told.get("input_tokens_details"))
    out = mapping(told.get("completion_tokens_details") or told.get("output_tokens_details"))
    cached = _first(into, "cached_tokens")
    reasoning = _first(out, "reasoning_tokens")
    return Usage(
        input_tokens=asked,
        output_tokens=answered,
        cached_input_tokens=_first(told, "prompt_cache_hit_tokens", "cached_tokens") if cached is None else cached,
        reasoning_tokens=_first(told, "reasoning_tokens") if reasoning is None else reasoning,
    )


def _first(told: dict[str, Json], *names: str) -> int | None:
    for name in names:
        number = count(told.get(name))
        if number is not None:
            return number
    return None
