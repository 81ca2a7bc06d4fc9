"""What is new in a Gemini request: the contents after the model's last turn."""

from collections.abc import Iterable

from exchange.call import Json, Text
from wire.fields import compact, items, mapping, string
from wire.turns import kept, new_turns


def request_texts(body: Json) -> tuple[Text, ...]:
    """The caller's text, and what functions and tools gave back. Also of `countTokens` and `embedContent`, whose
    bodies wrap the same contents in other names."""
    fields = mapping(body)
    for name in ("generateContentRequest", "request"):
        wrapped = fields.get(name)
        if isinstance(wrapped, dict):
            fields = wrapped
    return (
        tuple(_texts(fields))
        + tuple(text for each in items(fields.get("requests")) for text in _texts(mapping(each)))
        + kept("user", (string(mapping(each).get("content")) for each in items(fields.get("instances"))))
    )


def _texts(fields: dict[str, Json]) -> Iterable[Text]:
    contents = fields.get("contents", fields.get("content"))
    if isinstance(contents, str):
        yield from kept("user", (contents,))
        return
    turns = new_turns([contents] if isinstance(contents, dict) else contents, answer_roles=("model",))
    for turn in turns:
        yield from _parts(turn.get("parts"))


def _parts(parts: Json) -> Iterable[Text]:
    for each in [parts] if isinstance(parts, dict) else items(parts):
        part = mapping(each)
        text = string(part.get("text")) if isinstance(each, dict) else string(each)
        if text:
            yield Text("user", text)
        for key in ("functionResponse", "toolResponse", "codeExecutionResult"):
            result = mapping(part.get(key))
            if result:
                yield from kept("tool", (compact(result.get("response", result.get("output"))),))
