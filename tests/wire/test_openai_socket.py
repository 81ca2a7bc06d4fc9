"""Which turn a message of a WebSocket belongs to, and what a turn becomes."""

import json
from typing import Any

import pytest

from exchange.call import Json, Text
from wire.api import BodyProblem, Event
from wire.openai.browser_key import with_bearer
from wire.openai.socket import Answers, Glance, Lanes, error_event, glance, models_in_query, models_of
from wire.openai.socket_turns import realtime_turn, responses_turn


def seen(**fields: Any) -> Glance:
    return glance(json.dumps(fields).encode())


def events(*payloads: dict[str, Any]) -> list[Event]:
    return [Event(json.dumps(payload, ensure_ascii=False)) for payload in payloads]


@pytest.mark.parametrize("raw", [b"", b"\x00", b"[]", b'{"type": 1}', b'{"response": "x"}', b"{" * 10_000])
def test_a_message_that_cannot_be_read_is_of_no_kind(raw: bytes) -> None:
    assert glance(raw) == Glance()


def test_lanes_are_apart_and_each_has_one_response_after_the_other() -> None:
    lanes: Lanes[str] = Lanes()
    for stream, turn in (("a", "a1"), ("a", "a2"), ("b", "b1")):
        lanes.ask(stream, turn)
    assert lanes.of_provider(seen(type="response.created", stream_id="a")) == ("a1", False)
    assert lanes.of_provider(seen(type="response.completed", stream_id="b")) == ("b1", True)
    assert lanes.of_provider(seen(type="error", stream_id="a")) == ("a2", True)  # a1 has begun: it is not about that
    assert lanes.of_provider(seen(type="response.output_text.delta")) == ("a1", False)  # the only one there is
    assert lanes.of_provider(seen(type="response.failed", stream_id="a")) == ("a1", True)
    assert lanes.of_provider(seen(type="response.created", stream_id="a")) == (None, False)
    assert lanes.left() == []


def test_an_error_amid_an_answer_does_not_end_it_and_one_before_it_does() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.ask("", "one")
    assert lanes.of_provider(seen(type="response.created")) == ("one", False)
    assert lanes.of_provider(seen(type="error")) == ("one", False)
    assert lanes.of_provider(seen(type="response.failed")) == ("one", True)
    lanes.ask("", "two")
    assert lanes.of_provider(seen(type="error")) == ("two", True)


def test_what_led_to_a_response_is_found_by_its_items() -> None:
    answers: Answers[str] = Answers()
    assert answers.of_provider(seen(type="conversation.item.added", item={"id": "u1"})) == (None, False)
    created = seen(type="response.created", response={"id": "r1"})
    assert answers.begins(created)
    answers.begin(created, "first")
    late = seen(type="conversation.item.input_audio_transcription.completed", item_id="u1")
    assert answers.of_provider(late) == ("first", False)
    assert answers.of_provider(seen(type="input_audio_buffer.speech_started", item_id="u2")) == (None, False)
    assert answers.of_provider(seen(type="response.done", response={"id": "r1"})) == ("first", True)
    assert answers.of_provider(late) == (None, False)


@pytest.mark.parametrize(
    ("message", "models"),
    [
        ({"type": "response.create", "model": "a"}, ["a"]),
        ({"model": "a", "models": ["b"], "fallbacks": [{"model": "c"}]}, ["a", "b", "c"]),
        ({"response": {"model": "b"}}, ["b"]),
        ({"type": "session.update", "session": {"model": "c"}}, ["c"]),
        ({"model": ["a"]}, [""]),  # nobody allows that
        ({"type": "response.create"}, []),
        (None, []),
    ],
)
def test_every_model_that_a_message_names_is_found(message: Json, models: list[str]) -> None:
    assert models_of(message) == models


@pytest.mark.parametrize("query", ["model=a&model=b", "Model=a", "model=a&MODEL=b", "deployment=a&deployment=a"])
def test_a_query_in_which_two_readers_find_two_models_is_refused(query: str) -> None:
    with pytest.raises(BodyProblem):
        models_in_query(query)
    assert models_in_query("api-version=1&deployment=gpt%2D4o") == ["gpt-4o"]
    assert models_in_query(None) == []


def test_a_key_among_the_subprotocols_becomes_the_authorization() -> None:
    fields = ((b"Host", b"x"), (b"sec-websocket-protocol", b"realtime, openai-insecure-api-key.KEY"))
    assert with_bearer(fields) == (
        (b"Host", b"x"),
        (b"Sec-WebSocket-Protocol", b"realtime"),
        (b"Authorization", b"Bearer KEY"),
    )
    assert with_bearer(fields[:1]) is not None
    assert with_bearer(((b"Authorization", b"a"), *fields)).count((b"Authorization", b"Bearer KEY")) == 1


def test_a_refusal_has_the_shape_of_each_api() -> None:
    responses = json.loads(error_event("responses", "model_not_allowed", {"stream_id": "s"}, "event_1"))
    assert (responses["status"], responses["stream_id"]) == (403, "s")
    realtime = json.loads(error_event("realtime", "model_not_allowed", {"event_id": "mine"}, "event_1"))
    assert (realtime["event_id"], realtime["error"]["event_id"]) == ("event_1", "mine")


def test_what_a_caller_says_amid_an_answer_is_kept_beside_what_it_asked() -> None:
    create = b'{"type": "response.create", "model": "m", "input": "hello"}'
    turn = responses_turn([create, b'{"type": "response.steer"}'], events({"type": "response.created", "response": {}}))
    assert turn.request == {**json.loads(create), "_messages": [{"type": "response.steer"}]}
    assert turn.model == "m"
    assert turn.texts == (Text("user", "hello"),)
    assert turn.reply.ended == "open"


def test_a_connection_on_which_nothing_was_asked_lacks_nothing() -> None:
    assert responses_turn([], []).reply.ended == "settled"
    turn = realtime_turn([], events({"type": "session.created", "session": {"id": "s"}}))
    assert turn.request == {"session": {"id": "s"}, "items": []}
    assert (turn.reply.response, turn.reply.ended) == (None, "settled")


@pytest.mark.parametrize(
    ("status", "ended"), [("completed", "terminal"), ("cancelled", "terminal"), ("failed", "failed"), (None, "open")]
)
def test_a_realtime_turn_ends_as_its_response_does(status: str | None, ended: str) -> None:
    begun = {"type": "response.created", "response": {"id": "r", "status": "in_progress"}}
    done = {"type": "response.done", "response": {"id": "r", "status": status, "output": []}}
    turn = realtime_turn([], events(begun, *([done] if status else [])))
    assert turn.reply.ended == ended
