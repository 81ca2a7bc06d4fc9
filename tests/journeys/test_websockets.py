"""Responses and Realtime over WebSockets: the official SDK's own clients, through a real Sekisho, to a real server."""

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.journeys.instance import PROVIDER_KEY, Instance
from tests.journeys.socket_provider import AUDIO, TEXT, SocketProvider, send

LANES = ["express", "mitm"]
# The SDK opens its connection in a way that this version of the library means to change.
pytestmark = pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
GATEWAY = """
identity:
  domains: [example.com]
  issuers:
    - {name: own, kind: own_token}
policies:
  rules:
    - {name: everyone, domains: [example.com], models: ["gpt-4o*", gpt-realtime], operations: [responses, realtime]}
"""


@pytest.fixture
def sockets() -> Iterator[SocketProvider]:
    with SocketProvider() as provider:
        yield provider


def gateway(folder: Path, provider: SocketProvider, lane: str) -> Instance:
    return Instance(folder, provider.url, profile="gateway", lane=lane, more=GATEWAY)


@contextlib.contextmanager
def opened(instance: Instance, path: str, token: str | None = None, **more: Any) -> Iterator[ClientConnection]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = instance.url.replace("http", "ws", 1) + path
    with connect(url, additional_headers=headers, max_size=None, proxy=None, **more) as connection:
        yield connection


def ask(connection: ClientConnection, **fields: Any) -> list[dict[str, Any]]:
    """One `response.create`, and all events up to the end of its response."""
    connection.send(json.dumps({"type": "response.create", **fields}))
    events = []
    while True:
        events.append(json.loads(connection.recv(timeout=20)))
        if events[-1]["type"] in ("response.completed", "response.done", "error"):
            return events


@pytest.mark.parametrize("lane", LANES)
def test_responses_over_a_websocket_are_one_exchange_each_in_one_thread(
    tmp_path: Path, sockets: SocketProvider, lane: str
) -> None:
    with gateway(tmp_path, sockets, lane) as instance:
        token = instance.mint("ann@example.com")
        client = OpenAI(base_url=f"{instance.url}/v1", api_key=token, max_retries=0)
        said = ""
        with client.responses.connect() as connection:
            for question in ("天気は？", "明日は？"):
                connection.send(
                    {"type": "response.create", "model": "gpt-4o", "input": question}  # type: ignore[misc,typeddict-item,unused-ignore]
                )
                for event in connection:
                    if event.type == "response.output_text.delta":
                        said += event.delta
                    if event.type == "response.completed":
                        break
        first, second = instance.recorded(2)

    assert said == TEXT * 2
    assert [message["input"] for message in sockets.received] == ["天気は？", "明日は？"]
    head = sockets.requests[0].headers
    assert head["Authorization"] == f"Bearer {PROVIDER_KEY}"
    assert "Sec-WebSocket-Extensions" not in head
    for record, question in ((first, "天気は？"), (second, "明日は？")):
        assert record["operation"] == "responses"
        assert record["end_state"] == "complete"
        assert record["status"] == 101
        assert record["principal"]["email"] == "ann@example.com"
        assert (record["method"], record["path"], record["client"]["mode"]) == ("GET", "/v1/responses", "reverse")
        assert record["request"] == {"type": "response.create", "model": "gpt-4o", "input": question}
        assert record["request_model"] == record["response_model"] == "gpt-4o"
        assert record["response"]["object"] == "response"
        assert record["response"]["output"][0]["content"][0]["text"] == TEXT
        assert record["usage"] == {"input_tokens": 5, "output_tokens": 3, "cached_input_tokens": 0,
                                   "reasoning_tokens": 0, "source": "provider"}  # fmt: skip
        assert record["timing"]["ttft_ms"] is not None
    assert first["thread_id"] == second["thread_id"]
    assert first["id"] != second["id"]
    assert token.encode() not in instance.on_disk()
    assert PROVIDER_KEY.encode() not in instance.on_disk()


@pytest.mark.parametrize("lane", LANES)
def test_a_message_for_a_model_that_is_not_allowed_never_reaches_the_provider(
    tmp_path: Path, sockets: SocketProvider, lane: str
) -> None:
    with gateway(tmp_path, sockets, lane) as instance, opened(
        instance, "/v1/responses", instance.mint("ann@example.com")
    ) as connection:  # fmt: skip
        (refused,) = ask(connection, model="o3", input="secret plan", stream_id="a")
        (fallback,) = ask(connection, model="gpt-4o", models=["o3"], input="secret plan")
        connection.send('{"type": "response.create", "model": "gpt-4o", "model": "o3", "input": "secret plan"}')
        twice = json.loads(connection.recv(timeout=20))
        connection.send(b"\x00\x01 no JSON")
        garbage = json.loads(connection.recv(timeout=20))
        answered = ask(connection, model="gpt-4o", input="hello")
        records = instance.recorded(5)

    assert refused["status"] == 403
    assert refused["error"]["code"] == refused["code"] == "model_not_allowed"
    assert refused["stream_id"] == "a"
    assert fallback["error"]["code"] == "model_not_allowed"
    assert twice["error"]["code"] == "duplicate_json_key"
    assert garbage["error"]["code"] in ("invalid_json", "not_utf8")
    assert answered[-1]["type"] == "response.completed"  # the connection goes on
    assert [message["input"] for message in sockets.received] == ["hello"]
    by_code = {record["decision"]["code"]: record for record in records}
    assert by_code["model_not_allowed"]["end_state"] == "refused"
    assert by_code["model_not_allowed"]["status"] == 403
    assert by_code["model_not_allowed"]["request"]["input"] == "secret plan"
    assert by_code[None]["end_state"] == "complete"


@pytest.mark.parametrize("lane", LANES)
def test_nobody_unknown_opens_a_websocket(tmp_path: Path, sockets: SocketProvider, lane: str) -> None:
    with gateway(tmp_path, sockets, lane) as instance:
        answers = []
        ann = instance.mint("ann@example.com")
        for path, token in (("/v1/responses", None), ("/v1/realtime?model=o3", ann), ("/v1/realtime", ann),
                            ("/v1/realtime?model=gpt-realtime&model=o3", ann), ("/v1/other", ann)):  # fmt: skip
            with pytest.raises(InvalidStatus) as refused, opened(instance, path, token):
                pass
            answer = refused.value.response
            answers.append((answer.status_code, json.loads(answer.body)["error"]["code"]))

    assert answers == [
        (401, "missing_identity"),
        (403, "model_not_allowed"),
        (403, "model_not_allowed"),
        (400, "bad_model"),
        (426, "websocket_not_supported"),
    ]
    assert sockets.requests == []


@pytest.mark.parametrize("lane", LANES)
def test_realtime_is_recorded_by_response_with_transcripts_and_audio_by_size_and_hash(
    tmp_path: Path, sockets: SocketProvider, lane: str
) -> None:
    audio = base64.b64encode(AUDIO).decode()
    with gateway(tmp_path, sockets, lane) as instance:
        token = instance.mint("ann@example.com")
        client = OpenAI(base_url=f"{instance.url}/v1", api_key=token, max_retries=0)
        with client.realtime.connect(model="gpt-realtime") as connection:
            assert connection.recv().type == "session.created"
            connection.input_audio_buffer.append(audio=audio)
            connection.input_audio_buffer.commit()
            connection.response.create()
            for event in connection:
                if event.type == "response.done":
                    break
            connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "明日は？"}]}
            )
            connection.response.create()
            for event in connection:
                if event.type == "response.done":
                    break
        first, second = instance.recorded(2)

    kinds = [message["type"] for message in sockets.received]
    assert kinds == ["input_audio_buffer.append", "input_audio_buffer.commit", "response.create",
                     "conversation.item.create", "response.create"]  # fmt: skip
    digest = {"_bytes": len(AUDIO), "_sha256": hashlib.sha256(AUDIO).hexdigest()}
    assert first["operation"] == second["operation"] == "realtime"
    assert first["end_state"] == second["end_state"] == "complete"
    assert first["path"] == "/v1/realtime"
    assert first["query"] == "model=gpt-realtime"
    assert first["request_model"] == "gpt-realtime"
    assert first["request"]["session"]["id"] == "sess_1"
    assert first["request"]["input_audio"] == digest
    assert first["request"]["items"][0]["content"][0]["transcript"] == "天気は？"
    assert first["response"]["object"] == "realtime.response"
    assert first["response"]["output"][0]["content"][0]["transcript"] == TEXT
    assert first["response"]["_extra"]["audio"] == {"item_a1": digest}
    assert first["usage"]["input_tokens"] == 20
    assert second["request"]["items"][0]["content"][0]["text"] == "明日は？"
    assert second["response"]["id"] == "resp_2"
    assert first["thread_id"] == second["thread_id"]
    assert audio[:400] not in json.dumps([first, second])


@pytest.mark.parametrize("lane", LANES)
def test_a_browser_s_key_among_the_subprotocols_is_an_identity_and_goes_no_further(
    tmp_path: Path, sockets: SocketProvider, lane: str
) -> None:
    def realtime_protocol(connection: Any) -> None:
        send(connection, {"type": "session.created", "session": {"id": "sess_1"}})
        connection.recv()

    sockets.serving = realtime_protocol
    with gateway(tmp_path, sockets, lane) as instance:
        token = instance.mint("ann@example.com")
        with opened(
            instance, "/v1/realtime?model=gpt-realtime",
            subprotocols=["realtime", f"openai-insecure-api-key.{token}"],
        ) as connection:  # fmt: skip
            assert json.loads(connection.recv(timeout=20))["type"] == "session.created"
        (record,) = instance.recorded(1)

    head = sockets.requests[0].headers
    assert head["Authorization"] == f"Bearer {PROVIDER_KEY}"
    assert head["Sec-WebSocket-Protocol"] == "realtime"
    assert record["principal"]["email"] == "ann@example.com"
    assert record["end_state"] == "complete"  # the upgrade, to which no response came
    assert record["response"] is None
    assert token.encode() not in instance.on_disk()


@pytest.mark.parametrize("lane", LANES)
def test_a_connection_that_breaks_amid_a_response_is_never_called_complete(
    tmp_path: Path, sockets: SocketProvider, lane: str
) -> None:
    def half(connection: Any) -> None:
        asked = json.loads(connection.recv())
        send(connection, {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})
        send(connection, {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "half"})
        if asked["input"] == "cut":
            connection.socket.close()
        else:
            connection.recv()

    sockets.serving = half
    with gateway(tmp_path, sockets, lane) as instance:
        token = instance.mint("ann@example.com")
        with opened(instance, "/v1/responses", token) as connection:
            connection.send(json.dumps({"type": "response.create", "model": "gpt-4o", "input": "cut"}))
            connection.recv(timeout=20)
            connection.recv(timeout=20)
            with pytest.raises(ConnectionClosed) as broken:
                connection.recv(timeout=20)
        with opened(instance, "/v1/responses", token) as connection:
            connection.send(json.dumps({"type": "response.create", "model": "gpt-4o", "input": "leave"}))
            connection.recv(timeout=20)
            connection.recv(timeout=20)
        records = instance.recorded(2)

    assert broken.value.rcvd is None  # no close frame is made up
    ends = {record["request"]["input"]: record["end_state"] for record in records}
    assert ends == {"cut": "upstream_cut", "leave": "client_gone"}
    assert all(r["response"]["output"][0]["content"][0]["text"] == "half" for r in records)


@pytest.mark.parametrize("lane", LANES)
def test_who_is_revoked_gets_no_further_turn_of_an_open_websocket(
    tmp_path: Path, sockets: SocketProvider, lane: str
) -> None:
    with gateway(tmp_path, sockets, lane) as instance, opened(
        instance, "/v1/responses", instance.mint("ann@example.com")
    ) as connection:  # fmt: skip
        assert ask(connection, model="gpt-4o", input="before")[-1]["type"] == "response.completed"
        instance.sekisho("identity", "revoke", "--person", "ann@example.com", "--reason", "left")
        instance.wait_until(
            lambda: ask(connection, model="gpt-4o", input="after")[-1].get("code") == "invalid_token", 20
        )
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=20)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize("lane", LANES)
def test_our_own_end_is_told_by_a_close_frame_and_recorded_as_what_it_is(
    tmp_path: Path, sockets: SocketProvider, lane: str
) -> None:
    def begun(connection: Any) -> None:
        connection.recv()
        send(connection, {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})
        for _ in connection:
            pass

    sockets.serving = begun
    with gateway(tmp_path, sockets, lane) as instance:
        token = instance.mint("ann@example.com")
        with opened(instance, "/v1/responses", token) as idle, opened(instance, "/v1/responses", token) as busy:
            busy.send(json.dumps({"type": "response.create", "model": "gpt-4o", "input": "long"}))
            busy.recv(timeout=20)
            took = instance.stop()
            codes = []
            for connection in (idle, busy):
                with pytest.raises(ConnectionClosed) as closed:
                    connection.recv(timeout=20)
                codes.append(closed.value.rcvd and closed.value.rcvd.code)
        records = instance.records()

    assert codes == [1001, 1001]
    assert took < 15
    assert {record["end_state"] for record in records} == {"proxy_died"}
    assert [r["request"]["input"] for r in records if r["request"] is not None] == ["long"]


def test_an_offer_of_compression_is_taken_off_and_the_record_says_so(tmp_path: Path, sockets: SocketProvider) -> None:
    with Instance(tmp_path, sockets.url) as instance:
        with opened(instance, "/v1/responses", "sk-own-key-canary", compression="deflate") as connection:
            ask(connection, model="whatever", input="hello")
        (record,) = instance.recorded(1)

    assert "Sec-WebSocket-Extensions" not in sockets.requests[0].headers
    assert sockets.requests[0].headers["Authorization"] == "Bearer sk-own-key-canary"
    assert record["changed"] == ["sec-websocket-extensions"]
    assert record["request"]["input"] == "hello"


def test_a_record_of_websockets_is_the_same_when_it_is_derived_again(tmp_path: Path, sockets: SocketProvider) -> None:
    audio = base64.b64encode(AUDIO).decode()
    with Instance(tmp_path, sockets.url) as instance:
        with opened(instance, "/v1/responses") as connection:
            ask(connection, model="gpt-4o", input="天気は？")
        with opened(instance, "/v1/realtime?model=gpt-realtime") as connection:
            connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            connection.send(json.dumps({"type": "input_audio_buffer.commit"}))
            ask(connection)
        before = instance.recorded(2)
        instance.stop()
        rebuilt = instance.sekisho("db", "rebuild")
        after = instance.records()

    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    assert [record["operation"] for record in before] == ["responses", "realtime"]
    assert after == before
