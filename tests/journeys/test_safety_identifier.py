"""`safety_identifier`: the provider can tell callers apart, and not who they are; the record keeps what was sent."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.journeys.instance import Instance
from tests.journeys.provider import Provider

_MORE = """
providers:
  openai: {{upstream: '{upstream}', api_key: {{env: JOURNEY_KEY}}, safety_identifier: true}}
  other: {{upstream: '{upstream}', api_key: {{env: JOURNEY_KEY}}, dialect: openai}}
identity:
  domains: [example.com]
  issuers: [{{name: own, kind: own_token}}]
policies:
  rules: [{{name: everyone, operations: [chat, responses, embeddings]}}]
"""
BODY = b'{"model":"gpt-4o",  "messages":[{"role":"user","content":"\\u5929\xe6\xb0\x97"}],"temperature":1.0}'


@pytest.fixture
def gateway(tmp_path: Path, provider: Provider, lane: str) -> Iterator[Instance]:
    more = _MORE.format(upstream=provider.url)
    with Instance(tmp_path, provider.url, lane=lane, profile="gateway", more=more) as instance:
        yield instance


def ask(
    instance: Instance, token: str, body: Any = BODY, path: str = "/v1/chat/completions", **more: str
) -> httpx2.Response:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"} | more
    return httpx2.post(f"{instance.url}{path}", content=body, headers=headers, timeout=30)


def put_in(sent: bytes, received: bytes) -> str:
    """The identifier, when it and nothing else is new."""
    found: str = json.loads(received)["safety_identifier"]
    member = f'"safety_identifier":"{found}",'.encode()
    assert received == sent[:1] + member + sent[1:]
    assert len(found) == 64
    return found


def test_each_person_has_an_identifier_of_their_own_and_keeps_it(gateway: Instance, provider: Provider) -> None:
    ann, bob = gateway.mint("ann@example.com"), gateway.mint("bob@example.com")
    for token in (ann, bob, ann):
        assert ask(gateway, token).status_code == 200
    gateway.stop()
    gateway.start()
    again = gateway.mint("ann@example.com")
    assert ask(gateway, again, path="/v1/responses", body=b'{"model":"gpt-4o","input":"x"}').status_code == 200

    first, second, third = (put_in(BODY, one.body) for one in provider.received[:3])
    assert first == third != second
    assert put_in(b'{"model":"gpt-4o","input":"x"}', provider.received[3].body) == first
    key = gateway.data_dir / "keys" / "safety-identifier.key"
    assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)


def test_the_record_keeps_what_the_caller_sent_and_says_what_was_changed(gateway: Instance, provider: Provider) -> None:
    sdk = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.mint("ann@example.com"), max_retries=0)
    sdk.chat.completions.create(model="gpt-4o", messages=[], safety_identifier="somebody-else", extra_body={"a": 1})
    (record,) = gateway.recorded(1)
    (received,) = provider.received
    forwarded = json.loads(received.body)
    assert record["changed"] == ["safety_identifier"]
    assert record["request"]["safety_identifier"] == "somebody-else"
    assert record["request"] | {"safety_identifier": forwarded["safety_identifier"]} == forwarded
    assert b"somebody-else" not in received.body
    shown = gateway.sekisho("show", record["id"], "--raw", "request")
    assert json.loads(shown.stdout)["safety_identifier"] == "somebody-else"
    assert record["request_bytes"] == len(shown.stdout.encode())


def test_a_body_in_chunks_and_a_large_one_carry_it_too(gateway: Instance, provider: Provider) -> None:
    token = gateway.mint("ann@example.com")
    assert ask(gateway, token, body=iter([BODY[:10], BODY[10:]])).status_code == 200
    large = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "長い " * 200_000}]}).encode()
    assert ask(gateway, token, body=large).status_code == 200
    small, big = provider.received
    assert put_in(BODY, small.body) == put_in(large, big.body)


def test_what_takes_none_goes_on_as_it_came(gateway: Instance, provider: Provider) -> None:
    token = gateway.mint("ann@example.com")
    embedding = b'{"model":"text-embedding-3-small","input":"x","safety_identifier":"mine"}'
    assert ask(gateway, token, body=embedding, path="/v1/embeddings").status_code == 200
    assert ask(gateway, token, path="/other/v1/chat/completions").status_code == 200
    assert ask(gateway, token, body=b'{"model":"gpt-4o"}', path="/v1/responses/input_tokens").status_code == 200
    assert [one.body for one in provider.received] == [embedding, BODY, b'{"model":"gpt-4o"}']
    assert [record["changed"] for record in gateway.recorded(3)] == [[], [], []]


def test_a_compressed_body_is_refused_for_it_may_hold_one_that_the_caller_made_up(
    gateway: Instance, provider: Provider
) -> None:
    answer = ask(gateway, gateway.mint("ann@example.com"), body=gzip.compress(BODY), **{"content-encoding": "gzip"})
    (record,) = gateway.recorded(1)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "content_encoding_not_supported")
    assert "safety_identifier" in record["decision"]["reason"]
    assert record["changed"] == []
    assert provider.received == []


def test_a_laptop_refuses_no_body_and_leaves_a_compressed_one_alone(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    more = f"providers:\n  openai: {{upstream: '{provider.url}', safety_identifier: true}}\n"
    packed = gzip.compress(BODY)
    with Instance(tmp_path, provider.url, lane=lane, more=more) as instance:
        assert ask(instance, "sk-x").status_code == 200
        assert ask(instance, "sk-x", body=packed, **{"content-encoding": "gzip"}).status_code == 200
        assert ask(instance, "sk-x", body=b"{broken").status_code == 200
        changed = [record["changed"] for record in instance.recorded(3)]
    put_in(BODY, provider.received[0].body)
    assert [one.body for one in provider.received[1:]] == [packed, b"{broken"]
    assert changed == [["safety_identifier"], [], []]
