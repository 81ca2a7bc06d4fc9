"""A request body becomes a Call: which model, a stream or not, and the body as JSON."""

from typing import Final

from exchange.call import Call, Json
from wire.api import BodyProblem, Route
from wire.decoding import ContentDecoder
from wire.json_body import parse_json
from wire.multipart import parse_multipart
from wire.opaque import is_text, media_type, opaque
from wire.openai.socket import models_in_query, models_of
from wire.request_encoding import decoded

_NAME: Final = 256
"""Characters of a model's name. The longest known, an Amazon Resource Name, has 150."""

_MOST: Final = 64
"""Models that one call may name. Each is decided on, on the event loop; OpenRouter takes three."""

_FALLBACKS: Final = ("models", "fallbacks")


def read_call(
    route: Route,
    *,
    content_type: str | None,
    content_encoding: str | None,
    body: bytes,
    strict: bool,
    limit: int,
) -> Call:
    """What a request asks. `body` as it came over the wire; `limit` bounds what it decodes to, in bytes.

    Strict (the gateway): raises BodyProblem for whatever two readers could read differently. Lenient (the laptop and
    the recorder): never raises; what cannot be read has `inspected=False` and a body of size and digest.
    """
    if strict:
        return judged(_call(route, _strictly(route, content_type, decoded(body, content_encoding, limit))))
    plain = _decoded_leniently(body, content_encoding, limit)
    if plain is None:
        return _unread(route, content_type, body)
    try:
        return _call(route, _leniently(content_type, plain))
    except BodyProblem:
        return _unread(route, content_type, plain)


def _strictly(route: Route, content_type: str | None, body: bytes) -> Json:
    media = media_type(content_type)
    wanted = route.api.media
    if not body:
        if wanted == "any":
            return None
        raise BodyProblem("bad_multipart" if wanted == "multipart" else "invalid_json")
    if wanted != "json" and media == "multipart/form-data":
        return parse_multipart(body, content_type)
    if media == "application/json":
        if wanted == "any":
            return _any_json(body)
        return parse_json(body, strict=True)
    if wanted != "any":
        raise BodyProblem("media_type_not_supported")
    return opaque(content_type, body, text=is_text(media))


def _any_json(body: bytes) -> Json:
    """An API we do not know may take an array or a string; everything else holds there too."""
    try:
        return parse_json(body, strict=True)
    except BodyProblem as problem:
        if problem.code != "json_not_object":
            raise
        return parse_json(body, strict=False)


def _leniently(content_type: str | None, body: bytes) -> Json:
    media = media_type(content_type)
    if not body:
        return None
    if media == "multipart/form-data":
        return parse_multipart(body, content_type)
    if media.endswith("json") or body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return parse_json(body, strict=False)  # curl -d says application/x-www-form-urlencoded of JSON too
    return opaque(content_type, body, text=is_text(media))


def _decoded_leniently(body: bytes, content_encoding: str | None, limit: int) -> bytes | None:
    decoder = ContentDecoder(content_encoding, limit)
    plain = b"".join(decoder.feed(body))
    if decoder.unknown or decoder.broken or decoder.truncated or decoder.oversized:
        return None
    return plain


def read_upgrade(route: Route, query: str | None, *, strict: bool) -> Call:
    """What an upgrade to a WebSocket asks: the model is in its query, or comes with each message. Raises BodyProblem
    when strict."""
    try:
        models = models_in_query(query)
    except BodyProblem:
        if strict:
            raise
        models = []
    call = Call(
        operation=route.api.operation,
        request_model=route.model or (models[0] if models else None),
        stream=True,
        inspected=True,
        other_models=tuple(models if route.model else models[1:]),
    )
    return judged(call) if strict else call


def read_by_head(route: Route, *, content_encoding: str | None, strict: bool) -> Call:
    """What a request asks whose body nobody reads (gRPC): what its path says. Raises BodyProblem when strict: an API
    that takes JSON is not asked so, and a body compressed as a whole would be measured as what it is not."""
    if strict and route.api.media != "any":
        raise BodyProblem("media_type_not_supported")
    if strict and (content_encoding or "identity").strip().lower() != "identity":
        raise BodyProblem("content_encoding_not_supported")
    return Call(operation=route.api.operation, request_model=route.model, stream=bool(route.stream), inspected=False)


def read_message(route: Route, payload: Json) -> Call:
    """What a message of a caller over a WebSocket asks. Raises BodyProblem("bad_model")."""
    models = models_of(payload)
    return judged(
        Call(
            operation=route.api.operation,
            request_model=models[0] if models else None,
            stream=True,
            inspected=True,
            body=payload,
            other_models=tuple(models[1:]),
        )
    )


def read_plain_call(route: Route, body: bytes) -> Call:
    """The strict reading of a body that is announced as JSON and nothing else, for an API that takes JSON: as
    `read_call`, without looking at the announcement again. Raises BodyProblem."""
    return judged(_call(route, parse_json(body, strict=True)))


def judged(call: Call) -> Call:
    """The same call, if its models are few enough to be decided on, and have names that can be read out and kept.
    Raises BodyProblem("bad_model")."""
    if len(call.other_models) >= _MOST:
        raise BodyProblem("bad_model")
    for name in (call.request_model, *call.other_models):
        if name is not None and (len(name) > _NAME or not name.isprintable()):
            raise BodyProblem("bad_model")
    return call


def is_plain(route: Route, content_type: str | None, content_encoding: str | None) -> bool:
    """Whether `read_plain_call` reads bodies that are announced so as `read_call` does, when they are not empty."""
    return route.api.media == "json" and content_encoding is None and media_type(content_type) == "application/json"


def _call(route: Route, body: Json) -> Call:
    fields = body if isinstance(body, dict) else {}
    named = _models(route, fields)
    return Call(
        operation=route.api.operation,
        request_model=named[0] if named else None,
        stream=route.api.streams(fields) if route.stream is None else route.stream,
        inspected="_sha256" not in fields and (body is not None or route.api.media == "any"),
        body=body,
        other_models=tuple(named[1:]),
    )


def _models(route: Route, fields: dict[str, Json]) -> list[str]:
    """Every model that this may be answered by, each once, the one that is asked for first.

    OpenRouter and LiteLLM take lists of fallbacks beside `model`: https://openrouter.ai/docs/features/model-routing,
    https://docs.litellm.ai/docs/proxy/reliability. What stands there and is no name counts as one that nobody allows.
    """
    named: list[str] = [route.model] if route.model else []
    if isinstance(model := fields.get("model"), str) and not (named and route.path_decides):
        named.append(model)
    if route.api.models is not None:
        named += route.api.models(fields)
    elif len(named) < 2 and fields.keys().isdisjoint(_FALLBACKS):
        return named  # nearly always
    for key in _FALLBACKS:
        if isinstance(given := fields.get(key), list):
            named += [_name(each) for each in given]
    return list(dict.fromkeys(named))


def _name(given: Json) -> str:
    if isinstance(given, dict):
        given = given.get("model")
    return given if isinstance(given, str) else ""


def _unread(route: Route, content_type: str | None, body: bytes) -> Call:
    return Call(
        operation=route.api.operation,
        request_model=route.model,
        stream=bool(route.stream),
        inspected=False,
        body=opaque(content_type, body),
    )
