"""Chat Completions and what is shaped like it: OpenAI, Ollama, Cohere v2, Bedrock Converse."""

from collections.abc import Iterator

from exchange.call import Json
from wire.conversation.content import content
from wire.conversation.turn import Turn, compact, error, noted, unexpected
from wire.fields import Object, items, mapping, string

_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")


def asked(request: Json) -> Iterator[Turn]:
    """The messages of a request."""
    fields = mapping(request)
    yield from content("system", fields.get("system"))
    messages = fields.get("messages")
    if not isinstance(messages, list):
        yield from content("user", fields.get("prompt", messages))
        return
    names = _call_names(messages)
    for each in messages:
        if isinstance(each, dict):
            yield from message(each, names)
        else:
            yield from unexpected("user", each)


def answered(response: Json) -> Iterator[Turn]:
    """The choices of a reply; where there are several, each turn names its own."""
    fields = mapping(response)
    choices = [each for each in items(fields.get("choices")) if isinstance(each, dict)]
    for position, choice in enumerate(choices):
        label = f"choice {choice.get('index', position)}" if len(choices) > 1 else None
        said = choice.get("message")
        for turn in message({"role": "assistant", **mapping(said)}, {}):
            yield turn if turn.name or not label else Turn(turn.role, turn.kind, turn.text, label)
        yield from content("assistant", choice.get("text"))
    output = mapping(mapping(fields.get("output")).get("message"))  # Bedrock Converse
    alone = mapping(fields.get("message")) or output  # Ollama and Cohere: one message, no choices
    if alone:
        yield from message({"role": "assistant", **alone}, {})
    if not choices and not alone and "content" in fields:  # Anthropic's shape, through Bedrock
        yield from content("assistant", fields["content"])
    yield from error(fields.get("error"))
    yield from noted(response)


def message(given: Object, names: dict[str, str]) -> Iterator[Turn]:
    """One message. `names`: which tool a call's id belongs to, for results that carry the id alone."""
    role = string(given.get("role")) or "user"
    for key in _REASONING:
        if given.get(key):
            yield Turn(role, "reasoning", compact(given[key]))
            break  # servers that send two of these send the same text twice
    if role in ("tool", "function"):
        call = string(given.get("tool_call_id"))
        name = string(given.get("name")) or string(given.get("tool_name")) or names.get(call) or call or None
        for turn in content("tool", given.get("content")):
            yield Turn("tool", "tool_result", turn.text, name) if turn.kind == "text" else turn
        return
    yield from content(role, given.get("content"))
    if given.get("refusal"):
        yield Turn(role, "refusal", compact(given["refusal"]))
    audio = mapping(given.get("audio"))
    if audio:
        yield Turn(role, "media", string(audio.get("transcript")) or string(audio.get("id")), "audio")
    for each in items(given.get("images")):
        yield from content(role, [each] if isinstance(each, dict) else [{"type": "image", "data": each}])
    if given.get("tool_plan"):
        yield Turn(role, "reasoning", compact(given["tool_plan"]))
    for each in items(given.get("tool_calls")):
        yield _call(role, each)
    if isinstance(given.get("function_call"), dict):
        yield _call(role, {"function": given["function_call"]})


def _call(role: str, given: Json) -> Turn:
    fields = mapping(given)
    called = mapping(fields.get("function")) or mapping(fields.get("custom"))
    if not called:
        return Turn(role, "tool_call", compact(given), string(fields.get("name")) or None)
    return Turn(
        role,
        "tool_call",
        compact(called.get("arguments", called.get("input", ""))),
        string(called.get("name")) or None,
    )


def _call_names(messages: list[Json]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in messages:
        for call in items(mapping(each).get("tool_calls")):
            fields = mapping(call)
            called = mapping(fields.get("function")) or mapping(fields.get("custom"))
            found[string(fields.get("id"))] = string(called.get("name"))
    return found
