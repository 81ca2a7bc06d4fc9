"""Records of our own making: Japanese, tools, refusals, hostile content; and the audit.db that holds them."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import uuid_utils

from exchange.call import Text
from exchange.principal import Principal
from exchange.record import Derived, RawBytes, Record, Seen
from exchange.reply import Usage
from storage.sqlite.driver import audit_path
from storage.sqlite.writing import AuditWriter

ANN = Principal("ann", "ann@example.com", "example.com", "own", ("eng",))
BEGUN = 1_795_000_000_000_000
EVIL = "before\x1b[2J\x1b]0;owned\x07\x9bafter\u202egnp.exe\r\x00end"


def record(
    request: Any,
    response: Any,
    *,
    operation: str = "chat",
    raw_response: bytes | None = None,
    arrivals: tuple[tuple[int, int], ...] = (),
    coding: str | None = None,
    response_type: str = "application/json",
    texts: tuple[Text, ...] = (),
    stream: bool = False,
    end_state: str = "complete",
    **seen: Any,
) -> Record:
    """One record; `seen` changes what was observed."""
    asked = json.dumps(request, ensure_ascii=False).encode()
    answered = None if response is None else json.dumps(response, ensure_ascii=False).encode()
    bytes_back = raw_response if raw_response is not None else answered or b""
    observed = Seen(
        id=uuid_utils.uuid7().hex,
        started_at=BEGUN,
        node="gw-1",
        principal=ANN,
        credential=None,
        address="127.0.0.1",
        user_agent="OpenAI/Python 3.54.0",
        mode="reverse",
        outcome="allow",
        code=None,
        rule="everyone",
        reason=None,
        policy="sha256:0",
        provider="openai",
        method="POST",
        host="api.openai.com",
        path="/v1/chat/completions",
        query=None,
        observed="response_ended",
        status=200,
        request_bytes=len(asked),
        response_bytes=len(bytes_back),
        capture_truncated=False,
        upstream_request_id="req_1",
        overhead=1_900,
        ttft=412_000,
        duration=5_120_400,
        changed=(),
    )
    return Record(
        seen=replace(observed, **seen),
        derived=Derived(
            operation=operation,  # type: ignore[arg-type]
            request_model=request.get("model") if isinstance(request, dict) else None,
            response_model="gpt-4o-2024-08-06",
            stream=stream,
            end_state=end_state,  # type: ignore[arg-type]
            usage=Usage(12, 340, 0, 0),
            usage_source="provider",
            cost_usd=0.00343,
            request=asked,
            response=answered,
            texts=texts,
        ),
        raw=RawBytes(asked, "application/json", None, bytes_back, response_type, coding, arrivals),
    )


def chat(question: str, answer: str, **more: Any) -> Record:
    """A plain chat exchange."""
    return record(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}]},
        texts=(Text("user", question), Text("answer", answer)),
        **more,
    )


def streamed(words: Iterable[str], pause: int = 20_000) -> Record:
    """A streamed chat whose pieces came `pause` microseconds apart."""
    pieces = [
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": word}}]}).encode() + b"\n\n"
        for word in words
    ]
    pieces.append(b"data: [DONE]\n\n")
    return chat(
        "Say it slowly.",
        "".join(words),
        stream=True,
        raw_response=b"".join(pieces),
        response_type="text/event-stream",
        arrivals=tuple((i * pause, len(piece)) for i, piece in enumerate(pieces)),
    )


def with_tools() -> Record:
    """The weather was asked for with a tool; the model thinks, calls again and refuses at last."""
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"東京"}'}}
    return record(
        {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "東京の天気は？"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "晴れ、25度"},
            ],
        },
        {
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "東京は晴れです。",
                        "reasoning_content": "The tool said so.",
                        "refusal": "I will not say more.",
                    },
                }
            ]
        },
        texts=(Text("tool", "晴れ、25度"), Text("answer", "東京は晴れです。")),
    )


def refused() -> Record:
    """We said no."""
    return record(
        {"model": "o3", "messages": [{"role": "user", "content": "May I?"}]},
        None,
        end_state="refused",
        outcome="deny",
        code="model_not_allowed",
        rule=None,
        reason="o3 is on no list",
        status=403,
        observed="refused",
        ttft=None,
    )


def store(data_dir: Path, *records: Record) -> list[str]:
    """Put them into audit.db; their ids."""
    writer = AuditWriter(audit_path(data_dir), reader_version=1)
    try:
        writer.store(list(records), [])
    finally:
        writer.close()
    return [one.seen.id for one in records]
