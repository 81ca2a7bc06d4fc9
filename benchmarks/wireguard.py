"""What WireGuard mode costs, beside bare mitmdump's: `unshare -n python -m benchmarks.wireguard [ROUNDS]`, by root.

Both behind the same peer of user space (tests/journeys/wireguard_peer.py), asked in turn, so that both meet the same load
of the machine, and an answer at once by a plain upstream on this machine. Sekisho runs the gateway profile: who calls is
proven by the tunnel's key, rules, every request on disk before it is forwarded, all of it recorded.

The peer is Python and takes more of a processor than what it measures: rates are its own, and the same for both where
it is the narrowest place. What each of the two spends itself is under `cpu`.
"""

import json
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import free_port, stat_fields, ticks
from identities.wireguard_key import public_key
from tests.journeys.forwarding import HOST, ForwardInstance, read_head
from tests.journeys.instance import GATEWAY, ROOT, Instance
from tests.journeys.provider import Answer, Provider, Received, completion
from tests.journeys.transparent_road import CALLED, lines
from tests.journeys.wireguard_road import key

_ASKED = 150
"""Short calls one after the other, in one round."""

_AT_ONCE = 8
_LARGE = 16 << 20
"""Bytes of the large reply."""

_SHORT = b'{"model":"gpt-4o","messages":[{"role":"user","content":"How long is this road?"}]}'
_LONG = b'{"model":"gpt-4o","messages":[{"role":"user","content":"large"}]}'


@dataclass
class Measured:
    """Of one of the two: seconds of each short call; rates, and seconds of its own processor time."""

    took: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    cpu_short: list[float] = field(default_factory=list)
    cpu_large: list[float] = field(default_factory=list)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    lines(f"link set lo up\naddr add {CALLED}/32 dev lo")
    found = {"bare mitmdump": Measured(), "Sekisho": Measured()}
    with tempfile.TemporaryDirectory() as name, Provider(choose=_answer) as provider:
        folder = Path(name)
        (folder / "sekisho").mkdir()
        with _sekisho(folder / "sekisho", provider) as ours, _mitmdump(folder, provider) as theirs:
            for number in range(rounds + 1):
                for one, way in (("bare mitmdump", theirs), ("Sekisho", ours)):
                    got, before = found[one] if number else Measured(), way.cpu()  # the first round warms up
                    short = way.ask("short")
                    got.cpu_short.append((way.cpu() - before) / (len(short["took"]) + short["asked"]))
                    got.took += short["took"]
                    got.rates.append(short["asked"] / short["seconds"])
                    before = way.cpu()
                    large = way.ask("large")
                    got.cpu_large.append((way.cpu() - before) / (_LARGE >> 20))
                    got.megabytes.append((_LARGE >> 20) / large["seconds"])
    _print(found, rounds)


def _print(found: dict[str, Measured], rounds: int) -> None:
    print(f"{rounds} rounds, in turn; load average {Path('/proc/loadavg').read_text().split()[0]}")
    print(f"{'':15}{'p50 ms':>9}{'p99 ms':>9}{'req/s':>9}{'cpu ms/req':>12}{'MB/s':>8}{'cpu ms/MB':>11}")
    for name, of in found.items():
        p99 = statistics.quantiles(of.took, n=100)[98]
        print(
            f"{name:15}{statistics.median(of.took) * 1e3:9.2f}{p99 * 1e3:9.2f}{statistics.median(of.rates):9.0f}"
            f"{statistics.median(of.cpu_short) * 1e3:12.2f}{statistics.median(of.megabytes):8.1f}"
            f"{statistics.median(of.cpu_large) * 1e3:11.1f}"
        )
    bare, ours = found.values()
    print(f"p50 {(statistics.median(ours.took) - statistics.median(bare.took)) * 1e3:+.2f} ms", end="; ")
    for what, mine, other in (
        ("req/s", ours.rates, bare.rates),
        ("cpu/req", ours.cpu_short, bare.cpu_short),
        ("MB/s", ours.megabytes, bare.megabytes),
        ("cpu/MB", ours.cpu_large, bare.cpu_large),
    ):
        print(f"{what} × {statistics.median(mine) / statistics.median(other):.2f}", end="; ")
    print()


def _answer(received: Received) -> Answer:
    if b'"large"' not in received.body:
        return completion()
    piece = b" " * (64 << 10)
    return Answer(chunks=[piece] * (_LARGE // len(piece) - 1) + [piece[:-2] + b"{}"], sized=True)


# -- the two ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """One of them: `ask` runs the caller behind its tunnel, `cpu` is what it has spent so far, seconds."""

    ask: Callable[[str], dict[str, Any]]
    cpu: Callable[[], float]


@contextmanager
def _way(port: int, server: str, own: str, authority: Path, pid: int) -> Iterator[Way]:
    """One tunnel for the whole run: after ten handshakes the server's side asks for cookies, which that peer has none
    of."""
    peer = [sys.executable, "-m", "tests.journeys.wireguard_peer", str(port), server, own]
    command = [*peer, sys.executable, "-m", "benchmarks.wireguard", "caller", str(authority)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to_it, from_it = process.stdin, process.stdout

        def ask(what: str) -> dict[str, Any]:
            to_it.write(f"{what}\n")
            to_it.flush()
            said = from_it.readline()
            if not said.startswith('{"took"'):
                raise SystemExit(f"not answered: {said}")
            found: dict[str, Any] = json.loads(said)
            return found

        yield Way(ask, lambda: ticks(stat_fields(pid), 11, 13))
        to_it.close()


@contextmanager
def _sekisho(folder: Path, provider: Provider) -> Iterator[Way]:
    (own, public), port = key(), free_port()
    instance = ForwardInstance(folder, provider.url, profile="gateway", more=GATEWAY)
    listener = (
        f"  - {{address: '127.0.0.1:{port}', mode: wireguard, "
        f"peer: {{public_key: '{public}', email: ann@example.com}}}}\n"
    )
    text = instance.config.read_text(encoding="utf-8")
    instance.config.write_text(text.replace("data_dir:", f"{listener}data_dir:", 1), encoding="utf-8")
    with instance:
        (worker,) = instance.pids("worker")
        with _way(port, public_key(instance.data_dir), own, instance.authority, worker) as way:
            yield way


@contextmanager
def _mitmdump(folder: Path, provider: Provider) -> Iterator[Way]:
    """With nothing but the upstream in place of the provider's."""
    (own, _), (server, public), port = key(), key(), free_port()
    keys = folder / "wireguard.conf"
    keys.write_text(json.dumps({"server_key": server, "client_key": own}), encoding="utf-8")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("mitmdump"), "-q", "--mode", f"wireguard:{keys}@127.0.0.1:{port}",
         "--set", f"confdir={folder}", "--set", "connection_strategy=lazy", "--set", "upstream_cert=false",
         "--set", "stream_large_bodies=1m", "--map-remote", f"|https://{HOST}/|{provider.url}/"],
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        Instance.wait_until((folder / "mitmproxy-ca-cert.pem").exists, 30)
        time.sleep(1)
        with _way(port, public, own, folder / "mitmproxy-ca-cert.pem", process.pid) as way:
            yield way
    finally:
        process.terminate()
        process.wait(10)


# -- the caller, behind the tunnel ------------------------------------------------------------------------------------


def caller(authority: str) -> None:
    """Answers each line, `short` or `large`, with a JSON object on one: `took`, seconds of each call one after the
    other; `asked` calls at once in `seconds`."""
    context = ssl.create_default_context(cafile=authority)
    for line in sys.stdin:
        print(json.dumps(_large(context) if line.strip() == "large" else _short(context)), flush=True)


def _large(context: ssl.SSLContext) -> dict[str, Any]:
    with _connect(context) as connection:
        began = time.perf_counter()
        _ask(connection, _LONG)
        return {"took": [], "asked": 1, "seconds": time.perf_counter() - began}


def _short(context: ssl.SSLContext) -> dict[str, Any]:
    took = []
    with _connect(context) as connection:
        for _ in range(_ASKED):
            began = time.perf_counter()
            _ask(connection, _SHORT)
            took.append(time.perf_counter() - began)
    connections = [_connect(context) for _ in range(_AT_ONCE)]
    began = time.perf_counter()
    threads = [threading.Thread(target=_ask_often, args=(each,)) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for each in connections:
        each.close()
    return {"took": took, "asked": _AT_ONCE * (_ASKED // _AT_ONCE), "seconds": seconds}


def _connect(context: ssl.SSLContext) -> ssl.SSLSocket:
    connection = socket.create_connection((CALLED, 443), 20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secured = context.wrap_socket(connection, server_hostname=HOST)
    _ask(secured, _SHORT)
    return secured


def _ask_often(connection: ssl.SSLSocket) -> None:
    for _ in range(_ASKED // _AT_ONCE):
        _ask(connection, _SHORT)


def _ask(connection: ssl.SSLSocket, body: bytes) -> None:
    connection.sendall(
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    head, _, body = read_head(connection).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"refused: {head[:300]!r}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    left = int(length.partition(b":")[2]) - len(body)
    while left > 0:
        more = connection.recv(65536)
        if not more:
            raise SystemExit(f"cut off: {left} bytes are missing")
        left -= len(more)


if __name__ == "__main__":
    if sys.argv[1:2] == ["caller"]:
        caller(sys.argv[2])
    else:
        main()
