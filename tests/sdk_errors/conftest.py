import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.identities.minting import jwks, public_jwk, rsa_key
from tests.journeys.instance import PROVIDER_KEY, Instance
from tests.journeys.provider import Provider
from tests.ports import free_port
from tests.sdk_errors.refusals import GOOD
from tests.sdk_errors.relay import Relay

_SETTINGS = """
providers:
  openai: {{upstream: '{upstream}', api_key: {{env: JOURNEY_KEY}}}}
  anthropic: {{upstream: '{upstream}', api_key: {{env: JOURNEY_KEY}}}}
  gemini: {{upstream: '{upstream}', api_key: {{env: JOURNEY_KEY}}}}
  dead-openai: {{upstream: 'http://127.0.0.1:{nobody}', dialect: openai, api_key: {{env: JOURNEY_KEY}}}}
  dead-anthropic: {{upstream: 'http://127.0.0.1:{nobody}', dialect: anthropic, api_key: {{env: JOURNEY_KEY}}}}
  dead-gemini: {{upstream: 'http://127.0.0.1:{nobody}', dialect: gemini, api_key: {{env: JOURNEY_KEY}}}}
identity:
  domains: [example.com]
  issuers:
    - {{name: corp-issuer, kind: oidc, issuer: 'https://idp.example.com', audience: sekisho, jwks_file: '{keys}'}}
    - {{name: edge-issuer, kind: oidc, issuer: 'https://edge.example.com', audience: sekisho, jwks_file: '{keys}',
       header: X-Edge-Jwt}}
    - {{name: far-issuer, kind: oidc, issuer: 'https://far.example.com', audience: sekisho,
       jwks_url: 'http://127.0.0.1:{nobody}/'}}
policies:
  rules:
    - name: rule-for-everyone
      models: ["gpt-4o*", "claude-*", "gemini-*"]
      operations: [chat, responses, messages, generate_content]
limits: {{body: 64 KiB}}
storage: {{journal_limit: {journal_limit}}}
"""


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


def gateway(folder: Path, provider: Provider, journal_limit: str) -> Instance:
    keys = folder / "keys.json"
    keys.write_bytes(jwks(public_jwk(rsa_key(), "k1")))
    more = _SETTINGS.format(upstream=provider.url, nobody=free_port(), keys=keys, journal_limit=journal_limit)
    return Instance(folder, provider.url, profile="gateway", more=more)


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Instance]:
    with gateway(tmp_path_factory.mktemp("ready"), provider, "1 GiB") as instance:
        yield instance


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Instance]:
    """A gateway whose journal is past its limit: the record cannot be written, so nobody passes."""
    with gateway(tmp_path_factory.mktemp("full"), provider, "1 B") as instance:
        body = json.dumps({"model": "gpt-4o", "messages": []})
        headers = {"content-type": "application/json", "authorization": f"Bearer {GOOD}"}
        deadline = time.monotonic() + 20
        while httpx2.post(f"{instance.url}/v1/chat/completions", content=body, headers=headers).status_code != 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        provider.raw.clear()
        yield instance


@pytest.fixture
def relay(ready: Instance, provider: Provider) -> Iterator[Relay]:
    with Relay(ready.port) as found:
        yield found
    _nothing_leaked(found, ready, provider)


@pytest.fixture
def relay_to_full(full: Instance, provider: Provider) -> Iterator[Relay]:
    with Relay(full.port) as found:
        yield found
    _nothing_leaked(found, full, provider)


_FIELDS = {
    b"content-type",
    b"content-length",
    b"cache-control",
    b"connection",
    b"x-request-id",
    b"request-id",
    b"x-should-retry",
    b"www-authenticate",
}


def _nothing_leaked(relay: Relay, instance: Instance, provider: Provider) -> None:
    """Whatever an SDK shows of it: what was on the wire says no more than the refusal's code does."""
    assert provider.raw == [], "a refused call reached the provider"
    said = bytes(relay.answered)
    heads = [part.split(b"\r\n\r\n", 1)[0] for part in said.split(b"HTTP/1.1 ")[1:]]
    assert len(heads) == relay.requests
    names = {line.split(b":", 1)[0].lower() for head in heads for line in head.split(b"\r\n")[1:]}
    assert names <= _FIELDS
    internals = [PROVIDER_KEY, str(instance.folder), "-issuer", "rule-for", "127.0.0.1", str(instance.port), "Errno"]
    internals += [".py", "Traceback", "mitm", "uvloop", "Python", "sqlite", "example.com"]
    internals += [word for word in _words(relay) if len(word) > 10]
    lowered = said.lower()
    for word in internals:
        assert word.lower().encode() not in lowered, word


def _words(relay: Relay) -> list[str]:
    """The parts of every token and key that was sent."""
    found = []
    for line in bytes(relay.asked).split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name.lower() in (b"authorization", b"x-api-key", b"x-goog-api-key", b"x-edge-jwt"):
            found += value.decode().removeprefix("Bearer ").split(".")
    assert found
    return found
