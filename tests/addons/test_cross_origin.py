"""Pages of other origins: who gets a preflight answered, and who may read an answer (WHATWG Fetch §3.3)."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from identities.own_token import mint
from storage.journal.rows import Intent
from tests.addons.running import worker
from tests.addons.test_faults import rows
from tests.journeys.provider import Answer, Provider
from tests.settings.test_reading import problems

APP = "https://app.example.com"
CORS = f"cors: {{origins: ['{APP}']}}\n"
CHAT = {"model": "gpt-4o", "messages": []}
ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}


async def ask(method: str, url: str, **more: Any) -> httpx2.Response:
    return await asyncio.to_thread(httpx2.request, method, url, **more)


def _said(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def test_a_preflight_of_an_origin_of_the_settings_is_answered_here_and_of_no_other(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    async with worker(tmp_path, provider.url, lane=lane, more=CORS) as url:
        there = f"{url}/v1/chat/completions"
        good = await ask("OPTIONS", there, headers={"origin": APP, **ASKS})
        others = [
            await ask("OPTIONS", there, headers=headers)
            for headers in (
                {"origin": "https://evil.test", **ASKS},
                {"origin": APP + ".evil.test", **ASKS},
                {"origin": "null", **ASKS},
                {"origin": APP.upper(), **ASKS},
                {"origin": APP},
                {"origin": APP, **ASKS, "access-control-request-method": "CONNECT"},
                {"origin": APP, **ASKS, "access-control-request-headers": "a b"},
                ASKS,
            )
        ]

    assert (good.status_code, good.content) == (204, b"")
    assert _said(good) == {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization,content-type",
        "access-control-max-age": "600",
    }
    assert "Origin" in good.headers["vary"]
    assert [answer.status_code for answer in others] == [401] * 8
    assert all("access-control-allow-methods" not in answer.headers for answer in others)
    assert provider.received == []


@pytest.mark.parametrize(("origin", "allowed"), [(APP, True), ("https://evil.test", False), (None, None)])
async def test_an_answer_is_for_pages_of_the_settings_whatever_the_provider_says(
    tmp_path: Path, provider: Provider, lane: str, origin: str | None, allowed: bool | None
) -> None:
    liberal = (("content-type", "application/json"), ("access-control-allow-origin", "*"), ("x-request-id", "r"))
    provider.answer = Answer(
        chunks=[b'{"choices": []}'], fields=(*liberal, ("access-control-allow-credentials", "true"))
    )
    token = {"authorization": f"Bearer {mint(tmp_path / 'data', email='ann@example.com', days=1)}"}
    named = {"origin": origin} if origin else {}
    async with worker(tmp_path, provider.url, lane=lane, more=CORS) as url:
        passed = await ask("POST", f"{url}/v1/chat/completions", json=CHAT, headers={**token, **named})
        refused = await ask("POST", f"{url}/v1/chat/completions", json=CHAT, headers=named)

    readable = {"access-control-allow-origin": APP} if allowed else {}
    untouched = {"access-control-allow-origin": "*", "access-control-allow-credentials": "true"}
    found = [{k: v for k, v in _said(a).items() if k != "access-control-expose-headers"} for a in (passed, refused)]
    assert (passed.status_code, refused.status_code, passed.content) == (200, 401, b'{"choices": []}')
    assert found == [untouched if allowed is None else readable, readable]
    assert [row.code for row in rows(tmp_path) if isinstance(row, Intent)] == [None, "missing_identity"]


@pytest.mark.parametrize("origin", ["*", "app.example.com", "https://app.example.com/", "https://App.example.com"])
def test_an_origin_that_no_browser_would_send_is_told(origin: str) -> None:
    assert any("cors.origins[0] is no origin" in said for said in problems(f"cors: {{origins: ['{origin}']}}"))
