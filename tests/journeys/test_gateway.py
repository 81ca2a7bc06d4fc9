"""The gateway profile: nobody unknown passes, nothing passes that is not allowed, and both are on record."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.journeys.instance import GATEWAY, PROVIDER_KEY, Instance
from tests.journeys.provider import Provider, streamed

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "天気は？"}]}


@pytest.fixture
def gateway(tmp_path: Path, provider: Provider, lane: str) -> Iterator[Instance]:
    with Instance(tmp_path, provider.url, lane=lane, profile="gateway", more=GATEWAY) as instance:
        yield instance


def post(
    instance: Instance, headers: dict[str, str], body: object = BODY, path: str = "/v1/chat/completions"
) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.post(
        f"{instance.url}{path}", content=content, headers={"content-type": "application/json", **headers}
    )


def test_a_valid_token_passes_is_taken_off_and_the_providers_key_is_put_in(
    gateway: Instance, provider: Provider
) -> None:
    provider.answer = streamed(["Hi", "!"])
    token = gateway.mint("Ann@Example.com")
    sdk = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=token, max_retries=0)

    said = [c.choices[0].delta.content for c in sdk.chat.completions.create(**BODY, stream=True) if c.choices]  # type: ignore[call-overload] # a plain dict
    (record,) = gateway.recorded(1)

    assert "".join(filter(None, said)) == "Hi!"
    (received,) = provider.received
    assert received.header("authorization") == f"Bearer {PROVIDER_KEY}"
    assert token.encode() not in provider.raw[0]
    assert record["principal"]["email"] == "ann@example.com"
    assert record["principal"]["domain"] == "example.com"
    assert record["principal"]["issuer"] == "own"
    assert record["decision"] == {
        "outcome": "allow", "code": None, "rule": "everyone", "reason": None, "policy": record["decision"]["policy"]
    }  # fmt: skip
    assert record["decision"]["policy"].startswith("sha256:")


def test_without_identity_the_answer_is_401_in_openais_shape_and_the_provider_sees_nothing(
    gateway: Instance, provider: Provider
) -> None:
    with pytest.raises(openai.AuthenticationError) as raised:
        openai.OpenAI(
            base_url=f"{gateway.url}/v1", api_key="sk-not-an-identity", max_retries=0
        ).chat.completions.create(**BODY)  # type: ignore[call-overload] # a plain dict
    (record,) = gateway.recorded(1)

    assert raised.value.code == "missing_identity"
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert provider.raw == []
    assert record["end_state"] == "refused"
    assert record["status"] == 401
    assert record["decision"]["outcome"] == "deny"
    assert record["decision"]["code"] == "missing_identity"
    assert record["principal"] is None
    assert record["response"] is None


@pytest.mark.parametrize(
    ("email", "body", "path", "status", "code"),
    [
        ("eve@evilexample.com", BODY, "/v1/chat/completions", 403, "domain_not_allowed"),
        ("ann@example.com", {**BODY, "model": "o3"}, "/v1/chat/completions", 403, "model_not_allowed"),
        ("ann@example.com", {"model": "gpt-4o", "input": "x"}, "/v1/embeddings", 403, "operation_not_allowed"),
        ("ann@example.com", {"model": "gpt-4o"}, "/v1/fine_tuning/jobs", 403, "path_not_allowed"),
        ("ann@example.com", b'{"model":"gpt-4o","model":"o3"}', "/v1/chat/completions", 400, "duplicate_json_key"),
    ],
)
def test_what_may_not_pass_is_refused_and_recorded_with_who_and_why(
    gateway: Instance, provider: Provider, email: str, body: Any, path: str, status: int, code: str
) -> None:
    answer = post(gateway, {"authorization": f"Bearer {gateway.mint(email)}"}, body, path)
    (record,) = gateway.recorded(1)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert provider.raw == []
    assert record["end_state"] == "refused"
    assert record["status"] == status
    assert record["decision"]["code"] == code
    assert record["response"] is None
    if code != "domain_not_allowed":
        assert record["principal"]["email"] == email


def test_cookies_and_identity_headers_never_go_upstream(gateway: Instance, provider: Provider) -> None:
    headers = {
        "authorization": f"Bearer {gateway.mint('ann@example.com')}",
        "cookie": "session=cookie-canary",
        "proxy-authorization": "Basic cHJveHk6Y2FuYXJ5",
        "x-forwarded-email": "root@example.com",
        "x-stainless-lang": "python",
    }

    assert post(gateway, headers).status_code == 200
    names = {name.lower() for name, _ in provider.received[0].fields}
    assert not {"cookie", "proxy-authorization", "x-forwarded-email"} & names
    assert "x-stainless-lang" in names


def test_keys_and_tokens_are_nowhere_on_disk(gateway: Instance, provider: Provider) -> None:
    token = gateway.mint("ann@example.com")
    for _ in range(3):
        post(gateway, {"authorization": f"Bearer {token}", "cookie": "session=cookie-canary"})
    post(gateway, {"authorization": "Bearer sk-stray-canary"})
    gateway.recorded(4)
    running = gateway.on_disk()
    gateway.stop()

    for secret in (PROVIDER_KEY, token, "cookie-canary", "sk-stray-canary"):
        assert secret.encode() not in running
        assert secret.encode() not in gateway.on_disk()


def test_the_record_is_searched_in_japanese_newest_first(gateway: Instance, provider: Provider) -> None:
    headers = {"authorization": f"Bearer {gateway.mint('ann@example.com')}"}
    for question in ("東京の天気を教えて", "京都の紅葉", "weather in Tokyo", "大阪の天気"):
        post(gateway, headers, {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]})
    gateway.recorded(4)

    def found(words: str) -> list[str]:
        lines = gateway.sekisho("search", words, "--json").stdout.splitlines()
        return [json.loads(line)["request"]["messages"][0]["content"] for line in lines]

    assert found("天気") == ["大阪の天気", "東京の天気を教えて"]
    assert found("京") == ["京都の紅葉", "東京の天気を教えて"]
    assert found("京都の紅葉") == ["京都の紅葉"]
    assert found("tokyo") == ["weather in Tokyo"]


def test_who_is_revoked_is_refused_within_seconds_also_on_an_open_connection(
    gateway: Instance, provider: Provider
) -> None:
    ann, bob = gateway.mint("ann@example.com"), gateway.mint("bob@example.com")
    with httpx2.Client(base_url=gateway.url, headers={"content-type": "application/json"}) as client:

        def status(token: str) -> int:
            answer = client.post(
                "/v1/chat/completions", content=json.dumps(BODY), headers={"authorization": f"Bearer {token}"}
            )
            return answer.status_code

        assert (status(ann), status(bob)) == (200, 200)
        done = gateway.sekisho("identity", "revoke", "--person", "ann@example.com", "--reason", "left")
        assert done.returncode == 0, done.stderr
        gateway.wait_until(lambda: status(ann) == 401)
        forwarded = len(provider.received)
        assert (status(ann), status(bob)) == (401, 200)
        assert len(provider.received) == forwarded + 1
        assert gateway.sekisho("identity", "revoke", "--undo", "--person", "ann@example.com").returncode == 0
        gateway.wait_until(lambda: status(ann) == 200)
