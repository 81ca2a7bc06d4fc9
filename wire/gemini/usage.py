"""Gemini's token counts."""

from exchange.call import Json
from exchange.reply import Usage
from wire.fields import count, mapping, total


def usage_of(value: Json) -> Usage | None:
    """`usageMetadata`. The prompt's count includes what came from the cache, but not what tools fed back to the model;
    the candidates' count leaves out the thoughts (`totalTokenCount` is the sum of the four)."""
    told = mapping(value)
    thoughts = count(told.get("thoughtsTokenCount"))
    usage = Usage(
        input_tokens=total(count(told.get("promptTokenCount")), count(told.get("toolUsePromptTokenCount"))),
        output_tokens=total(count(told.get("candidatesTokenCount")), thoughts),
        cached_input_tokens=count(told.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )
    return None if usage == Usage() else usage
