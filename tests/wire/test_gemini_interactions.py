"""Gemini Interactions, event by event. Fixtures are written here."""

import base64
import json
from typing import Any

import pytest

from exchange.call import Text
from exchange.reply import Reply, Usage
from wire.api import Event
from wire.gemini import interactions

CREATED = {
    "event_type": "interaction.created",
    "interaction": {"id": "v1_a", "status": "in_progress", "model": "gemini-test"},
}
COMPLETED = {
    "event_type": "interaction.completed",
    "interaction": {
        "id": "v1_a",
        "status": "completed",
        "usage": {
            "total_input_tokens": 5,
            "total_tool_use_tokens": 2,
            "total_output_tokens": 3,
            "total_thought_tokens": 4,
            "total_cached_tokens": 1,
        },
    },
}


def start(at: int, **step: Any) -> dict[str, Any]:
    return {"event_type": "step.start", "index": at, "step": step}


def delta(at: int, **fields: Any) -> dict[str, Any]:
    return {"event_type": "step.delta", "index": at, "delta": fields}


def fold(*payloads: Any) -> Reply:
    folder = interactions.API.folder()
    for each in payloads:
        folder.add(Event(each if isinstance(each, str) else json.dumps(each)))
    return folder.close()


def response(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply.response, dict)
    return reply.response


def steps(*payloads: Any) -> Any:
    return response(fold(CREATED, *payloads, COMPLETED))["steps"]


def test_a_stream_becomes_the_interaction_with_its_steps() -> None:
    reply = fold(
        CREATED, {"event_type": "interaction.status_update", "status": "in_progress"},
        start(0, type="thought"), delta(0, type="thought_signature", signature="s"),
        {"event_type": "step.stop", "index": 0},
        start(1, type="model_output"), delta(1, type="text", text="Hel"), delta(1, type="text", text="lo"),
        COMPLETED, "[DONE]",
    )  # fmt: skip
    assert reply.response == {
        "id": "v1_a",
        "status": "completed",
        "model": "gemini-test",
        "usage": COMPLETED["interaction"]["usage"],  # type: ignore[index]
        "steps": [
            {"type": "thought", "signature": "s"},
            {"type": "model_output", "content": [{"type": "text", "text": "Hello"}]},
        ],
    }
    assert (reply.ended, reply.usage) == ("terminal", Usage(7, 7, 1, 4))
    assert (reply.response_model, reply.finish_reasons) == ("gemini-test", ("completed",))
    assert reply.texts == (Text("answer", "Hello"),)


def test_an_event_without_a_type_is_read_by_its_name() -> None:
    folder = interactions.API.folder()
    for payload in (CREATED, start(0, type="model_output"), delta(0, type="text", text="Hi"), COMPLETED):
        folder.add(
            Event(json.dumps({k: v for k, v in payload.items() if k != "event_type"}), str(payload["event_type"]))
        )
    assert folder.close() == fold(CREATED, start(0, type="model_output"), delta(0, type="text", text="Hi"), COMPLETED)


def test_arguments_are_strung_together_and_read_at_the_end() -> None:
    call = {"type": "function_call", "id": "c", "name": "add"}
    assert steps(
        start(0, **call, arguments={}),
        delta(0, type="arguments_delta", arguments='{"x"'),
        delta(0, type="arguments_delta", arguments=": 2}"),
    ) == [{**call, "arguments": {"x": 2}}]
    assert steps(start(0, **call, arguments={}), delta(0, type="arguments_delta", arguments='{"x": 2, "y')) == [
        {**call, "arguments": {"x": 2}, "_partial_json": '{"x": 2, "y'}
    ]


def test_a_tool_called_twice_gives_two_steps() -> None:
    reply = fold(
        CREATED,
        *(
            event
            for at in (0, 1)
            for event in (
                start(at, type="function_call", name="add", arguments={}),
                delta(at, type="arguments_delta", arguments=f'{{"x":{at}}}'),
            )
        ),
        COMPLETED,
    )
    assert reply.texts == (Text("answer", 'add {"x":0}'), Text("answer", 'add {"x":1}'))


def test_summaries_annotations_and_media_find_their_places() -> None:
    half = [base64.b64encode(each).decode() for each in (b"a", b"bc")]
    assert steps(
        start(0, type="thought"), delta(0, type="thought_summary", content={"type": "text", "text": "I "}),
        delta(0, type="thought_summary", content={"type": "text", "text": "think"}),
        delta(0, type="thought_summary", content={"type": "image", "data": "AA=="}),
        start(1, type="model_output"), delta(1, type="text", text="cited"),
        delta(1, type="text_annotation_delta", annotations=[{"url": "u"}]), delta(1, type="text", text="next"),
        delta(1, type="image", data="AA==", mime_type="image/png"),
        delta(1, type="audio", data=half[0], mime_type="audio/l16"),
        delta(1, type="audio", data=half[1], mime_type="audio/l16"),
    ) == [
        {"type": "thought", "summary": [{"type": "text", "text": "I think"}, {"type": "image", "data": "AA=="}]},
        {
            "type": "model_output",
            "content": [
                {"type": "text", "text": "cited", "annotations": [{"url": "u"}]},
                {"type": "text", "text": "next"},
                {"type": "image", "data": "AA==", "mime_type": "image/png"},
                {"type": "audio", "data": base64.b64encode(b"abc").decode(), "mime_type": "audio/l16"},
            ],
        },
    ]  # fmt: skip


def test_calls_and_results_of_the_provider_s_tools_come_whole() -> None:
    assert steps(
        start(0, type="google_search_call"),
        delta(0, type="google_search_call", arguments={"queries": ["q"]}, signature="s"),
        start(1, type="google_search_result"), delta(1, type="google_search_result", result=[{"r": 1}], is_error=False),
    ) == [
        {"type": "google_search_call", "arguments": {"queries": ["q"]}, "signature": "s"},
        {"type": "google_search_result", "result": [{"r": 1}], "is_error": False},
    ]  # fmt: skip


def test_steps_in_the_last_snapshot_win_over_streamed_ones() -> None:
    final = {
        "event_type": "interaction.completed",
        "interaction": {"id": "v1_a", "status": "completed", "steps": [{"type": "x"}]},
    }
    assert response(fold(CREATED, start(0, type="model_output"), final))["steps"] == [{"type": "x"}]


@pytest.mark.parametrize(
    ("payloads", "ended"),
    [
        ([CREATED, COMPLETED], "terminal"),
        ([CREATED], "open"),
        ([CREATED, "[DONE]"], "open"),
        ([CREATED, {"event_type": "error", "error": {"code": "x"}}], "failed"),
        ([CREATED, {"event_type": "interaction.completed", "interaction": {"status": "failed"}}], "failed"),
        ([CREATED, {"event_type": "interaction.completed", "interaction": {"status": "requires_action"}}], "terminal"),
        ([], "open"),
    ],
)
def test_only_interaction_completed_makes_a_stream_whole(payloads: list[Any], ended: str) -> None:
    assert fold(*payloads).ended == ended


def test_what_has_no_place_is_kept_aside() -> None:
    odd = {"event_type": "moonrise"}
    odder = delta(0, type="hologram", data="x")
    reply = fold(
        CREATED,
        odd,
        start(0, type="model_output"),
        odder,
        {**delta(0, type="text", text="a"), "metadata": {"total_usage": {}}, "event_id": "e7"},
        {"event_type": "step.stop", "index": 0, "usage": {"total_tokens": 1}},
        start(0, type="thought"),
        delta(5, type="text", text="b"),
        COMPLETED,
    )
    assert response(reply)["_extra"] == {
        "unknown_events": [odd, odder],
        "step_usage": [{"index": 0, "usage": {"total_tokens": 1}}],
        "replaced_steps": [{"type": "model_output", "content": [{"type": "text", "text": "a"}]}],
        "steps_without_start": 1,
        "last_event_id": "e7",
        "metadata": {"total_usage": {}},
    }


def test_a_body_that_came_whole_is_read_the_same() -> None:
    streamed = fold(CREATED, start(0, type="model_output"), delta(0, type="text", text="Hi"), COMPLETED)
    assert interactions.whole(streamed.response) == streamed
    assert interactions.whole({"error": {"code": 400}}) == Reply({"error": {"code": 400}}, "terminal")


@pytest.mark.parametrize(
    ("given", "new"),
    [
        ("hi", [("user", "hi")]),
        ({"type": "text", "text": "hi"}, [("user", "hi")]),
        ([{"type": "text", "text": "a"}, {"type": "image", "data": "x"}], [("user", "a")]),
        ([{"type": "user_input", "content": [{"type": "text", "text": "a"}]}], [("user", "a")]),
        (
            [{"role": "user", "content": "old"}, {"role": "model", "content": "x"}, {"role": "user", "content": "new"}],
            [("user", "new")],
        ),
        ([{"type": "function_result", "call_id": "c", "result": {"n": 1}}], [("tool", '{"n":1}')]),
        (None, []),
    ],
)
def test_all_of_the_input_after_the_model_s_last_step_is_new(given: Any, new: list[tuple[str, str]]) -> None:
    assert [(text.kind, text.text) for text in interactions.API.texts({"input": given})] == new
