"""A laptop's key is its user's: no web site that is open in a browser there calls with it."""

from pathlib import Path

import httpx2
import pytest

from tests.journeys.instance import PROVIDER_KEY, Instance
from tests.journeys.provider import Provider

OURS = "https://chat.example.com"


def settings(provider: Provider) -> str:
    return (
        f"providers:\n  openai: {{upstream: '{provider.url}', api_key: {{env: JOURNEY_KEY}}}}\n"
        f"cors: {{origins: ['{OURS}']}}\n"
    )


def ask(instance: Instance, **headers: str) -> httpx2.Response:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "天気は？"}]}
    return httpx2.post(f"{instance.url}/v1/chat/completions", json=body, headers=headers, timeout=20)


def test_a_web_sites_page_does_not_call_with_the_laptops_key(tmp_path: Path, provider: Provider, lane: str) -> None:
    with Instance(tmp_path, provider.url, lane=lane, more=settings(provider)) as instance:
        of_a_site = ask(instance, origin="https://evil.example")
        rebound = ask(instance, host="evil.example")
        with_its_own = ask(instance, origin="https://evil.example", authorization="Bearer sk-its-own")
        records = instance.recorded(3)
    told = [(r.status_code, r.json()["error"]["code"]) for r in (of_a_site, rebound)]
    assert told == [(403, "cross_site")] * 2
    assert with_its_own.status_code == 200
    (received,) = provider.received
    assert received.header("authorization") == "Bearer sk-its-own"
    refused = [r["decision"] for r in records if r["end_state"] == "refused"]
    assert [d["code"] for d in refused] == ["cross_site"] * 2
    assert "evil.example" in refused[0]["reason"]


@pytest.mark.parametrize("headers", [{}, {"origin": OURS}, {"origin": "http://localhost:3000"}])
def test_whoever_belongs_there_does(tmp_path: Path, provider: Provider, headers: dict[str, str]) -> None:
    with Instance(tmp_path, provider.url, more=settings(provider)) as instance:
        reply = ask(instance, **headers)
    assert reply.status_code == 200
    (received,) = provider.received
    assert received.header("authorization") == f"Bearer {PROVIDER_KEY}"
