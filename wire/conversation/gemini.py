"""Gemini's generateContent, and its Interactions."""

from collections.abc import Iterator

from exchange.call import Json
from wire.anthropic.fields import Object, items, mapping, string
from wire.conversation.content import content
from wire.conversation.turn import Turn, compact, error, joined, media, noted, parts


def asked(request: Json) -> Iterator[Turn]:
    """System instruction, then the contents; of an interaction, its input."""
    fields = mapping(request)
    system = fields.get("systemInstruction", fields.get("system_instruction"))
    yield from _content("system", system)
    contents = fields.get("contents", fields.get("content"))
    if contents is not None:
        for each in contents if isinstance(contents, list) else [contents]:
            yield from _content("user", each)
    else:
        yield from content("user", fields.get("input"))


def answered(response: Json) -> Iterator[Turn]:
    """The candidates; where there are several, each turn names its own."""
    fields = mapping(response)
    candidates = [each for each in items(fields.get("candidates")) if isinstance(each, dict)]
    for position, candidate in enumerate(candidates):
        label = f"choice {candidate.get('index', position)}" if len(candidates) > 1 else None
        for turn in _content("assistant", candidate.get("content")):
            yield turn if turn.name or not label else Turn(turn.role, turn.kind, turn.text, label)
        if candidate.get("finishReason") in _REFUSALS:
            said = string(candidate.get("finishMessage")) or string(candidate["finishReason"])
            yield Turn("assistant", "refusal", said)
    blocked = mapping(fields.get("promptFeedback")).get("blockReason")
    if blocked:
        yield Turn("assistant", "refusal", compact(blocked))
    for each in [*items(fields.get("outputs")), *items(fields.get("steps"))]:
        yield from content("assistant", mapping(each).get("content", each))
    yield from error(fields.get("error"))
    yield from noted(response)


def _content(role: str, given: Json) -> Iterator[Turn]:
    fields = mapping(given)
    said = string(fields.get("role")) or role
    role = "assistant" if said == "model" else said
    for part in parts(fields.get("parts") if "parts" in fields else given):
        yield _part(role, part)


def _part(role: str, part: Object) -> Turn:
    if isinstance(part.get("text"), str):
        return Turn(role, "reasoning" if part.get("thought") is True else "text", string(part["text"]))
    for key, kind in _TOOLS.items():
        if key in part:
            tool = mapping(part[key])
            name = string(tool.get("name")) or (None if key.startswith("function") else key)
            if kind == "tool_call":
                return Turn("assistant", "tool_call", compact(tool.get("args", tool.get("code", tool))), name)
            return Turn("tool", "tool_result", joined(tool.get("response", tool.get("output", tool))), name)
    inline = mapping(part.get("inlineData", part.get("inline_data")))
    if inline:
        kind = string(inline.get("mimeType")) or string(inline.get("mime_type")) or "file"
        return media(role, kind, inline.get("data"))
    file = mapping(part.get("fileData", part.get("file_data")))
    if file:
        return media(role, string(file.get("mimeType")) or "file", file.get("fileUri", file.get("file_uri")))
    return Turn(role, "text", compact(part))


_REFUSALS = frozenset(
    ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT")
)
_TOOLS = {
    "functionCall": "tool_call",
    "toolCall": "tool_call",
    "executableCode": "tool_call",
    "functionResponse": "tool_result",
    "toolResponse": "tool_result",
    "codeExecutionResult": "tool_result",
}
