"""An exchange as a conversation: one table per API, and what happens to bodies that nobody expects."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.call import Json
from wire.api import Event
from wire.conversation import Turn, conversation, question
from wire.conversation.spoken import Spoken, words

ERROR = {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit"}}

CASES: list[tuple[str, str, Any, Any, list[Turn]]] = [
    (
        "chat with pictures",
        "chat",
        {
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "これは？"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    ],
                },
            ]
        },
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "猫"}}]},
        [
            Turn("developer", "text", "Be brief."),
            Turn("user", "text", "これは？"),
            Turn("user", "media", "3 bytes", "image/png"),
            Turn("user", "media", "https://example.com/a.png", "image"),
            Turn("assistant", "text", "猫"),
        ],
    ),
    (
        "several choices",
        "chat",
        None,
        {"choices": [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}}]},
        [Turn("assistant", "text", "b", "choice 1"), Turn("assistant", "text", "a", "choice 0")],
    ),
    (
        "an error in mid-stream",
        "chat",
        None,
        {"choices": [{"message": {"content": "par"}}], "_extra": {"errors": [{"message": "broke off", "code": 500}]}},
        [Turn("assistant", "text", "par"), Turn("error", "error", "broke off", "500")],
    ),
    ("an error status", "chat", None, ERROR, [Turn("error", "error", "Slow down.", "rate_limit")]),
    (
        "converse",
        "chat",
        {
            "system": [{"text": "Be brief."}],
            "messages": [
                {"role": "user", "content": [{"text": "Hi"}]},
                {"role": "assistant", "content": [{"toolUse": {"name": "f", "input": {"a": 1}, "toolUseId": "t1"}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "ok"}]}}]},
            ],
        },
        {"output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}}},
        [
            Turn("system", "text", "Be brief."),
            Turn("user", "text", "Hi"),
            Turn("assistant", "tool_call", '{"a":1}', "f"),
            Turn("tool", "tool_result", "ok", "t1"),
            Turn("assistant", "text", "Hello"),
        ],
    ),
    (
        "responses with a string",
        "responses",
        {"instructions": "Be brief.", "input": "Hi"},
        {
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "function_call", "name": "f", "arguments": '{"a":1}', "call_id": "c1"},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hello"}, {"type": "refusal", "refusal": "no more"}],
                },
            ],
            "incomplete_details": {"reason": "max_output_tokens"},
        },
        [
            Turn("system", "text", "Be brief."),
            Turn("user", "text", "Hi"),
            Turn("assistant", "reasoning", "hm"),
            Turn("assistant", "tool_call", '{"a":1}', "f"),
            Turn("assistant", "text", "Hello"),
            Turn("assistant", "refusal", "no more"),
            Turn("error", "error", "incomplete: max_output_tokens", "incomplete"),
        ],
    ),
    (
        "responses with items",
        "responses",
        {
            "input": [
                {"role": "user", "content": "Hi"},
                {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"},
                {"type": "function_call_output", "call_id": "c1", "output": "done"},
                {"type": "web_search_call", "id": "w", "action": {"query": "関所"}, "status": "completed"},
                {"type": "item_reference", "id": "i1"},
            ]
        },
        None,
        [
            Turn("user", "text", "Hi"),
            Turn("assistant", "tool_call", "{}", "f"),
            Turn("tool", "tool_result", "done", "f"),
            Turn("assistant", "tool_call", '{"query":"関所"}', "web_search"),
            Turn("user", "text", '{"type":"item_reference","id":"i1"}', "item_reference"),
        ],
    ),
    (
        "messages",
        "messages",
        {
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "ok"}]},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400}},
                    ],
                },
            ],
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Hello"}],
            "stop_reason": "refusal",
        },
        [
            Turn("system", "text", "Be brief."),
            Turn("user", "text", "Hi"),
            Turn("assistant", "tool_call", '{"a":1}', "f"),
            Turn("tool", "tool_result", "ok", "f"),
            Turn("user", "media", "300 bytes", "image/png"),
            Turn("assistant", "reasoning", "hm"),
            Turn("assistant", "text", "Hello"),
            Turn("assistant", "refusal", "the model refused"),
        ],
    ),
    (
        "an error of messages",
        "messages",
        None,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        [Turn("error", "error", "Overloaded", "overloaded_error")],
    ),
    (
        "generate_content",
        "generate_content",
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {
                    "role": "user",
                    "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "audio/wav", "data": "A" * 400}}],
                },
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"ok": True}}}]},
            ],
        },
        {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "Hello"}]},
                    "finishReason": "SAFETY",
                }
            ]
        },
        [
            Turn("system", "text", "Be brief."),
            Turn("user", "text", "Hi"),
            Turn("user", "media", "300 bytes", "audio/wav"),
            Turn("assistant", "tool_call", '{"a":1}', "f"),
            Turn("tool", "tool_result", '{"ok":true}', "f"),
            Turn("assistant", "reasoning", "hm"),
            Turn("assistant", "text", "Hello"),
            Turn("assistant", "refusal", "SAFETY"),
        ],
    ),
    (
        "text completions",
        "text_completion",
        {"model": "m", "prompt": ["One", "Two"]},
        {"choices": [{"index": 0, "text": "three"}]},
        [Turn("user", "text", "One"), Turn("user", "text", "Two"), Turn("assistant", "text", "three")],
    ),
    (
        "embeddings",
        "embeddings",
        {"input": [1, 2, 3]},
        {"data": [{"embedding": [0.1, 0.2]}]},
        [
            Turn("user", "media", "3 tokens", "tokens"),
            Turn("assistant", "media", "1 vectors, 2 numbers each", "embeddings"),
        ],
    ),
    (
        "transcription",
        "transcription",
        {"_media_type": "multipart/form-data", "_bytes": 9, "model": "whisper-1"},
        {"text": "もしもし"},
        [
            Turn("user", "text", '{"model":"whisper-1"}'),
            Turn("user", "media", "9 bytes", "multipart/form-data"),
            Turn("assistant", "text", "もしもし"),
        ],
    ),
    (
        "images",
        "image_generation",
        {"prompt": "a gate"},
        {"data": [{"b64_json": "AAAA"}, {"url": "https://example.com/b.png"}]},
        [
            Turn("user", "text", "a gate"),
            Turn("assistant", "media", "3 bytes", "image"),
            Turn("assistant", "media", "https://example.com/b.png", "image"),
        ],
    ),
    ("other", "other", {"a": 1}, [1], [Turn("user", "text", '{"a":1}'), Turn("assistant", "text", "[1]")]),
    (
        "an unknown part",
        "chat",
        {"messages": [{"role": "user", "content": [{"x": 1}]}]},
        None,
        [Turn("user", "text", '{"x":1}')],
    ),
    ("an unknown body", "chat", {"x": 1}, "y", [Turn("user", "text", '{"x":1}'), Turn("assistant", "text", "y")]),
]


@pytest.mark.parametrize(
    ("operation", "request_body", "response", "turns"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_every_api_reads_as_a_conversation(
    operation: str, request_body: Json, response: Json, turns: list[Turn]
) -> None:
    assert conversation(operation, request_body, response) == turns


NAMES = """
messages role content type text input output choices message tool_calls function parts contents candidates error
_extra errors source data image_url thinking summary embedding _media_type toolUse toolResult index name id
"""
KEYS = st.sampled_from(NAMES.split())
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["message", "tool_use", "image"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(st.sampled_from(["chat", "responses", "messages", "generate_content", "other"]), BODIES, BODIES)
def test_no_body_is_too_odd_to_be_shown(operation: str, request_body: Any, response: Any) -> None:
    turns = conversation(operation, request_body, response)
    assert all(isinstance(turn.text, str) for turn in turns)
    if request_body not in (None, "", [], {}):
        assert turns


def test_the_question_is_what_the_caller_said_last() -> None:
    messages: list[Json] = [
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": "Last"},
    ]
    assert question("chat", {"messages": [*messages, {"role": "tool", "content": "y"}]}) == "Last"
    assert question("chat", {"messages": []}) == '{"messages":[]}'
    assert question("chat", None) == ""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"choices":[{"index":0,"delta":{"content":"猫"}}]}', "猫"),
        ('{"choices":[{"index":1,"delta":{"content":"other"}}]}', ""),
        ('{"choices":[{"index":0,"text":"old"}]}', "old"),
        ('{"type":"response.output_text.delta","delta":"a"}', "a"),
        ('{"type":"response.output_text.done","text":"a"}', ""),
        ('{"type":"response.function_call_arguments.delta","delta":"{"}', ""),
        ('{"type":"content_block_delta","delta":{"type":"text_delta","text":"b"}}', "b"),
        ('{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"c"}]}}]}', "c"),
        ('{"message":{"content":"d"},"done":false}', "d"),
        ('{"response":"e","done":false}', "e"),
        ('{"type":"content-delta","delta":{"message":{"content":{"text":"f"}}}}', "f"),
        ("[DONE]", ""),
        ("{broken", ""),
        ("[1]", ""),
    ],
)
def test_an_event_adds_its_words(data: str, said: str) -> None:
    assert words(Event(data)) == said


def test_words_come_as_soon_as_their_event_is_whole() -> None:
    reader = Spoken(
        operation="chat", status=200, content_type="text/event-stream", content_encoding=None, streamed=True
    )
    whole = 'data: {"choices":[{"delta":{"content":"猫"}}]}\n\n'.encode()
    assert [reader.feed(whole[i : i + 1]) for i in range(len(whole))][-2:] == ["", "猫"]
    assert reader.feed(b'data: {"choices":[{"delta":{"content":"!"}}]}\n') == ""
    assert reader.close() == "!"
