"""What forward mode adds to a call, beside bare mitmdump: `python -m benchmarks.forward [ROUNDS]`.

One caller, one kept connection through CONNECT and TLS, HTTP/1.1, an answer at once by a plain upstream on this machine.
The two are asked in turn, so that both meet the same load of the machine. Sekisho runs the gateway profile: identity at
the CONNECT, rules, every request on disk before it is forwarded.
"""

import contextlib
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import free_port
from tests.journeys.forwarding import HOST, ForwardInstance, basic, read_answer, read_head
from tests.journeys.instance import GATEWAY, Instance
from tests.journeys.provider import Provider, completion

_ASKED = 200
_BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"How long is this road?"}]}'
_REQUEST = (
    f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    f"Authorization: Bearer sk-mine\r\nContent-Length: {len(_BODY)}\r\n\r\n"
).encode() + _BODY


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name, Provider(completion()) as provider:
        folder = Path(name)
        (folder / "sekisho").mkdir()
        with (
            ForwardInstance(folder / "sekisho", provider.url, profile="gateway", more=GATEWAY) as instance,
            _mitmdump(folder, provider) as port,
        ):
            token = instance.mint("ann@example.com")
            theirs = ssl.create_default_context(cafile=str(folder / "mitmproxy-ca-cert.pem"))
            ways = {
                "bare mitmdump": _open(port, theirs),
                "Sekisho, forward": _open(instance.forward, instance.trusting(), basic(token)),
            }
            took: dict[str, list[float]] = {name: [] for name in ways}
            for number in range(rounds + 1):
                for name, way in ways.items():
                    measured = _ask(way)
                    took[name] += measured if number else []  # the first round warms up
            for way in ways.values():
                way.close()
    direct = f"{'':18}{'p50':>9}{'p99':>9}   ms, {rounds} × {_ASKED} requests each, in turn"
    print(direct)
    for name, values in took.items():
        p99 = statistics.quantiles(values, n=100)[98]
        print(f"{name:18}{statistics.median(values) * 1e3:9.3f}{p99 * 1e3:9.3f}")


def _ask(way: ssl.SSLSocket) -> list[float]:
    took = []
    for _ in range(_ASKED):
        began = time.perf_counter()
        way.sendall(_REQUEST)
        answer = read_answer(way)
        took.append(time.perf_counter() - began)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"refused: {answer[:300]!r}")
    return took


def _open(port: int, context: ssl.SSLContext, *fields: str) -> ssl.SSLSocket:
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(20)
    head = "".join(f"{line}\r\n" for line in (f"CONNECT {HOST}:443 HTTP/1.1", f"Host: {HOST}:443", *fields, ""))
    connection.sendall(head.encode())
    answer = read_head(connection)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"no tunnel: {answer[:300]!r}")
    return context.wrap_socket(connection, server_hostname=HOST)


@contextlib.contextmanager
def _mitmdump(folder: Path, provider: Provider) -> Iterator[int]:
    """With nothing but the upstream in place of the provider's."""
    port = free_port()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("mitmdump"), "-q", "--listen-host", "127.0.0.1", "-p", str(port),
         "--set", f"confdir={folder}", "--set", "connection_strategy=lazy", "--set", "upstream_cert=false",
         "--map-remote", f"|https://{HOST}/|{provider.url}/"],
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        Instance.wait_until(lambda: _listens(port), 30)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
