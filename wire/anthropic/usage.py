"""Anthropic's token counts."""

from exchange.call import Json
from exchange.reply import Usage
from wire.fields import count, mapping, total


def usage_of(value: Json) -> Usage | None:
    """`usage` of a message. Its `input_tokens` leaves out what was read from or written to the cache: the sum of the
    three is all input (Anthropic, "Prompt caching", tracking cache performance)."""
    told = mapping(value)
    if not told:
        return None
    read = count(told.get("cache_read_input_tokens"))
    return Usage(
        input_tokens=total(count(told.get("input_tokens")), count(told.get("cache_creation_input_tokens")), read),
        output_tokens=count(told.get("output_tokens")),
        cached_input_tokens=read,
        reasoning_tokens=count(mapping(told.get("output_tokens_details")).get("thinking_tokens")),
    )
