"""The messages of one turn over a WebSocket become what was asked and the response, as if it had been HTTP."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from exchange.call import Json, Text
from exchange.reply import Ended, Reply
from wire.api import Event, Turn
from wire.fields import Object, items, mapping, string
from wire.json_text import read_json
from wire.openai import realtime, responses
from wire.openai.socket import is_create, models_of
from wire.openai.turns import part_texts
from wire.turns import kept

_OF_THE_REQUEST: Final = ("asked", "session_events", "buffer_events", "item_events", "conversation_events")
"""What the folder noted that is part of what was asked, not of the answer."""


def _value(message: bytes) -> Json:
    try:
        return read_json(message)
    except ValueError:
        return message.decode("utf-8", "replace")


def responses_turn(asked: Sequence[bytes], told: Sequence[Event]) -> Turn:
    """`request` is the `response.create`; whatever else the caller said in this turn is under `_messages` in it."""
    said = [_value(message) for message in asked]
    create = next((each for each in said if is_create(each)), None)
    others = [each for each in said if each is not create]
    request: Json = create
    if others:
        request = {**mapping(create), "_messages": others}
    folder = responses.ResponsesFolder()
    for event in told:
        folder.add(event)
    reply = folder.close()
    if create is None and reply.response == {} and reply.ended == "open":
        reply = Reply(response=None, ended="settled")  # nothing was asked, and nothing is missing
    models = models_of(create)
    texts = responses.texts(create)
    for each in others:
        texts += responses.texts(each)
    return Turn(request, reply, texts, models[0] if models else None)


def realtime_turn(asked: Sequence[bytes], told: Sequence[Event]) -> Turn:
    """`request` is the session as it was, and the items since the last response: texts, transcripts, audio by size and
    digest. The reply is the response; its audio, too, is measured and not kept."""
    folder = realtime.RealtimeFolder()
    named = {string(mapping(mapping(_value(each.data.encode())).get("item")).get("id")) for each in told}
    for message in asked:
        value = mapping(_value(message))
        if value.get("type") == "conversation.item.create" and len(named) > 1:
            item = mapping(value.get("item"))
            if string(item.get("id")) not in named:
                continue  # the provider gave it an id, and told it whole
        folder.add(Event(message.decode("utf-8", "replace")))
    for event in told:
        folder.add(event)
    whole = folder.close()
    session = mapping(whole.response)
    extra = dict(mapping(session.get("_extra")))
    answers = [mapping(each) for each in items(session.get("responses"))]
    answer = answers[0] if answers else {}
    spoken = {string(mapping(each).get("id")) for each in items(answer.get("output"))}
    heard = [each for each in items(session.get("items")) if string(mapping(each).get("id")) not in spoken]
    audio = dict(mapping(extra.pop("audio", None)))
    request: Object = {"session": session.get("session"), "items": list(heard)}
    request |= {name: extra.pop(name) for name in _OF_THE_REQUEST if name in extra}
    if (given := audio.pop("input", None)) is not None:
        request["input_audio"] = given
    if audio:
        extra["audio"] = audio
    if answers[1:]:
        extra["further_responses"] = list(answers[1:])
    response: Json = {**answer, "_extra": extra} if extra else answer or None
    reply = replace(
        whole,
        response=response,
        ended=_ended(answer, bool(extra.get("errors"))),
        texts=tuple(text for text in whole.texts if text.kind == "answer"),
    )
    users = tuple(text for text in whole.texts if text.kind == "user")
    said_texts = tuple(text for each in heard for text in _item_texts(mapping(each)))
    return Turn(request, reply, said_texts or users, None)


def _ended(answer: Object, failed: bool) -> Ended:
    """A turn without a response lacks nothing: nobody has to ask for one."""
    status = answer.get("status")
    if failed or status == "failed":
        return "failed"
    if not answer:
        return "settled"
    return "open" if status in (None, "in_progress") else "terminal"


def _item_texts(item: Object) -> tuple[Text, ...]:
    if string(item.get("type")) == "function_call_output":
        return kept("tool", (string(item.get("output")),))
    if item.get("role") != "user":
        return ()
    return tuple(part_texts(item.get("content"), "user"))
