"""What strangers may cost a forward listener: connections that say nothing, CONNECTs without end, half handshakes."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.test_table import peak_memory
from tests.journeys.forwarding import HOST, ForwardInstance, basic, read_head
from tests.journeys.instance import GATEWAY
from tests.journeys.provider import Provider, completion

SILENT = 10_000


@contextlib.contextmanager
def many_files(count: int) -> Iterator[None]:
    """Raise this process's limit on open files for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"this machine lets a process open {hard} files; {count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def serves(instance: ForwardInstance, token: str) -> bool:
    connection, head = instance.knocks(f"{HOST}:443", basic(token))
    connection.close()
    return head.startswith(b"HTTP/1.1 200 ")


@pytest.mark.timeout(240)
def test_ten_thousand_connections_that_say_nothing_cost_little_and_are_let_go(
    tmp_path: Path, provider: Provider
) -> None:
    limits = f"limits: {{connections: {SILENT // 2}, head_time: 5 s}}\n"
    with many_files(SILENT + 500), ForwardInstance(tmp_path, provider.url, more=limits) as instance:
        (worker,) = instance.pids("worker")
        before = peak_memory(worker)
        silent: list[socket.socket] = []
        try:
            silent.extend(socket.create_connection(("127.0.0.1", instance.forward), 20) for _ in range(SILENT))
            told = 0
            for one in silent:
                one.settimeout(30)
                with contextlib.suppress(ConnectionResetError):
                    told += one.recv(4096).startswith(b"HTTP/1.1 503 ")
        finally:
            for one in silent:
                one.close()
        grown = peak_memory(worker) - before
        instance.wait_until(lambda: serves(instance, "x"))
        assert instance.pids("worker") == [worker]
    assert grown < 40, f"{grown} MB for {SILENT} connections"
    assert told < SILENT


@pytest.mark.timeout(240)
def test_a_flood_of_connects_without_identity_is_refused_and_memory_stays(tmp_path: Path, provider: Provider) -> None:
    with ForwardInstance(tmp_path, provider.url, profile="gateway", more=GATEWAY) as instance:
        token = instance.mint("ann@example.com")
        (worker,) = instance.pids("worker")
        refused = 0
        for round_number in range(4):
            for _ in range(500):
                connection, head = instance.knocks(f"{HOST}:443")
                refused += head.startswith(b"HTTP/1.1 407 ")
                connection.close()
                instance._sockets.pop()
            if round_number == 0:
                before = peak_memory(worker)  # what is allocated once is
        grown = peak_memory(worker) - before
        assert serves(instance, token)
    assert refused == 2000
    assert provider.connections == 0
    assert grown < 10, f"{grown} MB"


@pytest.mark.timeout(120)
def test_half_handshakes_are_let_go_and_memory_stays(tmp_path: Path, provider: Provider) -> None:
    with ForwardInstance(tmp_path, provider.url, more="limits: {head_time: 2 s}\n") as instance:
        (worker,) = instance.pids("worker")
        for round_number in range(2):
            half = [instance.knocks(f"{HOST}:443")[0] for _ in range(300)]
            for one in half:
                one.sendall(b"\x16\x03\x01\x3f\xff" + bytes(8000))
            for one in half:
                with contextlib.suppress(ConnectionResetError):
                    assert one.recv(100) == b""
                one.close()
            if round_number == 0:
                before = peak_memory(worker)
        grown = peak_memory(worker) - before
        assert serves(instance, "x")
    assert grown < 10, f"{grown} MB"


def test_requests_that_are_begun_and_not_ended_are_told(tmp_path: Path, provider: Provider) -> None:
    provider.answer = completion()
    with ForwardInstance(tmp_path, provider.url, more="limits: {head: 4 KiB, head_time: 2 s}\n") as instance:
        answers = {}
        for what, sent in {
            "slow": b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost:",
            "endless": b"CONNECT api.openai.com:443 HTTP/1.1\r\nX: " + b"a" * 5000,
            "lines": b"CONNECT api.openai.com:443 HTTP/1.1\r\n" + b"a: b\r\n" * 300,
            "garbage": bytes(range(128, 256)) + b"\r\n\r\n",
            "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            "bare LF": b"CONNECT api.openai.com:443 HTTP/1.1\n\n",
            "two": b"CONNECT api.openai.com:443 HTTP/9.9\r\n\r\n",
        }.items():
            connection = socket.create_connection(("127.0.0.1", instance.forward), 5)
            connection.settimeout(10)
            connection.sendall(sent)
            answers[what] = read_head(connection)[9:12]
            connection.close()
            time.sleep(0.01)
    assert answers == {
        "slow": b"408", "endless": b"431", "lines": b"431", "garbage": b"400", "tls": b"400", "bare LF": b"400",
        "two": b"400",
    }  # fmt: skip
