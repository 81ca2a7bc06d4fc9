"""Heads that are odd, or many, end up on record as they are, and nowhere else."""

import asyncio
import json
import socket
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from addons.gate import AccessGate
from addons.pipeline import Pipeline
from identities.own_token import mint
from storage.journal.rows import Closing, Intent
from tests.addons.running import worker
from tests.addons.test_faults import ask, rows
from tests.journeys.provider import Provider, completion
from tests.journeys.socket_provider import SocketProvider

CHAT = b'{"model": "gpt-4o", "messages": []}'


async def exchange(url: str, head: bytes, body: bytes = CHAT) -> int:
    """The answer's status; `head` without its end."""

    def over() -> int:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10) as connection:
            connection.sendall(head + b"Host: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            answer = HTTPResponse(connection)
            answer.begin()
            answer.read()
            return answer.status

    return await asyncio.to_thread(over)


def one_exchange(folder: Path) -> tuple[Intent, Closing]:
    intent, closing = (row for row in rows(folder) if isinstance(row, Intent | Closing))
    assert isinstance(intent, Intent)
    assert isinstance(closing, Closing)
    return intent, closing


async def test_a_gateway_refuses_a_method_in_small_letters(tmp_path: Path, provider: Provider, lane: str) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1).encode()
    async with worker(tmp_path, provider.url, lane=lane) as url:
        answer = await exchange(
            url,
            b"post /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n"
            % token,
        )

    assert answer == 405
    assert provider.raw == []


async def test_a_laptop_passes_a_method_as_it_was_written(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = completion()
    async with worker(tmp_path, provider.url, lane=lane, profile="local") as url:
        await exchange(url, b"post /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\n")

    assert provider.raw[0].startswith(b"post /v1/chat/completions HTTP/1.1\r\n")
    intent, _ = one_exchange(tmp_path)
    assert (intent.method, intent.operation) == ("post", "other")


async def test_bytes_that_are_no_text_are_passed_and_recorded(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = completion()
    async with worker(tmp_path, provider.url, lane=lane, profile="local") as url:
        answer = await exchange(
            url,
            b"POST /v1/chat/completions HTTP/1.1\r\nUser-Agent: caf\xe9/1\r\n"
            b"Content-Type: application/json; x=\xff\r\n",
        )

    assert answer == 200
    assert b"caf\xe9/1" in provider.raw[0]
    intent, closing = one_exchange(tmp_path)
    assert intent.user_agent == "caf\ufffd/1"
    assert closing.observed == "response_ended"


async def test_a_connection_header_cannot_take_away_what_says_how_the_body_is_read(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\nConnection: content-type\r\n"
    async with worker(tmp_path, provider.url, lane=lane) as url:
        strict = await exchange(url, head + b"Authorization: Bearer %s\r\n" % token)
    assert strict == 400
    assert provider.raw == []

    provider.answer = completion()
    async with worker(tmp_path, provider.url, lane=lane, profile="local") as url:
        await exchange(url, head)
    assert b"content-type: application/json" in provider.raw[0].lower()


async def test_a_request_that_cannot_be_forwarded_after_all_is_a_refusal(tmp_path: Path, provider: Provider) -> None:
    async with worker(tmp_path, provider.url, lane="express", profile="local") as url:
        answer = await exchange(url, "POST /v1/日本 HTTP/1.1\r\nContent-Type: application/json\r\n".encode())

    assert answer == 400
    assert provider.raw == []
    _, closing = one_exchange(tmp_path)
    assert (closing.observed, closing.error) == ("refused", "bad_path")


def almost_full(share: float) -> Any:
    def broken(pipeline: Pipeline, _: AccessGate) -> None:
        journal = pipeline.journal
        journal.disk.bytes_waiting = lambda: int(journal._limit * share)  # type: ignore[method-assign]

    return broken


async def test_strangers_cannot_fill_the_journal(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = completion()
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, broken=almost_full(0.6)) as url:
        await asyncio.sleep(0.6)
        strangers = [await ask(url, "nobody") for _ in range(5)]
        known = await ask(url, token)

    assert {answer.status_code for answer in strangers} == {401}
    assert known.status_code == 200
    intent, _ = one_exchange(tmp_path)
    assert intent.principal is not None
    assert intent.number == 1  # what was passed over leaves no gap: nothing of it was promised


async def test_a_full_journal_takes_nobodys_refusals(tmp_path: Path, provider: Provider, lane: str) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    async with worker(tmp_path, provider.url, lane=lane, broken=almost_full(1.1)) as url:
        await asyncio.sleep(0.6)
        answer = await ask(url, token)

    assert answer.status_code == 503
    assert rows(tmp_path) == []


@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
async def test_a_full_journal_takes_no_refused_messages_of_an_open_websocket_either(tmp_path: Path, lane: str) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    share = 0.0

    def broken(pipeline: Pipeline, _: AccessGate) -> None:
        journal = pipeline.journal
        journal.disk.bytes_waiting = lambda: int(journal._limit * share)  # type: ignore[method-assign]

    def refused(connection: ClientConnection) -> str:
        connection.send('{"type": "response.create", "model": "o3", "input": "hello"}')
        return str(json.loads(connection.recv(timeout=10))["error"]["code"])

    with SocketProvider() as provider:
        async with worker(tmp_path, provider.url, lane=lane, broken=broken) as url:
            connection = await asyncio.to_thread(
                connect, url.replace("http", "ws", 1) + "/v1/responses", proxy=None,
                additional_headers={"Authorization": f"Bearer {token}"},
            )  # fmt: skip
            first = await asyncio.to_thread(refused, connection)
            share = 1.1
            await asyncio.sleep(0.6)
            codes = {await asyncio.to_thread(refused, connection) for _ in range(5)}
            await asyncio.to_thread(connection.close)

    assert {first} | codes == {"model_not_allowed"}
    assert provider.received == []
    denied = [row for row in rows(tmp_path) if isinstance(row, Intent) and row.outcome == "deny"]
    assert len(denied) == 1


async def test_a_refused_head_is_kept_in_part(tmp_path: Path, provider: Provider, lane: str) -> None:
    async with worker(tmp_path, provider.url, lane=lane) as url:
        await exchange(
            url,
            b"POST /v1/%s HTTP/1.1\r\nContent-Type: application/json\r\nUser-Agent: %s\r\n"
            % (b"p" * 6000, b"u" * 6000),
        )

    intent, _ = one_exchange(tmp_path)
    assert intent.user_agent == "u" * 2048 + "…"
    assert len(intent.path) == 2049


async def test_what_strangers_ask_for_is_remembered_within_bounds(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    """Each head is remembered, so that it need not be read again: also a million of ten bytes, which nobody signed."""
    gates: list[AccessGate] = []
    async with worker(tmp_path, provider.url, lane=lane, broken=lambda _, gate: gates.append(gate)) as url:
        asked = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(200))

        def ask_all() -> None:
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10) as connection:
                connection.sendall(asked)
                got = b""
                while got.count(b"HTTP/1.1 401") < 200:
                    got += connection.recv(65536)

        await asyncio.to_thread(ask_all)
        heads = gates[0]._heads

    assert len(heads._remembered) == 200
    assert heads._bytes > 200 * 1000, "what a head takes is counted, not what it says alone"
