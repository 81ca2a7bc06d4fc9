"""Whatever of ours breaks, the answer is a refusal, the provider sees nothing, and the caller's stream stays whole."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

import addons.gate
from addons.gate import AccessGate
from addons.pipeline import Pipeline
from addons.tee import StreamTee
from identities.own_token import mint
from lanes.mitm.lane import MitmLane
from storage.journal.files import journal_dir, journal_files
from storage.journal.reading import JournalFile, boots
from storage.journal.rows import Closing, Intent, Piece
from storage.journal.writing import JournalUnavailable
from storage.room import DiskRoom
from tests.addons.running import worker
from tests.journeys.provider import Provider, streamed
from tests.storage.test_room import Blocks

BODY = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "x" * 20_000}]}


def failing(*_: object, **__: object) -> Any:
    raise RuntimeError("broken on purpose")


async def failing_later(*_: object, **__: object) -> Any:
    raise RuntimeError("broken on purpose, after a wait")


def spoil(part: str, name: str, how: Callable[..., Any] = failing) -> Callable[[Pipeline, AccessGate], None]:
    def broken(_: Pipeline, gate: AccessGate) -> None:
        setattr(getattr(gate, part), name, how)

    return broken


BREAKS: dict[str, Callable[[Pipeline, AccessGate], None]] = {
    "the head": spoil("_heads", "read"),
    "a remembered identity": spoil("_verifier", "recall_from"),
    "a fresh identity": spoil("_verifier", "identify", failing_later),
    "rules": spoil("_rules", "decide"),
    "the intent": spoil("_closer", "commit_intent"),
    "the way upstream": spoil("_router", "direct"),
}


async def ask(url: str, token: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"}
    # In a thread: anyio does not bear the eager tasks that mitmproxy runs its loop with.
    return await asyncio.to_thread(
        httpx2.post, f"{url}/v1/chat/completions", json=BODY, headers=headers, timeout=10, trust_env=False
    )


@pytest.mark.parametrize("what", BREAKS)
async def test_a_part_that_raises_refuses_and_nothing_goes_upstream(
    tmp_path: Path, provider: Provider, lane: str, what: str
) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, broken=BREAKS[what]) as url:
        answer = await ask(url, token)

    assert answer.status_code >= 500
    assert answer.json()["error"]["code"] in ("undecided", "checkpoint_error")
    assert provider.raw == []


HOOKS = ("requestheaders", "request")


@pytest.mark.parametrize("how", [failing, failing_later])
@pytest.mark.parametrize("hook", HOOKS)
async def test_a_hook_of_the_gate_that_raises_refuses_and_nothing_goes_upstream(
    tmp_path: Path, provider: Provider, lane: str, hook: str, how: Callable[..., Any]
) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, broken=lambda _, gate: setattr(gate, hook, how)) as url:
        answer = await ask(url, token)

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] in ("undecided", "checkpoint_error")
    assert (provider.connections, provider.raw) == (0, [])


@pytest.mark.parametrize("hook", [*HOOKS, "server_connect"])
async def test_a_hook_of_the_second_line_that_raises_refuses_and_nothing_goes_upstream(
    tmp_path: Path, provider: Provider, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MitmLane, hook, failing)
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane="mitm") as url:
        answer = await ask(url, token)

    assert answer.status_code >= 500
    assert "error" in answer.json()
    assert (provider.connections, provider.raw) == (0, [])


@pytest.mark.parametrize("part", [0, 1, 2], ids=["gate", "tee", "closer"])
@pytest.mark.parametrize("hook", ["responseheaders", "response"])
async def test_a_hook_on_the_way_back_that_raises_never_touches_the_answer(
    tmp_path: Path, provider: Provider, lane: str, part: int, hook: str
) -> None:
    provider.answer = streamed(["one", "two"])
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(
        tmp_path, provider.url, lane=lane, broken=lambda pipeline, _: setattr(pipeline.addons[part], hook, failing)
    ) as url:
        answer = await ask(url, token)

    assert answer.status_code == 200
    assert answer.content == b"".join(streamed(["one", "two"]).chunks)


async def test_a_reader_that_raises_refuses(
    tmp_path: Path, provider: Provider, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addons.gate, "read_plain_call", failing)
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane) as url:
        answer = await ask(url, token)

    assert answer.status_code == 500
    assert provider.raw == []


async def test_a_copy_that_fails_never_touches_the_answer(
    tmp_path: Path, provider: Provider, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamTee, "keep", failing)
    provider.answer = streamed(["one", "two"])
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane) as url:
        answer = await ask(url, token)

    assert answer.content == b"".join(streamed(["one", "two"]).chunks)
    (closing,) = [row for row in rows(tmp_path) if isinstance(row, Closing)]
    assert closing.truncated
    assert closing.observed == "response_ended"


async def test_a_journal_that_cannot_be_written_refuses_in_a_gateway(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    def broken(pipeline: Pipeline, _: AccessGate) -> None:
        connection = pipeline.journal.disk._connection
        assert connection is not None
        connection.execute("pragma max_page_count=2")  # SQLite says "database or disk is full" from here on

    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, broken=broken) as url:
        answer = await ask(url, token)

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "audit_unavailable"
    assert answer.headers["x-should-retry"] == "true"
    assert provider.raw == []


async def test_a_journal_that_cannot_be_written_lets_a_laptop_pass(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    def broken(pipeline: Pipeline, _: AccessGate) -> None:
        connection = pipeline.journal.disk._connection
        assert connection is not None
        connection.execute("pragma max_page_count=2")

    provider.answer = streamed(["one"])
    async with worker(tmp_path, provider.url, lane=lane, profile="local", broken=broken) as url:
        answer = await ask(url, "sk-own")

    assert answer.status_code == 200
    assert len(provider.raw) == 1


@pytest.mark.parametrize(("profile", "status"), [("gateway", 503), ("local", 200)])
async def test_a_disk_that_is_nearly_full_refuses_in_a_gateway_and_lets_a_laptop_pass(
    tmp_path: Path, provider: Provider, lane: str, profile: str, status: int
) -> None:
    def broken(pipeline: Pipeline, _: AccessGate) -> None:
        pipeline.journal.disk._rooms = [DiskRoom(tmp_path, statvfs=lambda _: Blocks(100, 2))]

    provider.answer = streamed(["one"])
    token = mint(tmp_path / "data", email="ann@example.com", days=1) if profile == "gateway" else "sk-own"
    async with worker(tmp_path, provider.url, lane=lane, profile=profile, broken=broken) as url:
        await asyncio.sleep(0.7)  # until it was looked at
        answer = await ask(url, token)

    assert answer.status_code == status
    assert len(provider.raw) == (status == 200)


async def test_a_commit_that_fails_late_leaves_a_refusal_on_record(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    def unavailable(*_: object) -> asyncio.Future[None]:
        late: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        late.set_exception(JournalUnavailable("full"))
        return late

    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, broken=spoil("_closer", "commit_intent", unavailable)) as url:
        await ask(url, token)

    intent, closing = rows(tmp_path)
    assert isinstance(intent, Intent)
    assert isinstance(closing, Closing)
    assert (intent.outcome, intent.code) == ("deny", "audit_unavailable")
    assert (closing.observed, closing.status) == ("refused", 503)


def rows(folder: Path) -> list[object]:
    found: list[object] = []
    for boot in boots(journal_dir(folder / "data")):
        for path in journal_files(boot):
            file = JournalFile(path)
            found += [file.row(no)[0] for no, _, _ in file.after(0, 1000)]
            file.close()
    return found


async def test_the_head_of_a_stream_that_says_nothing_yet_is_soon_in_the_journal(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    provider.answer = streamed(["one", "two"], pause=0.5)
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane) as url:
        asking = asyncio.create_task(ask(url, token))
        await asyncio.sleep(0.9)
        early = rows(tmp_path)
        await asking

    assert [row.head.status for row in early if isinstance(row, Piece) and row.head is not None] == [200]
