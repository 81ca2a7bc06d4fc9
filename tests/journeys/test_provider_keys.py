"""Provider keys: several, chosen by caller and time, changed without a restart, replaced when the provider refuses."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import openai
import pytest

from tests.journeys.instance import Instance
from tests.journeys.provider import Answer, Provider, Received, completion, failure, streamed

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "天気は？"}]}

RULES = """
identity:
  domains: [example.com, sub.example.com]
  issuers: [{name: own, kind: own_token}]
policies:
  rules:
    - {name: research, models: ["o3"], operations: [chat]}
    - {name: everyone, models: ["gpt-4o*"], operations: [chat]}
"""


class Keys:
    """Files of keys, and a provider that answers 401 to the keys in `refused`, each in its own words."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        self.folder = folder
        self.provider = provider
        self.refused: set[str] = set()
        self.passes: Answer = completion()
        provider.choose = self._answer

    def put(self, name: str, key: str) -> Path:
        beside = self.folder / f"{name}.new"
        beside.write_text(key + "\n")
        beside.replace(self.folder / name)
        return self.folder / name

    def _answer(self, received: Received) -> Answer:
        key = self.of(received)
        return failure(401, f"refused_{self.shown.index(key)}") if key in self.refused else self.passes

    @staticmethod
    def of(received: Received) -> str:
        return (received.header("authorization") or "").removeprefix("Bearer ")

    @property
    def shown(self) -> list[str]:
        """The keys that the provider was shown, in order."""
        return [self.of(received) for received in self.provider.received]


@pytest.fixture
def keys(tmp_path: Path, provider: Provider) -> Keys:
    return Keys(tmp_path, provider)


def started(keys: Keys, lane: str) -> Instance:
    """A gateway with an old key and a new one."""
    old, new = keys.put("old", "sk-old-canary"), keys.put("new", "sk-new-canary")
    providers = f"""
providers:
  openai:
    upstream: '{keys.provider.url}'
    keys:
      - {{label: old, secret: {{file: {old}}}}}
      - {{label: new, secret: {{file: {new}}}, from: 2026-01-01}}
"""
    return Instance(keys.folder, keys.provider.url, profile="gateway", lane=lane, more=providers + RULES)


@pytest.fixture
def gateway(keys: Keys, lane: str) -> Iterator[Instance]:
    with started(keys, lane) as instance:
        yield instance


def ask(instance: Instance, token: str, body: object = BODY) -> httpx2.Response:
    return httpx2.post(
        f"{instance.url}/v1/chat/completions",
        content=json.dumps(body).encode(),
        headers={"content-type": "application/json", "authorization": f"Bearer {token}"},
        timeout=30,
    )


def test_a_new_key_in_the_file_is_used_without_a_restart(gateway: Instance, keys: Keys) -> None:
    token = gateway.mint("ann@example.com")
    assert ask(gateway, token).status_code == 200
    keys.put("new", "sk-newer-canary")

    def is_used() -> bool:
        assert ask(gateway, token).status_code == 200
        return keys.shown[-1] == "sk-newer-canary"

    gateway.wait_until(is_used)
    assert keys.shown[0] == "sk-new-canary"
    log = gateway.log.read_text()
    assert "a new key is in use" in log
    assert b"canary" not in gateway.on_disk()


def states_of(gateway: Instance) -> dict[str, str]:
    """As `sekisho status` has them: by label."""
    keys = json.loads(gateway.sekisho("status", "--json").stdout)["provider_keys"]
    return {key["label"]: key["state"] for key in keys}


def test_a_refused_key_is_replaced_by_the_next_and_the_caller_sees_only_the_second_answer(
    gateway: Instance, keys: Keys
) -> None:
    keys.refused = {"sk-new-canary"}
    keys.passes = streamed(["Hi", "!"])
    token = gateway.mint("ann@example.com")
    sdk = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=token, max_retries=0)

    said = [c.choices[0].delta.content for c in sdk.chat.completions.create(**BODY, stream=True) if c.choices]  # type: ignore[call-overload] # a plain dict

    assert "".join(filter(None, said)) == "Hi!"
    assert keys.shown == ["sk-new-canary", "sk-old-canary"]
    first, second = keys.provider.raw
    assert first.replace(b"sk-new-canary", b"sk-old-canary") == second  # the very same request but for the key
    (record,) = gateway.recorded(1)
    assert (record["status"], record["end_state"]) == (200, "complete")
    assert record["response"]["choices"][0]["message"]["content"] == "Hi!"

    ask(gateway, token)
    assert keys.shown[2:] == ["sk-old-canary"]  # nor is the refused one tried again with each call

    (alert,) = [line for line in gateway.log.read_text().splitlines() if "ALERT" in line]
    assert "key new" in alert
    expected = {"new": "refused", "old": "ready"}
    gateway.wait_until(lambda: states_of(gateway) == expected)
    assert "the provider answers 401" in gateway.sekisho("status").stdout
    assert b"canary" not in gateway.on_disk()


def test_a_valid_key_in_its_place_is_used_again(gateway: Instance, keys: Keys) -> None:
    keys.refused = {"sk-new-canary"}
    token = gateway.mint("ann@example.com")
    ask(gateway, token)
    keys.put("new", "sk-newer-canary")

    gateway.wait_until(lambda: ask(gateway, token).is_success and keys.shown[-1] == "sk-newer-canary")


def test_when_no_key_helps_the_caller_gets_the_second_answer_as_it_came(gateway: Instance, keys: Keys) -> None:
    keys.refused = {"sk-new-canary", "sk-old-canary"}
    answer = ask(gateway, gateway.mint("ann@example.com"))
    (record,) = gateway.recorded(1)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "refused_1"
    assert keys.shown == ["sk-new-canary", "sk-old-canary"]  # once, and no further
    assert (record["status"], record["end_state"]) == (401, "upstream_error")
    assert record["response"]["error"]["code"] == "refused_1"


def test_a_large_body_is_sent_again_whole(gateway: Instance, keys: Keys) -> None:
    keys.refused = {"sk-new-canary"}
    body = {**BODY, "messages": [{"role": "user", "content": "関所" * 200_000}]}

    assert ask(gateway, gateway.mint("ann@example.com"), body).status_code == 200

    first, second = keys.provider.received
    assert json.loads(second.body) == body
    assert first.body == second.body


def test_calls_at_once_all_get_an_answer_while_the_key_changes(gateway: Instance, keys: Keys) -> None:
    keys.refused = {"sk-new-canary"}
    token = gateway.mint("ann@example.com")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(gateway, token).status_code, range(64)))

    assert answers == [200] * 64
    assert gateway.log.read_text().count("ALERT") == 1


def test_each_caller_and_rule_has_its_own_key_and_none_borrows_anothers(
    keys: Keys, provider: Provider, lane: str
) -> None:
    research, sub = keys.put("research", "sk-research-canary"), keys.put("sub", "sk-sub-canary")
    providers = f"""
providers:
  openai:
    upstream: '{provider.url}'
    keys:
      - {{label: research, secret: {{file: {research}}}, rules: research}}
      - {{label: subsidiary, secret: {{file: {sub}}}, domains: [sub.example.com]}}
"""
    with Instance(keys.folder, provider.url, profile="gateway", lane=lane, more=providers + RULES) as gateway:
        ann, bob = gateway.mint("ann@example.com"), gateway.mint("bob@sub.example.com")
        assert ask(gateway, bob).status_code == 200
        assert ask(gateway, bob, {**BODY, "model": "o3"}).status_code == 200
        assert ask(gateway, ann, {**BODY, "model": "o3"}).status_code == 200
        refused = ask(gateway, ann)
        (*_, record) = gateway.recorded(4)

    assert keys.shown == ["sk-sub-canary", "sk-research-canary", "sk-research-canary"]
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "upstream_credential_unavailable"
    assert record["decision"]["reason"] == "providers.openai.keys has none for this caller at this time"


def test_without_a_key_yet_the_answer_is_503_with_retry_after_and_nothing_goes_upstream(
    keys: Keys, provider: Provider, lane: str
) -> None:
    program = keys.folder / "vault"
    program.write_text(f"#!{sys.executable}\nprint(open('{keys.folder}/key').read())\n")
    program.chmod(0o700)
    providers = f"providers:\n  openai: {{upstream: '{provider.url}', api_key: {{command: [{program}], every: 1 s}}}}\n"
    with Instance(keys.folder, provider.url, profile="gateway", lane=lane, more=providers + RULES) as gateway:
        token = gateway.mint("ann@example.com")
        refused = ask(gateway, token)
        (record,) = gateway.recorded(1)
        status = gateway.sekisho("status").stdout
        keys.put("key", "sk-vault-canary")
        gateway.wait_until(lambda: ask(gateway, token).status_code == 200)

    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "upstream_credential_unavailable"
    assert refused.headers["retry-after"] == "5"
    assert set(keys.shown) == {"sk-vault-canary"}
    assert record["end_state"] == "refused"
    assert record["decision"]["code"] == "upstream_credential_unavailable"
    assert "ended with status 1" in record["decision"]["reason"]
    assert "openai api_key: missing" in status


def test_on_a_laptop_the_callers_own_key_goes_first_and_ours_helps_out(keys: Keys, provider: Provider) -> None:
    ours = keys.put("ours", "sk-ours-canary")
    providers = f"providers:\n  openai: {{upstream: '{provider.url}', api_key: {{file: {ours}}}}}\n"
    keys.refused = {"sk-own-canary"}
    with Instance(keys.folder, provider.url, more=providers) as laptop:
        assert ask(laptop, "sk-own-canary").status_code == 401
        assert httpx2.post(f"{laptop.url}/v1/chat/completions", json=BODY).status_code == 200

    assert keys.shown == ["sk-own-canary", "sk-ours-canary"]
