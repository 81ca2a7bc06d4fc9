"""Which models a caller is told of, where the settings name them."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from exchange.scope import Scope
from identities.own_token import mint
from storage.journal.rows import Intent
from tests.addons.running import worker
from tests.addons.test_faults import rows
from tests.journeys.provider import Provider

NAMED = ", models: [gpt-4o, o3, gpt-4o-mini]"


@pytest.mark.parametrize("target", ["/v1/models", "/models"])
async def test_a_caller_is_told_the_models_that_the_rules_let_them_use_and_the_provider_is_not_asked(
    tmp_path: Path, provider: Provider, lane: str, target: str
) -> None:
    fields = {"authorization": f"Bearer {mint(tmp_path / 'data', email='ann@example.com', days=1)}"}
    async with worker(tmp_path, provider.url, lane=lane, provider=NAMED) as url:
        answer = await asyncio.to_thread(httpx2.get, url + target, headers=fields)
        again = await asyncio.to_thread(httpx2.get, url + target, headers=fields)
        stranger = await asyncio.to_thread(httpx2.get, url + target)

    assert [one["id"] for one in answer.json()["data"]] == ["gpt-4o", "gpt-4o-mini"]
    assert (answer.headers["cache-control"], again.json()) == ("no-store", answer.json())
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "missing_identity")
    assert provider.raw == []
    assert [row.code for row in rows(tmp_path) if isinstance(row, Intent)] == ["missing_identity"]  # no list has a row


async def test_a_token_for_less_is_told_of_less(tmp_path: Path, provider: Provider, lane: str) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1, scope=Scope(("gpt-4o-mini",)))
    async with worker(tmp_path, provider.url, lane=lane, provider=NAMED) as url:
        answer = await asyncio.to_thread(httpx2.get, f"{url}/v1/models", headers={"authorization": f"Bearer {token}"})

    assert [one["id"] for one in answer.json()["data"]] == ["gpt-4o-mini"]


async def test_on_a_laptop_all_that_are_named_are_told(tmp_path: Path, provider: Provider, lane: str) -> None:
    async with worker(tmp_path, provider.url, lane=lane, profile="local", provider=NAMED) as url:
        answer = await asyncio.to_thread(httpx2.get, f"{url}/v1/models")

    assert [one["id"] for one in answer.json()["data"]] == ["gpt-4o", "o3", "gpt-4o-mini"]


async def test_where_none_is_named_the_provider_is_asked_if_a_rule_lets_it_be(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    fields = {"authorization": f"Bearer {mint(tmp_path / 'data', email='ann@example.com', days=1)}"}
    async with worker(tmp_path, provider.url, lane=lane) as url:
        answer = await asyncio.to_thread(httpx2.get, f"{url}/v1/models", headers=fields)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "path_not_allowed")
    assert provider.raw == []
