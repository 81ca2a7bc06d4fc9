"""Anthropic's Messages."""

from collections.abc import Iterator

from exchange.call import Json
from wire.conversation.content import content
from wire.conversation.turn import Turn, compact, error, noted, unexpected
from wire.fields import items, mapping, string


def asked(request: Json) -> Iterator[Turn]:
    """The system prompt, then the messages. A tool's result names the tool where the call stands before it."""
    fields = mapping(request)
    yield from content("system", fields.get("system"))
    names: dict[str, str] = {}
    for each in items(fields.get("messages")):
        if not isinstance(each, dict):
            yield from unexpected("user", each)
            continue
        said = each.get("content")
        for block in items(said):
            use = mapping(block)
            names[string(use.get("id"))] = string(use.get("name"))
        for turn in content(string(each.get("role")) or "user", said):
            known = names.get(turn.name or "") if turn.kind == "tool_result" else None
            yield Turn(turn.role, turn.kind, turn.text, known) if known else turn


def answered(response: Json) -> Iterator[Turn]:
    """The message's blocks; a refusal is a stop reason here."""
    fields = mapping(response)
    if fields.get("type") != "error":
        yield from content(string(fields.get("role")) or "assistant", fields.get("content"))
    if fields.get("stop_reason") == "refusal":
        details = mapping(fields.get("stop_details"))
        yield Turn("assistant", "refusal", compact(details.get("explanation") or "the model refused"))
    yield from error(fields.get("error"))
    yield from noted(response)
