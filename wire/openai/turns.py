"""What is new in a request of OpenAI's shape: text of the caller, and what tools gave back."""

from collections.abc import Iterable

from exchange.call import Json, Text, TextKind
from wire.fields import compact, items, mapping, string
from wire.turns import kept, new_turns


def request_texts(messages: Json) -> tuple[Text, ...]:
    """`messages` of a chat request: those after the model's last one; `tool` and `function` messages as tools."""
    found: list[Text] = []
    for turn in new_turns(messages):
        kind: TextKind = "tool" if turn.get("role") in ("tool", "function") else "user"
        found += part_texts(turn.get("content"), kind)
    return tuple(found)


def part_texts(content: Json, kind: TextKind) -> Iterable[Text]:
    """The text of `content`: a string, or a list of parts, of which those with text count, thinking left out."""
    if isinstance(content, str):
        yield from kept(kind, (content,))
        return
    for each in items(content):
        if isinstance(each, str):
            yield from kept(kind, (each,))
            continue
        part = mapping(each)
        if string(part.get("type")) in ("thinking", "reasoning", "reasoning_text"):
            continue
        text = part.get("text")
        said = (string(mapping(text).get("value")) if isinstance(text, dict) else string(text)) or string(
            part.get("refusal")
        )
        yield from kept(kind, (said, string(part.get("transcript"))))


def plain_texts(value: Json, kind: TextKind = "user") -> tuple[Text, ...]:
    """A string, or a list of strings; token lists say nothing that could be read."""
    if isinstance(value, str):
        return kept(kind, (value,))
    return kept(kind, (each for each in items(value) if isinstance(each, str)))


def written(value: Json) -> str:
    """A tool's output as text: a string stays itself, anything else is written as JSON."""
    return "" if value is None else compact(value)
