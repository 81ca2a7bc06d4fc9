"""Conversations of every API in the words of Chat Completions."""

from typing import Any

import pytest

from wire.conversation.as_chat import as_chat

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"東京"}'}}
WHOLE: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "東京の天気は？"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "晴れ"},
        {"role": "assistant", "content": "晴れです。"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "description": "Ask.", "parameters": WEATHER}}],
}


@pytest.mark.parametrize(
    ("operation", "request_", "response"),
    [
        (
            "messages",
            {
                "system": "Be brief.",
                "tools": [{"name": "weather", "description": "Ask.", "input_schema": WEATHER}],
                "messages": [
                    {"role": "user", "content": "東京の天気は？"},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": "A tool knows.", "signature": "s"},
                            {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "東京"}},
                        ],
                    },
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "晴れ"}]},
                ],
            },
            {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "晴れです。"}]},
        ),
        (
            "responses",
            {
                "instructions": "Be brief.",
                "tools": [
                    {"type": "function", "name": "weather", "description": "Ask.", "parameters": WEATHER},
                    {"type": "web_search"},
                ],
                "input": [
                    {"role": "user", "content": "東京の天気は？"},
                    {"type": "function_call", "call_id": "c", "name": "weather", "arguments": '{"city":"東京"}'},
                    {"type": "function_call_output", "call_id": "c", "output": "晴れ"},
                ],
            },
            {
                "output": [
                    {"type": "reasoning", "summary": []},
                    {
                        "type": "message",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "晴れです。"}],
                    },
                ]
            },
        ),
        (
            "generate_content",
            {
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "tools": [
                    {"functionDeclarations": [{"name": "weather", "description": "Ask.", "parameters": WEATHER}]}
                ],
                "contents": [
                    {"role": "user", "parts": [{"text": "東京の天気は？"}]},
                    {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "東京"}}}]},
                    {
                        "role": "user",
                        "parts": [{"functionResponse": {"name": "weather", "response": {"result": "晴れ"}}}],
                    },
                ],
            },
            {"candidates": [{"content": {"role": "model", "parts": [{"text": "晴れです。"}]}}]},
        ),
    ],
)
def test_every_api_is_said_in_the_same_words(operation: str, request_: Any, response: Any) -> None:
    said = as_chat(operation, request_, response)
    if operation == "generate_content":  # a result is an object there
        assert said is not None
        result: Any = said["messages"]
        assert "晴れ" in result[3]["content"]
        result[3]["content"] = "晴れ"
    assert said == WHOLE


@pytest.mark.parametrize(
    ("operation", "request_", "response"),
    [
        ("embeddings", {"input": "x"}, {"data": []}),
        ("chat", {"messages": []}, {"choices": [{"message": {"role": "assistant", "content": "x"}}]}),
        ("chat", {"messages": ["odd"]}, {"choices": [{"message": {"content": "x"}}]}),
        ("chat", None, None),
        ("messages", {"messages": [{"role": "user", "content": "x"}]}, None),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "?", "content": "x"}]}]},
            {"role": "assistant", "content": [{"type": "text", "text": "y"}]},
        ),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"data": "AAAA"}}]}]},
            {"role": "assistant", "content": [{"type": "text", "text": "y"}]},
        ),
    ],
)
def test_what_cannot_be_said_so_is_left_to_the_record(operation: str, request_: Any, response: Any) -> None:
    assert as_chat(operation, request_, response) is None


def test_chat_stays_as_it_came_but_for_what_is_no_part_of_a_message() -> None:
    picture: Any = [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
    said = as_chat(
        "chat",
        {"messages": [{"role": "user", "content": picture, "cache_control": {}}], "tools": WHOLE["tools"]},
        {"choices": [{"message": {"content": None, "tool_calls": [CALL], "annotations": [], "refusal": None}}]},
    )
    assert said == {
        "messages": [
            {"role": "user", "content": picture},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ],
        "tools": WHOLE["tools"],
    }
