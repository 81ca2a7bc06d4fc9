"""H4, H6, H7, and the ends of connections: what one caller or one provider may do to everybody else."""

import contextlib
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.attacks.asking import ask
from tests.attacks.rows import GOOD, chunked, post
from tests.attacks.target import gateway, tokens_of
from tests.attacks.test_table import peak_memory
from tests.journeys.instance import Instance
from tests.journeys.provider import STREAM, Answer, Provider, chat_chunks, sse, streamed

WORDS = ["one ", "two ", "three "]


def good(instance: Instance) -> bytes:
    return post().replace(b"TOKEN", tokens_of(instance)[b"TOKEN"])


def test_too_many_connections_are_told_so_and_the_others_are_served(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    with gateway(tmp_path, provider, lane, more="limits: {connections: 8}\n") as instance:
        request = good(instance)
        instance.wait_until(lambda: ask(instance.port, [request]).statuses == [200], 5)
        held = [instance.connect(b"POST / HTTP/1.1\r\n") for _ in range(8)]
        time.sleep(0.2)
        refused = ask(instance.port, [request])
        for connection in held:
            connection.close()
        instance.wait_until(lambda: ask(instance.port, [request]).statuses == [200], 5)

    assert refused.statuses == [503]
    assert refused.code == "overloaded"


def test_an_idle_connection_is_closed_and_one_that_says_nothing_too(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    with gateway(tmp_path, provider, lane, more="limits: {idle: 1 s}\n") as instance:
        silent = instance.connect(b"")
        used = instance.connect(good(instance))
        assert used.recv(65536).startswith(b"HTTP/1.1 200")
        ends = [_ended(connection, 5) for connection in (silent, used)]

    assert ends == [True, True]


def test_a_body_that_takes_too_long_is_refused(tmp_path: Path, provider: Provider, lane: str) -> None:
    with gateway(tmp_path, provider, lane, more="limits: {body_time: 1 s}\n") as instance:
        start = good(instance)[:-5]
        connection = instance.connect(start)
        answer = connection.recv(65536)
        (record,) = instance.recorded(1)

    assert answer.startswith(b"HTTP/1.1 408")
    assert record["decision"]["code"] == "body_timeout"
    assert provider.raw == []


def test_a_lingering_caller_is_let_go(tmp_path: Path, provider: Provider, lane: str) -> None:
    """A refused caller that never ends its half costs a connection for a while, not for ever."""
    with gateway(tmp_path, provider, lane) as instance:
        connection = instance.connect(post(b"", "Content-Length: 100000", auth="", framed=b""))
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
        (worker,) = instance.pids("worker")
        instance.wait_until(lambda: not _holds(worker, connection), 15)


def test_a_slow_reader_holds_the_provider_back_and_is_noticed_when_it_leaves(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    provider.answer = Answer(chunks=[b"x" * (1 << 20)] * 100, fields=STREAM, pause=0.001)
    with gateway(tmp_path, provider, lane) as instance:
        (worker,) = instance.pids("worker")
        connection = instance.connect(good(instance))
        connection.recv(1000)
        before = peak_memory(worker)
        time.sleep(2)
        grown = peak_memory(worker) - before
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        (record,) = instance.recorded(1)

    assert grown < 64, f"{grown} MB"
    assert record["end_state"] == "client_gone"


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
def test_a_caller_who_leaves_amid_a_stream_ends_it_upstream(
    tmp_path: Path, provider: Provider, lane: str, how: str
) -> None:
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS))[:3], fields=STREAM, ending="hang")
    with gateway(tmp_path, provider, lane) as instance:
        connection = instance.connect(good(instance))
        _until(connection, b"two")
        if how == "half-close":
            connection.shutdown(socket.SHUT_WR)
        elif how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how != "half-close":
            connection.close()
        instance.wait_until(lambda: provider.gone == 1, 3)
        (record,) = instance.recorded(1)
        connection.close()

    assert record["end_state"] == "client_gone"


def test_a_caller_who_leaves_amid_its_body_is_on_record_and_nothing_goes_on(
    tmp_path: Path, provider: Provider, lane: str
) -> None:
    with gateway(tmp_path, provider, lane) as instance:
        connection = instance.connect(good(instance)[:-5])
        time.sleep(0.3)
        connection.close()
        (record,) = instance.recorded(1)

    assert record["end_state"] == "client_gone"
    assert provider.raw == []


def test_a_provider_that_never_answers_is_given_up(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = streamed(WORDS, before_head=30)
    with gateway(tmp_path, provider, lane, more="timeouts: {silence: 1 s}\n") as instance:
        answer = ask(instance.port, [good(instance)])
        (record,) = instance.recorded(1)

    assert answer.statuses == [504]
    assert answer.code == "upstream_timeout"
    assert record["end_state"] == "timed_out"


def test_a_provider_that_falls_silent_amid_a_stream_is_given_up(tmp_path: Path, provider: Provider, lane: str) -> None:
    provider.answer = Answer(chunks=sse(*chat_chunks(WORDS))[:3], fields=STREAM, ending="hang")
    with gateway(tmp_path, provider, lane, more="timeouts: {silence: 1 s}\n") as instance:
        connection = instance.connect(good(instance))
        got = _until(connection, b"two")
        ended = _ended(connection, 6)
        (record,) = instance.recorded(1)

    assert ended
    assert not got.endswith(b"0\r\n\r\n")
    assert record["end_state"] == "timed_out"
    assert provider.gone == 1


def test_a_provider_that_cannot_be_reached_is_told_in_the_called_apis_shape(tmp_path: Path, lane: str) -> None:
    with Provider() as gone:
        pass
    with gateway(tmp_path, gone, lane) as instance:
        request = post(GOOD, "x-api-key: TOKEN", line="POST /anthropic/v1/messages HTTP/1.1", auth="")
        request = request.replace(b"TOKEN", tokens_of(instance)[b"TOKEN"])
        answer = ask(instance.port, [request])
        (record,) = instance.recorded(1)

    assert answer.statuses == [502]
    assert answer.code == "upstream_unreachable"
    assert b'"type":"error"' in answer.raw
    assert b"127.0.0.1" not in answer.raw, "nothing about our network"
    assert record["end_state"] == "upstream_error"


def test_a_100_is_sent_only_for_a_body_that_is_wanted(tmp_path: Path, provider: Provider, lane: str) -> None:
    with gateway(tmp_path, provider, lane) as instance:
        head = post(b"", "Expect: 100-continue", f"Content-Length: {len(GOOD)}", framed=b"")
        connection = instance.connect(head.replace(b"TOKEN", tokens_of(instance)[b"TOKEN"]))
        told = connection.recv(65536)
        connection.sendall(GOOD)
        answer = connection.recv(65536)

    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"expect" not in provider.raw[0].lower()


def test_one_connection_serves_many_and_each_is_judged_alone(tmp_path: Path, provider: Provider, lane: str) -> None:
    with gateway(tmp_path, provider, lane) as instance:
        framed = post(b"", "Transfer-Encoding: chunked", framed=chunked(GOOD)).replace(
            b"TOKEN", tokens_of(instance)[b"TOKEN"]
        )
        answer = ask(instance.port, [good(instance), post(auth=""), framed, b"\r\n", good(instance)], answers=4)
        records = instance.recorded(4)

    assert answer.statuses == [200, 401, 200, 200]
    assert [record["status"] for record in records] == answer.statuses
    assert len(provider.raw) == 3


def test_a_deep_pipeline_of_refusals_is_answered_to_the_end(tmp_path: Path, provider: Provider, lane: str) -> None:
    with gateway(tmp_path, provider, lane) as instance:
        answer = ask(instance.port, [b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n" * 1500], answers=1500, patience=20)

    assert answer.statuses == [401] * 1500
    assert provider.connections == 0


def _until(connection: socket.socket, words: bytes) -> bytes:
    got = b""
    while words not in got:
        more = connection.recv(65536)
        assert more, f"ended after {got!r}"
        got += more
    return got


def _ended(connection: socket.socket, within: float) -> bool:
    connection.settimeout(within)
    with contextlib.suppress(ConnectionError):
        try:
            while connection.recv(65536):
                pass
        except TimeoutError:
            return False
    return True


def _holds(pid: int, connection: socket.socket) -> bool:
    """Whether the process still has its end of this connection (proc(5): net/tcp by inode)."""
    ours = f"{connection.getsockname()[1]:04X}"
    inodes = {
        fields[9]
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        if (fields := line.split())[2].endswith(f":{ours}")
    }
    held = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            held.add(str(entry.readlink()))
    return any(f"socket:[{inode}]" in held for inode in inodes)


def test_bodies_that_never_end_do_not_take_everybodys_memory(tmp_path: Path, provider: Provider, lane: str) -> None:
    """One person may begin many at once, and send each for hours."""
    with gateway(tmp_path, provider, lane, more="limits: {body: 1 MiB, bodies: 3 MiB}\n") as instance:
        request = good(instance)
        endless = request.replace(b"Content-Length: %d" % len(GOOD), b"Content-Length: %d" % (1 << 20))
        held = [instance.connect(endless + b" " * (900 << 10)) for _ in range(6)]
        answers = []
        for connection in held:
            connection.settimeout(1)
            with contextlib.suppress(TimeoutError):
                answers.append(connection.recv(65536)[:12])
        for connection in held:
            connection.close()
        instance.wait_until(lambda: ask(instance.port, [request]).statuses == [200], 5)

    assert answers == [b"HTTP/1.1 503"] * len(answers)
    assert 2 <= len(answers) <= 4
    assert len(provider.raw) >= 1
    assert all(len(one) < 10_000 for one in provider.raw), "none of the endless ones went on"
