"""Gemini's generateContent, and its Interactions."""

from collections.abc import Iterator

from exchange.call import Json
from wire.conversation.content import content
from wire.conversation.turn import Turn, compact, error, joined, media, noted, parts
from wire.fields import Object, items, mapping, string


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
        given = fields.get("input")
        for each in given if isinstance(given, list) else [given]:
            yield from _step("user", each)


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
        yield from _step("assistant", each)
    yield from error(fields.get("error"))
    yield from noted(response)


def _step(role: str, given: Json) -> Iterator[Turn]:
    """A step of an interaction: what was said, thought, called or returned."""
    step = mapping(given)
    kind = string(step.get("type"))
    name = string(step.get("name")) or None
    if kind == "thought":
        if said := joined(step.get("summary") or step.get("content") or ""):
            yield Turn(role, "reasoning", said)
    elif kind.endswith("_call"):
        yield Turn("assistant", "tool_call", compact(step.get("arguments", step)), name or kind.removesuffix("_call"))
    elif kind.endswith("_result"):
        what = name or kind.removesuffix("_result")
        yield Turn("tool", "tool_result", joined(step.get("result", step.get("content", step))), what)
    elif "content" in step:
        yield from content({"user_input": "user", "model_output": "assistant"}.get(kind, role), step["content"])
    else:
        yield from content(role, given)


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
