"""APIs that are no dialogue: one thing is asked, one comes back."""

from collections.abc import Iterator

from exchange.call import Json
from wire.conversation.content import content
from wire.conversation.turn import Turn, compact, error, media, noted, parts, size, unexpected
from wire.fields import items, mapping, string

_ASKED = ("system", "prompt", "input", "inputs", "content", "contents", "text", "instructions", "requests")
_ANSWERED = ("completion", "response", "text", "generated_text", "output_text", "content", "output")


def asked(request: Json) -> Iterator[Turn]:
    """The field that holds the question, whatever the API calls it; a body without one is shown whole."""
    if not isinstance(request, dict):
        yield from unexpected("user", request)
        return
    if "_media_type" in request:
        yield from _opaque("user", request)
        return
    if isinstance(request.get("messages"), list):
        for each in items(request["messages"]):
            fields = mapping(each)
            yield from content(string(fields.get("role")) or "user", fields.get("content", each))
        return
    found = [key for key in _ASKED if request.get(key)]
    for key in found:
        yield from _texts("system" if key in ("system", "instructions") else "user", request[key])
    if not found:
        yield from unexpected("user", request)


def answered(response: Json) -> Iterator[Turn]:
    """Text where there is text, pictures and vectors by their size, anything else whole."""
    if not isinstance(response, dict):
        yield from unexpected("assistant", response)
        return
    if "_media_type" in response:
        yield from _opaque("assistant", response)
    elif response.get("error"):
        yield from error(response["error"])
    else:
        yield from _known(response)
    yield from noted(response)


def _known(response: dict[str, Json]) -> Iterator[Turn]:
    choices = [each for each in items(response.get("choices")) if isinstance(each, dict)]
    for position, choice in enumerate(choices):
        label = f"choice {choice.get('index', position)}" if len(choices) > 1 else None
        yield Turn("assistant", "text", compact(choice.get("text", choice)), label)
    data = items(response.get("data"))
    vectors = [each for each in data if "embedding" in mapping(each)]
    vectors += items(response.get("embeddings"))
    if vectors:
        first = mapping(vectors[0]).get("embedding", vectors[0])
        length = f"{len(first)} numbers each" if isinstance(first, list) else "encoded"
        yield Turn("assistant", "media", f"{len(vectors)} vectors, {length}", "embeddings")
    pictures = [mapping(each) for each in data if {"b64_json", "url"} & mapping(each).keys()]
    for picture in pictures:
        if picture.get("b64_json"):
            yield Turn("assistant", "media", size(string(picture["b64_json"])), "image")
        else:
            yield media("assistant", "image", picture.get("url"))
    found = [key for key in _ANSWERED if response.get(key)]
    for key in found[:1]:
        yield from _texts("assistant", response[key])
    if not (choices or vectors or pictures or found):
        yield from unexpected("assistant", {key: value for key, value in response.items() if key != "_extra"})


def _texts(role: str, given: Json) -> Iterator[Turn]:
    """Several inputs are several turns; token numbers are counted, not listed."""
    if isinstance(given, list) and given and all(isinstance(each, int) for each in given):
        yield Turn(role, "media", f"{len(given)} tokens", "tokens")
    elif isinstance(given, list) and any(isinstance(each, list) for each in given):
        for each in given:
            yield from _texts(role, each)
    else:
        yield from content(role, [*parts(given)])


def _opaque(role: str, given: dict[str, Json]) -> Iterator[Turn]:
    """A body that is no JSON (RECORD.md): its text when it has any, else what it is. Multipart fields and files too."""
    if isinstance(given.get("_text"), str):
        yield Turn(role, "text", string(given["_text"]))
        return
    own = {key: value for key, value in given.items() if not key.startswith("_")}
    if own:
        yield Turn(role, "text", compact(own))
    kind = string(given.get("_media_type")) or "file"
    if "_bytes" in given:
        yield Turn(role, "media", f"{compact(given['_bytes'])} bytes", kind)
