"""The Responses API: a string or items in, items out."""

from collections.abc import Iterator

from exchange.call import Json
from wire.conversation.content import content
from wire.conversation.turn import Turn, compact, error, joined, media, noted, unexpected
from wire.fields import Object, items, mapping, string


def asked(request: Json) -> Iterator[Turn]:
    """Instructions, then the input: a string, or items."""
    fields = mapping(request)
    yield from content("system", fields.get("instructions"))
    given = fields.get("input")
    if not isinstance(given, list):
        yield from content("user", given)
        return
    names = {string(item.get("call_id")): string(item.get("name")) for item in map(mapping, given) if item.get("name")}
    for each in given:
        yield from _item("user", each, names)


def answered(response: Json) -> Iterator[Turn]:
    """The output items, what went wrong, and why it is incomplete."""
    fields = mapping(response)
    for each in items(fields.get("output")):
        yield from _item("assistant", each, {})
    yield from error(fields.get("error"))
    reason = mapping(fields.get("incomplete_details")).get("reason")
    if reason:
        yield Turn("error", "error", f"incomplete: {compact(reason)}", "incomplete")
    yield from noted(response)


def _item(role: str, given: Json, names: dict[str, str]) -> Iterator[Turn]:
    if not isinstance(given, dict):
        yield from unexpected(role, given)
        return
    kind = string(given.get("type")) or "message"
    name = string(given.get("name")) or None
    if kind == "message":
        yield from content(string(given.get("role")) or role, given.get("content"))
    elif kind == "reasoning":
        yield from _reasoning(given)
    elif kind in ("function_call", "mcp_call"):
        yield Turn("assistant", "tool_call", compact(given.get("arguments", "")), name)
        if given.get("output") is not None:
            yield Turn("tool", "tool_result", joined(given["output"]), name)
        yield from error(given.get("error"))
    elif kind == "custom_tool_call":
        yield Turn("assistant", "tool_call", compact(given.get("input", "")), name)
    elif kind.endswith("_output"):
        call = string(given.get("call_id"))
        for turn in content("tool", given.get("output")):
            yield (
                Turn("tool", "tool_result", turn.text, names.get(call) or call or None) if turn.kind == "text" else turn
            )
    elif kind == "image_generation_call":
        yield media("assistant", "image", given.get("result") or given.get("status"))
    elif kind.endswith("_call"):
        yield Turn("assistant", "tool_call", compact(_bare(given)), kind.removesuffix("_call"))
    else:
        yield Turn(role, "text", compact(given), kind)


def _reasoning(given: Object) -> Iterator[Turn]:
    said = joined(given.get("summary") or given.get("content") or "")
    if said:
        yield Turn("assistant", "reasoning", said)
    elif given.get("encrypted_content"):
        yield Turn("assistant", "reasoning", "(encrypted by the provider)")


def _bare(given: Object) -> Json:
    """What a built-in tool was asked to do, without the fields that every item has."""
    kept = {key: value for key, value in given.items() if key not in ("id", "type", "status", "call_id")}
    return kept.get("action") or kept.get("code") or kept
