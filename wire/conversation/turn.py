"""One turn of a conversation as people read it, and how values that no rule places are shown."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from exchange.call import Json
from wire.fields import Object, items, mapping, string

TurnKind = Literal["text", "tool_call", "tool_result", "reasoning", "refusal", "error", "media"]


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said, called, returned or shown.

    `role` is who: `system`, `developer`, `user`, `assistant`, `tool`, or what the API says. `text` is content as it
    came, control characters included: whoever shows it makes them harmless. `name` is the tool's name, the media
    type, or, where a reply has several choices, which one; None when there is none.
    """

    role: str
    kind: TurnKind
    text: str
    name: str | None = None


def compact(value: Json) -> str:
    """A value as JSON without padding, characters as they are; a string stays itself. Never raises."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return "(cannot be shown)"


def unexpected(role: str, value: Json) -> Iterator[Turn]:
    """A value that no rule places, as it is; nothing for None and what is empty."""
    if value not in (None, "", [], {}):
        yield Turn(role, "text", compact(value))


def error(value: Json) -> Iterator[Turn]:
    """An error object in any provider's shape: its message when it has one, its type or code as the name."""
    if value in (None, "", [], {}):
        return
    fields = mapping(value)
    inner = fields.get("error")
    if isinstance(inner, dict):
        fields = inner
    message = fields.get("message") or (inner if isinstance(inner, str) else None)
    name = fields.get("code") or fields.get("type") or fields.get("status")
    yield Turn("error", "error", compact(message or value), None if name is None else compact(name))


def media(role: str, what: str, where: Json) -> Turn:
    """A picture, a sound, a file: named by what it is and where it comes from, never by its base64 text.

    `where` is an address, a `data:` address or base64 text.
    """
    said = string(where)
    if said.startswith("data:"):
        head, _, data = said.partition(",")
        return Turn(role, "media", size(data), head[5:].partition(";")[0] or what)
    if "://" in said[:16] or len(said) < _SHORT:
        return Turn(role, "media", said, what)
    return Turn(role, "media", size(said), what)


def size(base64_text: str) -> str:
    """How much a base64 text holds, in bytes."""
    return f"{len(base64_text.rstrip('=')) * 3 // 4} bytes"


def parts(value: Json) -> list[Object]:
    """A content list with its bare strings made into text parts; a single string or object is a list of one."""
    listed = value if isinstance(value, list) else [value] if value not in (None, "") else []
    return [
        each if isinstance(each, dict) else {"text": each if isinstance(each, str) else compact(each)}
        for each in listed
        if each not in (None, "")
    ]


def joined(value: Json) -> str:
    """All text in a content value, in order; what is not text as JSON."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return compact(value) if value is not None else ""
    texts = [string(part["text"]) if isinstance(part.get("text"), str) else compact(part) for part in parts(value)]
    return "\n".join(texts)


def noted(response: Json) -> Iterator[Turn]:
    """The errors that came beside the reply (`response._extra.errors`)."""
    for each in items(mapping(mapping(response).get("_extra")).get("errors")):
        yield from error(each)


_SHORT = 200
