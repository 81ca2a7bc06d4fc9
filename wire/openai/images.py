"""Image generation, edits and variations. Source: OpenAI API reference, "Images" and "Image streaming"."""

from collections.abc import Mapping
from dataclasses import replace

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Api, Event
from wire.extra import Extra
from wire.fields import items, mapping, string
from wire.openai.measured import MeasuredBase64
from wire.openai.usage import usage_of
from wire.turns import kept


class ImageFolder:
    """Terminal is `image_generation.completed` or `image_edit.completed`, one for each image. Previews are measured."""

    def __init__(self) -> None:
        self._data: list[Json] = []
        self._fields: dict[str, Json] = {}
        self._previews: dict[str, Json] = {}
        self._extra = Extra()

    def add(self, event: Event) -> None:
        payload = self._extra.payload(event)
        if payload is None:
            return
        kind = string(payload.get("type")) or event.name
        if kind.endswith(".completed"):
            self._complete(payload)
        elif kind.endswith(".partial_image"):
            image = MeasuredBase64()
            image.add(payload.get("b64_json"))
            place = payload.get("partial_image_index")
            self._previews[str(place)] = {"partial_image_index": place, **image.close()}
            self._extra.count("partial_images")
        else:
            self._extra.other(kind, payload)

    def _complete(self, payload: dict[str, Json]) -> None:
        image: dict[str, Json] = {}
        for key, value in payload.items():
            if key in ("b64_json", "url", "revised_prompt"):
                image[key] = value
            elif key == "created_at":
                self._fields["created"] = value
            elif key not in ("type", "obfuscation") and value is not None:
                self._fields[key] = value
        self._data.append(image)

    def close(self) -> Reply:
        response: dict[str, Json] = {"created": self._fields.pop("created", None), "data": self._data, **self._fields}
        if self._previews:
            self._extra.put("last_partial_images", list(self._previews.values()))
        ended: Ended = "failed" if self._extra.errors else "terminal" if self._data else "open"
        return _reply_of(self._extra.on(response), ended)


def _reply_of(response: dict[str, Json], ended: Ended) -> Reply:
    return Reply(
        response=response,
        ended=ended,
        response_model=string(response.get("model")) or None,
        usage=usage_of(response.get("usage")),
        texts=kept("answer", (string(mapping(each).get("revised_prompt")) for each in items(response.get("data")))),
    )


def whole(body: Json) -> Reply:
    """An unstreamed answer, or an error that came with status 200."""
    if not isinstance(body, dict):
        return Reply(response=body, ended="terminal")
    return _reply_of(body, "failed" if body.get("error") is not None and not body.get("data") else "terminal")


def texts(body: Json) -> tuple[Text, ...]:
    """The prompt."""
    return kept("user", (string(mapping(body).get("prompt")),))


def streams(body: Mapping[str, Json]) -> bool:
    """`"stream": true`; as a form field, the word."""
    return body.get("stream") in (True, "true", "True", "1")


API = Api(operation="image_generation", folder=ImageFolder, whole=whole, texts=texts, streams=streams)
EDITS: Api = replace(API, media="multipart")
