"""What is said in a Messages request and in its reply, for search and for policies that read."""

from collections.abc import Callable, Iterable

from exchange.call import Json, Text, TextKind
from wire.fields import Object, items, mapping, string
from wire.turns import called, kept, new_turns


def request_texts(body: Json) -> tuple[Text, ...]:
    """What is new in a Messages request: the caller's text, and what tools gave back."""
    return tuple(text for turn in new_turns(mapping(body).get("messages")) for text in _content(turn.get("content")))


def answer_texts(content: Json) -> tuple[Text, ...]:
    """What a message says: its text (not its thinking), and each tool it calls by name with the input."""
    found: list[Text] = []
    for block in items(content):
        fields = mapping(block)
        said = string(fields.get("text"))
        if said:
            found.append(Text("answer", said))
        elif "input" in fields and fields.get("name"):
            found.append(Text("answer", called(fields.get("name"), fields.get("input"))))
    return tuple(found)


def _content(content: Json, kind: TextKind = "user") -> Iterable[Text]:
    if isinstance(content, str):
        yield from kept(kind, (content,))
        return
    for each in items(content):
        block = mapping(each)
        read = _BLOCKS.get(string(block.get("type")))
        if read:
            yield from read(block, kind)
        elif isinstance(block.get("text"), str):
            yield from kept(kind, (string(block["text"]),))


def _document(block: Object, kind: TextKind) -> Iterable[Text]:
    """A document's own text, where it is sent as text and not as a file."""
    source = mapping(block.get("source"))
    yield from kept(kind, (string(block.get("title")), string(block.get("context"))))
    if source.get("type") == "text":
        yield from kept(kind, (string(source.get("data")),))
    elif source.get("type") == "content":
        yield from _content(source.get("content"), kind)


def _nested(block: Object, kind: TextKind) -> Iterable[Text]:
    yield from _content(block.get("content"), kind)


def _tool_result(block: Object, _: TextKind) -> Iterable[Text]:
    yield from _content(block.get("content"), "tool")


_BLOCKS: dict[str, Callable[[Object, TextKind], Iterable[Text]]] = {
    "document": _document,
    "search_result": _nested,
    "tool_result": _tool_result,
    "mcp_tool_result": _tool_result,
}
