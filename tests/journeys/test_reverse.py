"""Reverse mode: OPENAI_BASE_URL points at us, and nothing else changes."""

import json
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.journeys.instance import Instance
from tests.journeys.provider import STREAM, Answer, Provider, completion, failure, sse, streamed

KEY = "sk-caller-canary-0815"
WORDS = ["こんにちは", "、", "元気", "です", "か", "？"]


def client(instance: Instance, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{instance.url}/v1", api_key=KEY, max_retries=0, timeout=20, **more)


def ask(sdk: openai.OpenAI, **more: Any) -> Any:
    return sdk.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "天気は？"}], **more)


def test_a_chat_completion_passes_and_is_on_record(tmp_path: Path, provider: Provider, lane: str) -> None:
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        reply = ask(client(instance))
        (record,) = instance.recorded(1)

    assert reply.choices[0].message.content == "Hello!"
    (received,) = provider.received
    assert (received.method, received.target) == ("POST", "/v1/chat/completions")
    assert received.header("authorization") == f"Bearer {KEY}"
    assert received.header("host") == f"127.0.0.1:{provider.port}"
    assert json.loads(received.body) == record["request"]
    assert record["response"]["choices"][0]["message"]["content"] == "Hello!"
    assert record["end_state"] == "complete"
    assert record["status"] == 200
    assert record["operation"] == "chat"
    assert record["stream"] is False
    assert (record["usage"]["input_tokens"], record["usage"]["output_tokens"]) == (12, 7)
    assert record["usage"]["source"] == "provider"
    assert record["upstream_request_id"] == "req_test"
    assert record["principal"]["issuer"] == "local"
    assert record["decision"]["outcome"] == "allow"
    assert record["client"]["mode"] == "reverse"
    assert record["client"]["user_agent"].startswith("OpenAI/Python")
    assert record["cost_usd"] == pytest.approx(12 * 2.5e-6 + 7 * 1e-5)
    assert record["request_bytes"] == len(received.body)
    assert record["raw"] == "kept"


def test_words_reach_the_caller_as_the_provider_says_them(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = streamed(WORDS, pause=0.15)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        times: list[float] = []
        said = ""
        for chunk in ask(client(instance), stream=True, stream_options={"include_usage": True}):
            if chunk.choices and chunk.choices[0].delta.content:
                said += chunk.choices[0].delta.content
                times.append(time.monotonic())
        (record,) = instance.recorded(1)

    assert said == "".join(WORDS)
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert min(gaps) > 0.05, "the words came in a heap"
    assert record["response"]["object"] == "chat.completion"
    assert record["response"]["choices"][0]["message"]["content"] == said
    assert record["response"]["usage"]["total_tokens"] == 19
    assert record["stream"] is True
    assert record["end_state"] == "complete"
    assert record["timing"]["ttft_ms"] < record["timing"]["duration_ms"]


def test_a_responses_stream_becomes_its_response(tmp_path: Path, provider: Provider, lane: str) -> None:
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    final = {**_response("completed"), "output": [{**item, "content": [_part("Hi there")]}]}
    events = [
        {"type": "response.created", "response": _response("in_progress"), "sequence_number": 0},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []},
         "sequence_number": 1},
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "item_id": "msg_1",
         "part": _part(""), "sequence_number": 2},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "msg_1",
         "delta": "Hi there", "logprobs": [], "sequence_number": 3},
        {"type": "response.completed", "response": final, "sequence_number": 4},
    ]  # fmt: skip
    lines = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
    provider.answer = Answer(chunks=lines, fields=STREAM)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        stream = client(instance).responses.create(model="gpt-4o", input="hi", stream=True)
        kinds = [event.type for event in stream]
        (record,) = instance.recorded(1)

    assert kinds[-1] == "response.completed"
    assert record["operation"] == "responses"
    assert record["response"] == final
    assert record["usage"]["input_tokens"] == 5
    assert record["end_state"] == "complete"


def _response(status: str) -> dict[str, Any]:
    usage = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8,
             "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    return {"id": "resp_1", "object": "response", "created_at": 1760000000, "status": status, "model": "gpt-4o",
            "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": usage if status == "completed" else None}  # fmt: skip


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def test_tool_calls_and_several_choices_are_put_together(tmp_path: Path, provider: Provider, lane: str) -> None:
    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o",
                "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}  # fmt: skip

    def call(arguments: str, **first: Any) -> dict[str, Any]:
        return {
            "tool_calls": [
                {"index": 0, **first, "function": {**({"name": "weather"} if first else {}), "arguments": arguments}}
            ]
        }

    provider.answer = Answer(
        chunks=sse(
            chunk(1, {"role": "assistant", "content": "B"}),
            chunk(0, {"role": "assistant", **call("", id="call_1", type="function")}),
            chunk(0, call('{"city":')),
            chunk(1, {"content": "!"}, "stop"),
            chunk(0, call('"東京"}'), "tool_calls"),
        ),
        fields=STREAM,
    )
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        list(ask(client(instance), stream=True, n=2))
        (record,) = instance.recorded(1)

    first, second = record["response"]["choices"]
    assert first["message"]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"東京"}'}}
    ]
    assert first["finish_reason"] == "tool_calls"
    assert second["message"]["content"] == "B!"


@pytest.mark.parametrize(("status", "more"), [(400, ()), (401, ()), (429, (("retry-after", "7"),)), (500, ())])
def test_errors_of_the_provider_pass_as_they_are(
    tmp_path: Path, provider: Provider, lane: str, status: int, more: tuple[tuple[str, str], ...]
) -> None:
    provider.answer = failure(status, "some_code", fields=more)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        with pytest.raises(openai.APIStatusError) as raised:
            ask(client(instance))
        (record,) = instance.recorded(1)

    assert raised.value.status_code == status
    assert raised.value.code == "some_code"
    if more:
        assert raised.value.response.headers["retry-after"] == "7"
    assert record["status"] == status
    assert record["end_state"] == "upstream_error"
    assert record["response"]["error"]["code"] == "some_code"


def test_a_body_of_ten_megabytes_arrives_byte_for_byte(tmp_path: Path, provider: Provider, lane: str) -> None:
    text = "長い文章。" * 700_000
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        client(instance).chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])
        (record,) = instance.recorded(1)

    (received,) = provider.received
    assert len(received.body) > 10_000_000
    assert json.loads(received.body)["messages"][0]["content"] == text
    assert record["request_bytes"] == len(received.body)
    assert record["request"]["messages"][0]["content"] == text


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_compressed_stream_passes_untouched_and_is_understood(
    tmp_path: Path, provider: Provider, lane: str, coding: str
) -> None:
    packed = _packed(b"".join(streamed(WORDS).chunks), coding)
    fields = (*STREAM, ("content-encoding", coding))
    provider.answer = Answer(chunks=[packed[i : i + 11] for i in range(0, len(packed), 11)], fields=fields)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        body = json.dumps({"model": "gpt-4o", "stream": True, "messages": []}).encode()
        got, headers = _raw_post(instance, body)
        (record,) = instance.recorded(1)

    assert got == packed
    assert headers["content-encoding"] == coding
    assert record["response"]["choices"][0]["message"]["content"] == "".join(WORDS)
    assert record["response_bytes"] == len(packed)


def _packed(raw: bytes, coding: str) -> bytes:
    import gzip

    import brotli
    import zstandard

    if coding == "gzip":
        return gzip.compress(raw, mtime=0)
    return bytes(brotli.compress(raw)) if coding == "br" else zstandard.compress(raw)


def _raw_post(instance: Instance, body: bytes) -> tuple[bytes, dict[str, str]]:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=20)
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    response = connection.getresponse()
    got = response.read()
    connection.close()
    return got, {name.lower(): value for name, value in response.getheaders()}


def test_query_and_unknown_paths_pass_on_a_laptop_and_secrets_in_the_query_are_not_kept(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    provider.answer = Answer(chunks=[b'{"ok": true}'], sized=True)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        answer = httpx2.get(f"{instance.url}/v1/unheard/of?a=1&api_key=sk-in-query-canary&b=%20x")
        (record,) = instance.recorded(1)
        disk = instance.on_disk()

    assert answer.json() == {"ok": True}
    assert provider.received[0].target == "/v1/unheard/of?a=1&api_key=sk-in-query-canary&b=%20x"
    assert record["operation"] == "other"
    assert record["path"] == "/v1/unheard/of"
    assert record["query"] == "a=1&api_key=…&b=%20x"
    assert b"sk-in-query-canary" not in disk


def test_other_providers_answer_under_their_prefix(tmp_path: Path, provider: Provider, lane: str) -> None:
    groq = f"groq: {{dialect: openai, upstream: '{provider.url}/openai'}}"
    more = f"providers:\n  openai: {{upstream: '{provider.url}'}}\n  {groq}\n"
    with Instance(tmp_path, provider.url, lane=lane, more=more) as instance:
        sdk = openai.OpenAI(base_url=f"{instance.url}/groq/v1", api_key=KEY, max_retries=0)
        ask(sdk)
        (record,) = instance.recorded(1)

    assert provider.received[0].target == "/openai/v1/chat/completions"
    assert record["provider"] == "groq"
    assert record["operation"] == "chat"
    assert record["path"] == "/v1/chat/completions"


def test_a_websocket_is_refused_so_that_clients_fall_back(tmp_path: Path, provider: Provider, lane: str) -> None:
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "x" * 22 + "==",
    }
    with Instance(tmp_path, provider.url, lane=lane, more="websockets: refuse\n") as instance:
        answer = httpx2.get(f"{instance.url}/v1/responses", headers=headers)
        (record,) = instance.recorded(1)

    assert answer.status_code == 426
    assert answer.json()["error"]["code"] == "websocket_not_supported"
    assert provider.received == []
    assert record["end_state"] == "refused"


def test_provider_keys_of_callers_are_nowhere_on_disk_but_group_by_a_hash(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        ask(client(instance))
        ask(client(instance))
        ask(openai.OpenAI(base_url=f"{instance.url}/v1", api_key="sk-another-canary", max_retries=0))
        records = instance.recorded(3)
        running = instance.on_disk()
    stopped = instance.on_disk()

    names = [record["client"]["credential"] for record in records]
    assert names[0] == names[1] != names[2]
    for secret in (KEY.encode(), b"sk-another-canary"):
        assert secret not in running
        assert secret not in stopped


def test_many_callers_at_once_each_get_their_own_answer(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = streamed(WORDS, pause=0.02)
    said: list[str] = []
    with Instance(tmp_path, provider.url, lane=lane) as instance:

        def call() -> None:
            chunks = ask(client(instance), stream=True)
            said.append("".join(c.choices[0].delta.content or "" for c in chunks if c.choices))

        threads = [threading.Thread(target=call) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        records = instance.recorded(20)

    assert said == ["".join(WORDS)] * 20
    assert len({record["id"] for record in records}) == 20
    assert {record["end_state"] for record in records} == {"complete"}


def test_a_laptop_never_refuses_a_request_for_its_body(tmp_path: Path, provider: Provider, lane: str) -> None:
    bodies = [b"\xff\xfe", b'{"model": "a", "model": "b"}', b"", b"[1, 2", b'{"x": NaN}', b"[" * 3000]
    provider.answer = completion()
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        for body in bodies:
            _raw_post(instance, body)
        records = instance.recorded(len(bodies))

    assert [received.body for received in provider.received] == bodies
    assert all(record["end_state"] == "complete" for record in records)
