"""The messages of a WebSocket and the journal: what is not on record does not go on."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from addons.gate import AccessGate
from addons.pipeline import Pipeline
from identities.own_token import mint
from storage.journal.rows import Closing, Said
from storage.journal.writing import JournalUnavailable
from tests.addons.running import worker
from tests.addons.test_faults import rows
from tests.journeys.socket_provider import SocketProvider

ASK = {"type": "response.create", "model": "gpt-4o", "input": "hello"}
STEER = {"type": "response.steer", "previous_response_id": "resp_1", "input": []}


def full_for(refused: type) -> Any:
    """A journal that takes the upgrade, and no row with a message of this kind."""

    def broken(pipeline: Pipeline, _gate: AccessGate) -> None:
        commit = pipeline.journal.commit

        def committing(exchange: bytes, row: Any, body: bytes | None = None) -> asyncio.Future[None]:
            if not body or (refused is Said) != isinstance(row, Said):
                return commit(exchange, row, body)
            late: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            late.set_exception(JournalUnavailable("full"))
            return late

        pipeline.journal.commit = committing  # type: ignore[method-assign]

    return broken


def said(url: str, token: str, *messages: dict[str, Any]) -> tuple[list[dict[str, Any]], int | None]:
    """What came back until the connection was closed, and its close code."""
    headers = {"Authorization": f"Bearer {token}"}
    with connect(url.replace("http", "ws", 1) + "/v1/responses", additional_headers=headers, proxy=None) as connection:
        for message in messages:
            connection.send(json.dumps(message))
        events = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                events.append(json.loads(connection.recv(timeout=20)))
    return events, connection.close_code


async def test_a_message_whose_intent_cannot_be_written_is_not_forwarded(tmp_path: Path, lane: str) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    with SocketProvider() as provider:
        async with worker(tmp_path, provider.url, lane=lane, broken=full_for(object)) as url:
            events, code = await asyncio.to_thread(said, url, token, ASK)

    assert [event["error"]["code"] for event in events] == ["audit_unavailable"]
    assert code == 1013
    assert provider.received == []
    assert len(provider.requests) == 1


async def test_whatever_else_a_caller_says_is_on_record_before_it_goes_on(tmp_path: Path, lane: str) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    with SocketProvider() as provider:
        async with worker(tmp_path, provider.url, lane=lane, broken=full_for(Said)) as url:
            events, code = await asyncio.to_thread(said, url, token, STEER)

    assert events[-1]["error"]["code"] == "audit_unavailable"
    assert code == 1013
    assert provider.received == []


async def test_a_frame_that_breaks_the_protocol_is_recorded_as_that(tmp_path: Path, lane: str) -> None:
    token = mint(tmp_path / "data", email="ann@example.com", days=1)
    with SocketProvider() as provider:
        async with worker(tmp_path, provider.url, lane=lane) as url:
            headers = {"Authorization": f"Bearer {token}"}

            def broken() -> int | None:
                address = url.replace("http", "ws", 1) + "/v1/responses"
                with connect(address, additional_headers=headers, proxy=None) as connection:
                    connection.socket.sendall(b"\xc1\x80\x00\x00\x00\x00")  # a reserved bit (RFC 6455 §5.2)
                    with contextlib.suppress(ConnectionClosed):
                        connection.recv(timeout=20)
                return connection.close_code

            code = await asyncio.to_thread(broken)

    assert code == 1002
    closings = [(row.observed, row.error) for row in rows(tmp_path) if isinstance(row, Closing)]
    assert closings == [("refused", "websocket_violation")]
