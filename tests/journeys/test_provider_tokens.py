"""Providers without a key of theirs: each request signed (AWS), or a token that is exchanged for and renewed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import httpx2
import openai
import pytest

from tests.identities.certificates import authority, server_tls
from tests.journeys.instance import GATEWAY, Instance
from tests.journeys.provider import Answer, Provider, Received
from tests.upstreams.test_google import service_account
from tests.upstreams.token_server import TokenServer, token_server, tokens

SECRET = "aws-secret-canary/47+11"
MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "はい"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    "metrics": {"latencyMs": 1},
}


def is_signed(received: Received, *, region: str = "eu-central-1") -> bool:
    """What AWS does with a request: the signature is made anew, by botocore, from what came and the secret."""
    by_name = {name.lower(): value for name, value in received.fields}
    assert len(by_name) == len(received.fields), "no field came twice"
    shown = dict(part.split("=", 1) for part in by_name["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    assert shown["Credential"].startswith("AKIDEXAMPLE/")
    covered = shown["SignedHeaders"].split(";")
    assert {"host", "content-type", *(n for n in by_name if n.startswith("x-amz-"))} <= {*covered}
    request = botocore.awsrequest.AWSRequest(
        method=received.method, url=f"https://{by_name['host']}{received.target}", data=received.body
    )
    for name in covered:
        request.headers.add_header(name, by_name[name])
    request.context["timestamp"] = by_name["x-amz-date"]
    pair = botocore.credentials.Credentials("AKIDEXAMPLE", SECRET)
    auth = botocore.auth.SigV4Auth(pair, "bedrock", region)
    made: str = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return made == shown["Signature"]


def signing(tmp_path: Path, provider: Provider, lane: str) -> Instance:
    (tmp_path / "id").write_text("AKIDEXAMPLE\n")
    (tmp_path / "secret").write_text(SECRET + "\n")
    provider.answer = Answer(chunks=[json.dumps(CONVERSE).encode()], sized=True)
    more = f"""
providers:
  bedrock:
    upstream: '{provider.url}'
    auth:
      kind: aws_sigv4
      region: eu-central-1
      access_key_id: {{file: {tmp_path}/id}}
      secret_access_key: {{file: {tmp_path}/secret}}
"""
    return Instance(tmp_path, provider.url, lane=lane, more=more)


@pytest.fixture
def bedrock(tmp_path: Path, provider: Provider, lane: str) -> Iterator[Instance]:
    with signing(tmp_path, provider, lane) as instance:
        yield instance


def converse(instance: Instance, text: str) -> dict[str, Any]:
    """Through the official SDK, which signs too: for our address, with keys of its own."""
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=instance.url,
        region_name="us-east-1",
        aws_access_key_id="theirs-canary",
        aws_secret_access_key="theirs",
        aws_session_token="theirs-session-canary",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )
    answer: dict[str, Any] = client.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": text}]}])
    return answer


@pytest.mark.parametrize("text", ["天気は？", "関所" * 200_000], ids=["small", "large"])
def test_what_reaches_bedrock_is_signed_by_us_byte_for_byte(bedrock: Instance, provider: Provider, text: str) -> None:
    answer = converse(bedrock, text)
    (record,) = bedrock.recorded(1)

    assert answer["output"]["message"]["content"] == [{"text": "はい"}]
    (received,) = provider.received
    assert json.loads(received.body)["messages"][0]["content"] == [{"text": text}]
    assert is_signed(received)
    assert b"theirs" not in provider.raw[0]
    assert (record["status"], record["end_state"]) == (200, "complete")
    assert SECRET.encode() not in bedrock.on_disk()


def test_odd_targets_are_signed_as_they_go_out(bedrock: Instance, provider: Provider) -> None:
    targets = [
        f"/model/{MODEL}/invoke",
        f"/model/{MODEL.replace(':', '%3A')}/invoke?b=2&a=%20x&a=1&empty=&c",
        "/model/arn%3Aaws%3Abedrock%3Aeu%2Fx~y/invoke",
        "/model/a+b(c)/invoke",
    ]
    for target in targets:
        httpx2.post(f"{bedrock.url}{target}", json={"x": 1}, headers={"x-amzn-bedrock-trace": "ENABLED   x"})

    assert [received.target for received in provider.received] == targets
    assert [is_signed(received) for received in provider.received] == [True] * len(targets)


@pytest.mark.parametrize("lane", ["express"])
def test_a_request_without_a_body_is_signed(bedrock: Instance, provider: Provider, lane: str) -> None:
    httpx2.get(f"{bedrock.url}/async-invoke?maxResults=5", headers={"content-type": "application/json"})

    (received,) = provider.received
    assert is_signed(received)


@pytest.fixture
def issuing() -> Iterator[TokenServer]:
    with token_server() as server:
        yield server


def test_a_token_is_exchanged_for_and_shown_and_without_one_nothing_goes_upstream(
    tmp_path: Path, provider: Provider, issuing: TokenServer, lane: str
) -> None:
    (tmp_path / "subject").write_text("subject-canary")
    more = f"""
providers:
  openai:
    upstream: '{provider.url}'
    auth: {{kind: token_exchange, token_url: '{issuing.url()}', subject_token: {{file: {tmp_path}/subject}}}}
"""
    with Instance(tmp_path, provider.url, lane=lane, more=more) as instance:
        body = {"model": "gpt-4o", "messages": []}
        refused = httpx2.post(f"{instance.url}/v1/chat/completions", json=body)
        (record,) = instance.recorded(1)
        status = instance.sekisho("status").stdout
        issuing.answer = tokens()
        instance.wait_until(
            lambda: httpx2.post(f"{instance.url}/v1/chat/completions", json=body).status_code == 200, 30
        )

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    assert refused.json()["error"]["code"] == "upstream_credential_unavailable"
    assert "was refused by" in record["decision"]["reason"]
    assert "openai token_exchange: missing" in status
    (received,) = provider.received
    assert received.header("authorization") == "Bearer token-1"
    for secret in (b"token-1", b"subject-canary"):
        assert secret not in instance.on_disk()


def test_in_a_gateway_the_official_sdk_shows_its_identity_as_a_bedrock_key(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.answer = Answer(chunks=[json.dumps(CONVERSE).encode()], sized=True)
    rules = """
identity:
  domains: [example.com]
  issuers: [{name: own, kind: own_token}]
policies:
  rules: [{name: everyone, models: ["anthropic.*"], operations: [chat, messages, other]}]
"""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    more = f"""
providers:
  openai: {{upstream: '{provider.url}'}}
  bedrock: {{upstream: '{provider.url}', auth: {{kind: aws_sigv4, region: eu-central-1}}}}
"""
    trusted = authority(tmp_path)
    server_tls(tmp_path, "localhost")
    tls = tmp_path / "localhost.pem"
    with Instance(tmp_path, provider.url, profile="gateway", more=more + rules, tls=tls) as gateway:
        token = gateway.mint("ann@example.com")
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"{gateway.url}/bedrock")
        client = boto3.client("bedrock-runtime", region_name="us-east-1", verify=str(trusted))
        client.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "天気は？"}]}])
        (record,) = gateway.recorded(1)

    (received,) = provider.received
    assert is_signed(received)
    assert token.encode() not in provider.raw[0]
    assert record["principal"]["email"] == "ann@example.com"


def test_in_a_gateway_azure_gets_the_token_in_place_of_the_callers_identity(
    tmp_path: Path, provider: Provider, issuing: TokenServer
) -> None:
    issuing.answer = tokens()
    (tmp_path / "subject").write_text("subject")
    more = f"""
providers:
  openai: {{upstream: '{provider.url}'}}
  azure:
    upstream: '{provider.url}'
    auth: {{kind: token_exchange, token_url: '{issuing.url()}', subject_token: {{file: {tmp_path}/subject}}}}
{GATEWAY}
"""
    with Instance(tmp_path, provider.url, profile="gateway", more=more) as gateway:
        sdk = openai.AzureOpenAI(
            azure_endpoint=f"{gateway.url}/azure",
            api_key=gateway.mint("ann@example.com"),
            api_version="2026-01-01",
            max_retries=0,
        )
        sdk.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "天気は？"}])

    (received,) = provider.received
    assert received.target == "/openai/deployments/gpt-4o/chat/completions?api-version=2026-01-01"
    assert received.header("authorization") == "Bearer token-1"
    assert received.header("api-key") is None


def test_vertex_gets_googles_token_from_the_official_library(
    tmp_path: Path, provider: Provider, issuing: TokenServer
) -> None:
    issuing.answer = tokens()
    reply = {"candidates": [{"content": {"role": "model", "parts": [{"text": "はい"}]}, "finishReason": "STOP"}]}
    provider.answer = Answer(chunks=[json.dumps(reply).encode()], sized=True)
    file = service_account(issuing, tmp_path / "sa.json")
    more = f"""
providers:
  openai: {{upstream: '{provider.url}'}}
  vertex:
    dialect: gemini
    upstream: '{provider.url}'
    auth: {{kind: google, credentials_file: {file}, quota_project: my-project}}
"""
    path = "/v1/projects/p/locations/europe-west4/publishers/google/models/gemini-2.5-pro:generateContent"
    with Instance(tmp_path, provider.url, more=more) as instance:
        answer = httpx2.post(f"{instance.url}/vertex{path}", json={"contents": [{"parts": [{"text": "天気は？"}]}]})
        (record,) = instance.recorded(1)

    assert answer.json() == reply
    (received,) = provider.received
    assert received.target == path
    assert received.header("authorization") == "Bearer token-1"
    assert received.header("x-goog-user-project") == "my-project"
    assert (record["request_model"], record["end_state"]) == ("gemini-2.5-pro", "complete")
