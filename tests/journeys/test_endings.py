"""However an exchange ends, it has one row that tells the truth about it."""

import json
import os
import signal
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.instance import Instance
from tests.journeys.provider import STREAM, Answer, Provider, chat_chunks, sse, streamed

WORDS = ["one ", "two ", "three ", "four ", "five "]
BODY = json.dumps({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "count"}]}).encode()
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (
        len(BODY),
        BODY,
    )
)


def connect(instance: Instance) -> socket.socket:
    return instance.connect(REQUEST)


def read_until(connection: socket.socket, words: bytes) -> bytes:
    got = b""
    while words not in got:
        more = connection.recv(65536)
        assert more, f"ended after {got!r}"
        got += more
    return got


def read_all(connection: socket.socket) -> bytes:
    got = b""
    try:
        while more := connection.recv(65536):
            got += more
    except OSError:
        pass
    return got


def content(record: dict[str, Any]) -> str:
    return str(record["response"]["choices"][0]["message"]["content"])


def test_a_caller_who_leaves_before_the_head_is_client_gone(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = streamed(WORDS, before_head=1.0)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        connection = connect(instance)
        time.sleep(0.4)
        connection.close()
        (record,) = instance.recorded(1)

    assert record["end_state"] == "client_gone"
    assert record["response"] is None


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
def test_a_caller_who_leaves_in_mid_stream_is_noticed_at_once(
    tmp_path: Path, provider: Provider, lane: str, how: str
) -> None:
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS))[:3], fields=STREAM, ending="hang")
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        connection = connect(instance)
        read_until(connection, b"two")
        if how == "half-close":
            connection.shutdown(socket.SHUT_WR)
        elif how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            connection.close()
        (record,) = instance.recorded(1)
        instance.wait_until(lambda: provider.gone == 1, 3)
        connection.close()

    assert record["end_state"] == "client_gone"
    assert content(record) == "one two "
    assert record["response"]["choices"][0]["finish_reason"] is None


def test_a_caller_who_leaves_after_the_terminal_event_has_lost_nothing(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS)), fields=STREAM, ending="hang")
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        connection = connect(instance)
        read_until(connection, b"[DONE]")
        connection.close()
        (record,) = instance.recorded(1)

    assert record["end_state"] == "complete"
    assert content(record) == "".join(WORDS)


@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_a_provider_that_breaks_off_breaks_the_caller_off_too(
    tmp_path: Path, provider: Provider, lane: str, ending: Any
) -> None:
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS))[:4], fields=STREAM, ending=ending)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        got = read_all(connect(instance))
        (record,) = instance.recorded(1)

    assert b"three" in got
    assert not got.endswith(b"0\r\n\r\n"), "we made up an end that the provider did not send"
    assert record["end_state"] == "upstream_cut"
    assert content(record) == "one two three "
    assert record["status"] == 200


def test_a_clean_end_without_the_terminal_event_is_not_complete(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS))[:4], fields=STREAM)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        read_until(connect(instance), b"0\r\n\r\n")
        (record,) = instance.recorded(1)

    assert record["end_state"] == "upstream_cut"


def test_a_provider_that_cannot_be_reached_is_an_upstream_error(tmp_path: Path, lane: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with Instance(tmp_path, dead, lane=lane) as instance:
            got = read_until(connect(instance), b"\r\n\r\n")
            (record,) = instance.recorded(1)

    assert b" 502 " in got.split(b"\r\n")[0]
    assert record["end_state"] == "upstream_error"
    assert record["status"] == 502


def test_a_provider_that_says_nothing_for_too_long_is_timed_out(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS))[:3], fields=STREAM, ending="hang")
    with Instance(tmp_path, provider.url, lane=lane, more="timeouts: {silence: 1 s}\n") as instance:
        connection = connect(instance)
        read_all(connection)
        (record,) = instance.recorded(1)

    assert record["end_state"] == "timed_out"
    assert content(record) == "one two "


def test_an_error_event_in_the_stream_is_an_upstream_error(tmp_path: Path, provider: Provider, lane: str) -> None:
    error = {"error": {"message": "overloaded", "code": 502}}
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS)[:3], error), fields=STREAM)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        read_until(connect(instance), b"0\r\n\r\n")
        (record,) = instance.recorded(1)

    assert record["end_state"] == "upstream_error"
    assert content(record) == "one two "


def test_sigterm_lets_streams_end_and_records_them(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = streamed(WORDS, pause=0.2)
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        connection = connect(instance)
        read_until(connection, b"one")
        stopping = threading.Thread(target=instance.stop)
        stopping.start()
        rest = read_all(connection)
        stopping.join()
        (record,) = instance.records()

    assert b"[DONE]" in rest
    assert record["end_state"] == "complete"


def test_a_stream_that_outlives_the_drain_is_proxy_died_with_what_came(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS))[:3], fields=STREAM, ending="hang")
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        connection = connect(instance)
        read_until(connection, b"two")
        took = instance.stop()
        connection.close()
        (record,) = instance.records()

    assert took < 8
    assert record["end_state"] == "proxy_died"
    assert content(record) == "one two "


def test_a_worker_killed_in_mid_stream_leaves_the_row_and_is_replaced(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS))[:3], fields=STREAM, ending="hang")
    with Instance(tmp_path, provider.url, lane=lane) as instance:
        connection = connect(instance)
        read_until(connection, b"two")
        time.sleep(1.7)  # flushed to the journal every second
        instance.kill("worker")
        (record,) = instance.recorded(1)
        connection.close()
        provider.answer = streamed(WORDS)
        instance.wait_until(instance._listens)
        read_until(connect(instance), b"0\r\n\r\n")
        records = instance.recorded(2)

    assert record["end_state"] == "proxy_died"
    assert content(record) == "one two "
    assert records[1]["end_state"] == "complete"


def test_a_recorder_killed_again_and_again_stores_everything_once(tmp_path: Path, provider: Provider) -> None:
    provider.answer = streamed(WORDS)
    more = "storage: {journal_file: 20000}\n"  # several files, and exchanges that span them
    with Instance(tmp_path, provider.url, more=more) as instance:
        slow = connect_slowly(instance, provider)
        for round_ in range(4):
            for _ in range(15):
                read_until(connect(instance), b"0\r\n\r\n")
            another_recorder(instance, killed=instance.kill("recorder"))
            time.sleep(0.3 * round_)
        slow.close()
        records = instance.recorded(61, within=20)
        time.sleep(3)
        left = list((instance.data_dir / "journal").rglob("0*.sqlite"))

    assert len({record["id"] for record in records}) == len(records) == 61
    states = [record["end_state"] for record in records]
    assert states.count("complete") == 60
    assert states.count("client_gone") == 1
    assert len(left) <= 2, "journal files that are stored whole are removed"


def another_recorder(instance: Instance, killed: int) -> None:
    instance.wait_until(lambda: instance.pids("recorder") not in ([], [killed]), 15)


def connect_slowly(instance: Instance, provider: Provider) -> socket.socket:
    """A stream that stays open over several journal files."""
    usual = provider.answer
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS))[:3], fields=STREAM, ending="hang")
    connection = connect(instance)
    read_until(connection, b"two")
    provider.answer = usual
    return connection


def test_a_gateway_whose_journal_is_past_its_limit_answers_503_and_forwards_nothing(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    from tests.journeys.instance import GATEWAY

    provider.answer = streamed(WORDS)
    more = GATEWAY + "storage: {journal_limit: 300 KiB, journal_file: 100 KiB}\n"
    with Instance(tmp_path, provider.url, lane=lane, profile="gateway", more=more) as instance:
        token = instance.mint("ann@example.com")
        (pid,) = instance.pids("recorder")
        os.kill(pid, signal.SIGSTOP)  # behind for ever
        body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "x" * 60_000}]}).encode()
        statuses = [_post(instance, token, body) for _ in range(12)]
        time.sleep(1)
        statuses.append(_post(instance, token, body))
        forwarded = len(provider.received)
        statuses.append(_post(instance, token, body))
        assert len(provider.received) == forwarded
        os.kill(pid, signal.SIGCONT)
        instance.wait_until(lambda: _post(instance, token, b'{"model":"gpt-4o","messages":[]}') == 200, 15)

    assert statuses[0] == 200
    assert statuses[-2:] == [503, 503]


def _post(instance: Instance, token: str, body: bytes) -> int:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=20)
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status
