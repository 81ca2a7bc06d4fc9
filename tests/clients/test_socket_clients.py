"""Clients that speak over WebSockets, pointed at Sekisho by their own settings alone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.programs import HERE, installed, run
from tests.clients.test_reverse_clients import KEY
from tests.identities.certificates import authority, server_tls
from tests.journeys.instance import Instance
from tests.journeys.socket_provider import TEXT, SocketProvider

LANES = ["express", "mitm"]


@pytest.fixture
def sockets() -> Iterator[SocketProvider]:
    with SocketProvider() as provider:
        yield provider


@pytest.mark.parametrize("lane", LANES)
def test_codex_works_over_its_websocket(tmp_path: Path, sockets: SocketProvider, lane: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with Instance(tmp_path, sockets.url, lane=lane) as instance:
        base_url = f'openai_base_url="{instance.url}/v1"'
        said = run(
            [installed("codex"), "exec", "--skip-git-repo-check", "-c", base_url, "say hi"],
            {"OPENAI_API_KEY": KEY},
            home,
        )
        instance.wait_until(lambda: any(r["operation"] == "responses" for r in instance.records()))
        records = [r for r in instance.records() if r["operation"] == "responses"]

    assert TEXT in said
    asked = [message for message in sockets.received if message["type"] == "response.create"]
    assert [record["request"] for record in records] == asked
    assert {record["end_state"] for record in records} == {"complete"}
    assert all(record["method"] == "GET" and record["status"] == 101 for record in records)
    assert records[-1]["response"]["output"][0]["content"][0]["text"] == TEXT
    assert len({record["thread_id"] for record in records}) == 1


@pytest.mark.parametrize("lane", LANES)
def test_the_node_sdk_speaks_realtime(tmp_path: Path, sockets: SocketProvider, lane: str) -> None:
    script = tmp_path / "realtime.mjs"
    realtime = str(HERE / "node_modules/openai/realtime/websocket.mjs")
    script.write_text(
        f"""
        import OpenAI from {json.dumps(str(HERE / "node_modules/openai/index.mjs"))};
        import {{ OpenAIRealtimeWebSocket }} from {json.dumps(realtime)};
        const client = new OpenAI({{ dangerouslyAllowBrowser: true }});
        const socket = new OpenAIRealtimeWebSocket({{ model: 'gpt-realtime', dangerouslyAllowBrowser: true }}, client);
        let said = '';
        socket.on('session.created', () => socket.send({{ type: 'response.create' }}));
        socket.on('response.output_audio_transcript.delta', (event) => (said += event.delta));
        socket.on('response.done', () => {{ console.log(said); socket.close(); }});
        """,
        encoding="utf-8",
    )
    trusted = authority(tmp_path)
    server_tls(tmp_path, "localhost")
    # Whatever its base URL is, this SDK opens its WebSockets over TLS.
    with Instance(tmp_path, sockets.url, lane=lane, tls=tmp_path / "localhost.pem") as instance:
        environment = {
            "OPENAI_BASE_URL": f"{instance.url}/v1",
            "OPENAI_API_KEY": KEY,
            "NODE_EXTRA_CA_CERTS": str(trusted),
        }
        said = run([installed("node"), script], environment, tmp_path)
        (record,) = instance.recorded(1)

    assert said.strip() == TEXT
    assert sockets.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "openai-insecure-api-key" not in str(sockets.requests[0].headers)
    assert record["operation"] == "realtime"
    assert record["end_state"] == "complete"
    assert record["response"]["output"][0]["content"][0]["transcript"] == TEXT
