"""What a call of gRPC costs through an opened host, beside bare mitmdump: `python -m benchmarks.grpc [ROUNDS]`.

A real client and server of gRPC (grpcio) on this machine, one channel through CONNECT and TLS each, a unary call of a few
bytes at a time. The ways are asked in turn, so that all meet the same load of the machine. Sekisho runs the gateway
profile: identity at the CONNECT, rules, the call's head and its message on disk one after the other before they go on.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc

from benchmarks.processes import free_port, stat_fields, ticks
from tests.journeys.forwarding import HOST
from tests.journeys.grpc_gate import ALLOWED, GrpcInstance
from tests.journeys.grpc_provider import SERVICE, GrpcProvider, channel
from tests.journeys.instance import Instance

_ASKED = 200

type Ask = Callable[[bytes], bytes]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        provider = stack.enter_context(GrpcProvider(folder))
        (folder / "sekisho").mkdir()
        instance = stack.enter_context(
            GrpcInstance(folder / "sekisho", provider.url, provider.ca_file, profile="gateway", more=ALLOWED)
        )
        (worker,) = instance.pids("worker")
        pid, port = stack.enter_context(_mitmdump(folder, provider))
        trusted = grpc.ssl_channel_credentials((folder / "mitmproxy-ca-cert.pem").read_bytes())
        bare = grpc.secure_channel(f"{HOST}:443", trusted, options=[("grpc.http_proxy", f"http://127.0.0.1:{port}")])
        direct = grpc.secure_channel(
            f"localhost:{provider.port}", grpc.ssl_channel_credentials(provider.ca_file.read_bytes())
        )
        through = stack.enter_context(channel(instance, instance.mint("ann@example.com")))
        ways = {"straight": (direct, 0), "bare mitmdump": (bare, pid), "Sekisho": (through, worker)}
        took: dict[str, list[float]] = {way: [] for way in ways}
        spent: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            for way, (made, of) in ways.items():
                before = ticks(stat_fields(of), 11, 13)
                measured = _ask(made.unary_unary(f"/{SERVICE}/Unary"))
                if number:  # the first round warms up
                    took[way] += measured
                    spent[way].append((ticks(stat_fields(of), 11, 13) - before) / _ASKED)
        for made in (bare, direct):
            made.close()
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"{'':15}{'p50':>9}{'p99':>9}{'cpu':>9}   ms, {rounds} × {_ASKED} calls each, in turn; load average {load}")
    for way, values in took.items():
        p99 = statistics.quantiles(values, n=100)[98]
        cpu = statistics.median(spent[way])
        print(f"{way:15}{statistics.median(values) * 1e3:9.2f}{p99 * 1e3:9.2f}{cpu * 1e3:9.2f}")


def _ask(call: Ask) -> list[float]:
    took = []
    for _ in range(_ASKED):
        began = time.perf_counter()
        if call(b"How long is this road?") != b"?daor siht si gnol woH":
            raise SystemExit("another answer came back")
        took.append(time.perf_counter() - began)
    return took


@contextmanager
def _mitmdump(folder: Path, provider: GrpcProvider) -> Iterator[tuple[int, int]]:
    """Its process and port; with nothing but the upstream in place of the provider's."""
    port = free_port()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("mitmdump"), "-q", "--listen-host", "127.0.0.1", "-p", str(port),
         "--set", f"confdir={folder}", "--set", "connection_strategy=lazy", "--set", "upstream_cert=false",
         "--set", f"ssl_verify_upstream_trusted_ca={provider.ca_file}",
         "--map-remote", f"|https://{HOST}/|{provider.url}/"],
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        Instance.wait_until(lambda: Instance.takes_connections(port), 30)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    main()
