"""Clients that people use, pointed at Sekisho by their own settings alone."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.instance import Instance
from tests.journeys.provider import STREAM, Answer, Provider, completion, streamed

HERE = Path(__file__).resolve().parent
BIN = HERE / "node_modules" / ".bin"
KEY = "sk-client-canary-0815"


def installed(name: str) -> Path:
    path = BIN / name
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed: npm ci in tests/clients")
        pytest.skip(f"{name} is not installed: npm ci in tests/clients")
    return path


def run(command: list[str | Path], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        command, env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), **environment}, cwd=folder,
        capture_output=True, text=True, timeout=90, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_node_sdk_streams_chat_and_responses(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed(["晴れ", "です"])
    with Instance(tmp_path, provider.url) as instance:
        environment = {"OPENAI_BASE_URL": f"{instance.url}/v1", "OPENAI_API_KEY": KEY}
        said = run([installed("node"), HERE / "chat.mjs"], environment, tmp_path)
        (record,) = instance.recorded(1)

    assert said.strip() == "晴れです"
    assert provider.received[0].header("authorization") == f"Bearer {KEY}"
    assert record["end_state"] == "complete"
    assert record["response"]["choices"][0]["message"]["content"] == "晴れです"
    assert "OpenAI/JS" in record["client"]["user_agent"]


def test_the_node_sdk_reads_unstreamed_answers_and_errors(tmp_path: Path, provider: Provider) -> None:
    script = tmp_path / "plain.mjs"
    script.write_text(
        f"""
        import OpenAI from {json.dumps(str(HERE / "node_modules/openai/index.mjs"))};
        const client = new OpenAI({{ maxRetries: 0 }});
        const reply = await client.chat.completions.create({{ model: 'gpt-4o', messages: [] }});
        console.log(reply.choices[0].message.content);
        """,
        encoding="utf-8",
    )
    provider.answer = completion("Hello from afar")
    with Instance(tmp_path, provider.url) as instance:
        environment = {"OPENAI_BASE_URL": f"{instance.url}/v1", "OPENAI_API_KEY": KEY}
        said = run([installed("node"), script], environment, tmp_path)
        (record,) = instance.recorded(1)

    assert said.strip() == "Hello from afar"
    assert record["usage"]["source"] == "provider"


def test_codex_falls_back_from_its_websocket_and_works(tmp_path: Path, provider: Provider) -> None:
    provider.answer = Answer(chunks=responses_stream("Hi from the provider"), fields=STREAM)
    home = tmp_path / "home"
    home.mkdir()
    with Instance(tmp_path, provider.url, more="websockets: refuse\n") as instance:
        base_url = f'openai_base_url="{instance.url}/v1"'
        said = run(
            [installed("codex"), "exec", "--skip-git-repo-check", "-c", base_url, "say hi"],
            {"OPENAI_API_KEY": KEY},
            home,
        )
        records = instance.recorded(2)
        instance.wait_until(lambda: any(r["end_state"] == "complete" for r in instance.records()), 8)
        records = instance.records()

    assert "Hi from the provider" in said
    refused = [r for r in records if r["decision"]["code"] == "websocket_not_supported"]
    passed = [r for r in records if r["method"] == "POST" and r["path"] == "/v1/responses"]
    assert refused
    assert passed
    assert passed[0]["end_state"] == "complete"
    assert passed[0]["response"]["output"][0]["content"][0]["text"] == "Hi from the provider"
    assert passed[0]["request"]["stream"] is True
    assert any(r.target == "/v1/responses" and len(r.body) > 10_000 for r in provider.received)


def responses_stream(text: str) -> list[bytes]:
    """A Responses stream of one message, as the API sends it."""
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    base = {"id": "resp_1", "object": "response", "created_at": 1760000000, "model": "gpt-5", "output": []}
    usage = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 3,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 8}  # fmt: skip
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**base, "status": "in_progress"}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **where, "delta": text},
        {"type": "response.output_text.done", **where, "text": text},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**base, "status": "completed", "output": [item], "usage": usage}},
    ]
    return [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': i})}\n\n".encode()
        for i, event in enumerate(events)
    ]


def test_claude_code_works_through_its_prefix(tmp_path: Path, provider: Provider) -> None:
    provider.answer = Answer(chunks=message_stream("Hi from the provider"), fields=STREAM)
    home = tmp_path / "home"
    home.mkdir()
    more = f"providers:\n  openai: {{upstream: '{provider.url}'}}\n  anthropic: {{upstream: '{provider.url}'}}\n"
    with Instance(tmp_path, provider.url, more=more) as instance:
        said = run(
            [installed("claude"), "-p", "say hi"],
            {"IS_SANDBOX": "1", "ANTHROPIC_BASE_URL": f"{instance.url}/anthropic", "ANTHROPIC_API_KEY": KEY,
             "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}, home,
        )  # fmt: skip
        instance.wait_until(lambda: any(r["operation"] == "messages" for r in instance.records()), 8)
        records = [r for r in instance.records() if r["operation"] == "messages"]

    assert "Hi from the provider" in said
    assert records[0]["end_state"] == "complete"
    assert records[0]["provider"] == "anthropic"
    assert records[0]["path"] == "/v1/messages"
    assert records[0]["query"] == "beta=true"
    assert records[0]["response"]["content"][0]["text"] == "Hi from the provider"
    assert records[0]["usage"]["input_tokens"] == 10
    posted = [r for r in provider.received if r.method == "POST"]
    assert posted[0].target.startswith("/v1/messages")
    assert posted[0].header("x-api-key") == KEY


def message_stream(text: str) -> list[bytes]:
    """An Anthropic Messages stream of one text block, as the API sends it."""
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
