"""What stands in the content of a message: the parts of OpenAI's, Anthropic's and Bedrock's APIs, by their kind."""

from collections.abc import Callable, Iterator

from exchange.call import Json
from wire.conversation.turn import Turn, compact, joined, media, parts
from wire.fields import Object, mapping, string


def content(role: str, given: Json) -> Iterator[Turn]:
    """The turns in a string, a part or a list of parts. A part that no rule places is shown as it is."""
    for part in parts(given):
        read = _PARTS.get(string(part.get("type")))
        if read is not None:
            yield from read(role, part)
        else:
            yield from _unnamed(role, part)


def _unnamed(role: str, part: Object) -> Iterator[Turn]:
    """A part without a type, or of one that nobody knows: by the fields it has (Bedrock names parts so)."""
    if isinstance(part.get("text"), str):
        yield Turn(role, "text", string(part["text"]))
    elif "toolUse" in part:
        use = mapping(part["toolUse"])
        yield Turn(role, "tool_call", compact(use.get("input")), string(use.get("name")) or None)
    elif "toolResult" in part:
        result = mapping(part["toolResult"])
        yield Turn("tool", "tool_result", joined(result.get("content")), string(result.get("toolUseId")) or None)
    elif "reasoningContent" in part:
        said = mapping(mapping(part["reasoningContent"]).get("reasoningText")).get("text")
        yield Turn(role, "reasoning", compact(said if said is not None else part["reasoningContent"]))
    else:
        yield Turn(role, "text", compact(part))


def _text(role: str, part: Object) -> Iterator[Turn]:
    yield Turn(role, "text", compact(part.get("text", "")))


def _refusal(role: str, part: Object) -> Iterator[Turn]:
    yield Turn(role, "refusal", compact(part.get("refusal", "")))


def _reasoning(role: str, part: Object) -> Iterator[Turn]:
    said = part.get("thinking", part.get("text"))
    if said:  # Anthropic may send a signature alone, and no thought with it
        yield Turn(role, "reasoning", joined(said))


def _hidden_reasoning(role: str, _part: Object) -> Iterator[Turn]:
    yield Turn(role, "reasoning", "(encrypted by the provider)")


def _tool_call(role: str, part: Object) -> Iterator[Turn]:
    yield Turn(role, "tool_call", compact(part.get("input", {})), string(part.get("name")) or None)


def _tool_result(_role: str, part: Object) -> Iterator[Turn]:
    name = string(part.get("tool_use_id")) or None
    given = part.get("content")
    if not isinstance(given, list):
        yield Turn("tool", "tool_result", joined(given), name)
        return
    for turn in content("tool", given):
        yield Turn("tool", "tool_result", turn.text, name) if turn.kind == "text" else turn


def _media(role: str, part: Object) -> Iterator[Turn]:
    """Pictures, sounds and files, wherever the API puts their address or their bytes."""
    kind = string(part.get("type")).removeprefix("input_").removesuffix("_url") or "file"
    for holder in (
        part.get("source"),
        part.get(string(part.get("type"))),
        part.get("image_url"),
        part.get("file"),
        part,
    ):
        if isinstance(holder, str):
            yield media(role, kind, holder)
            return
        fields = mapping(holder)
        if string(fields.get("type")) == "text" and "data" in fields:
            yield Turn(role, "text", compact(fields["data"]), string(part.get("title")) or None)
            return
        where = next((fields[key] for key in _WHERE if fields.get(key)), None)
        if where is not None:
            what = fields.get("media_type") or fields.get("format") or fields.get("filename") or part.get("filename")
            yield media(role, string(what) or kind, where)
            return
    yield Turn(role, "media", compact({key: value for key, value in part.items() if key != "type"}), kind)


_WHERE = ("data", "file_data", "image_url", "url", "file_url", "file_id", "file_uri")

_PARTS: dict[str, Callable[[str, Object], Iterator[Turn]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "summary_text": _text,
    "refusal": _refusal,
    "reasoning": _reasoning,
    "reasoning_text": _reasoning,
    "thinking": _reasoning,
    "redacted_thinking": _hidden_reasoning,
    "tool_use": _tool_call,
    "server_tool_use": _tool_call,
    "mcp_tool_use": _tool_call,
    "tool_result": _tool_result,
    "mcp_tool_result": _tool_result,
    "web_search_tool_result": _tool_result,
    "web_fetch_tool_result": _tool_result,
    "code_execution_tool_result": _tool_result,
    "bash_code_execution_tool_result": _tool_result,
    "text_editor_code_execution_tool_result": _tool_result,
    "image": _media,
    "image_url": _media,
    "input_image": _media,
    "input_audio": _media,
    "audio": _media,
    "input_file": _media,
    "file": _media,
    "document": _media,
    "video_url": _media,
}
