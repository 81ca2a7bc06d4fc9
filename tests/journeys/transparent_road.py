"""Three network namespaces, and a call from the first through a gateway in the second to whom it never heard of.

Run by root: `unshare -n python -m tests.journeys.transparent_road FOLDER`. Prints one JSON object.
The callers' namespace has the gateway as its router. What comes from there is handed to the gateway's own sockets by a
route (`local default dev lo`), as TPROXY would: the addresses stay as they are.
"""

import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.identities.certificates import authority as server_authority
from tests.identities.certificates import server_tls
from tests.journeys.forwarding import HOST, ForwardInstance, read_answer
from tests.journeys.instance import GATEWAY, ROOT
from tests.journeys.provider import Provider, completion

CALLED, CALLED_6 = "198.51.100.7", "2001:db8:7::7"
ELSEWHERE, ELSEWHERE_6 = "198.51.100.9", "2001:db8:7::9"
LISTENERS = "  - {address: '0.0.0.0:443', mode: transparent}\n  - {address: '[::]:443', mode: transparent}\n"
ROUTED = """
    rule {0} iif toc lookup 100
    -6 rule {0} iif toc lookup 100
"""
UNDO = {
    "nft": "nft delete table inet sekisho",
    "iptables": "for each in iptables ip6tables; do $each -t nat -F; $each -F; done",
}
HOSTS = "hosts: {addresses: [198.51.100.0/24, '2001:db8::/32'], rules: [{host: bad.example.com, then: block}]}\n"


def ip(*words: str, within: int | None = None) -> None:
    enter = ["nsenter", "-t", str(within), "-n"] if within else []
    subprocess.run([*enter, "ip", *words], check=True)


def lines(text: str, within: int | None = None) -> None:
    for line in filter(None, map(str.strip, text.splitlines())):
        ip(*line.split(), within=within)


def namespace() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["unshare", "-n", "sleep", "300"])


def wire(callers: int, elsewhere: int) -> None:
    """Addresses and routes of all three."""
    lines(f"""
        link set lo up
        link add toc type veth peer name out0 netns {callers}
        link add tos type veth peer name out0 netns {elsewhere}
        addr add 10.9.0.1/24 dev toc
        addr add fd09::1/64 dev toc nodad
        addr add 10.9.1.1/24 dev tos
        addr add fd0a::1/64 dev tos nodad
        link set toc up
        link set tos up
        route add 198.51.100.0/24 via 10.9.1.2
        -6 route add 2001:db8:7::/48 via fd0a::2
        route add local default dev lo table 100
        -6 route add local default dev lo table 100
    """)
    lines(
        """
        link set lo up
        addr add 10.9.0.2/24 dev out0
        addr add fd09::2/64 dev out0 nodad
        link set out0 up
        route add default via 10.9.0.1
        -6 route add default via fd09::1
    """,
        callers,
    )
    lines(
        f"""
        link set lo up
        addr add 10.9.1.2/24 dev out0
        addr add fd0a::2/64 dev out0 nodad
        addr add {ELSEWHERE}/32 dev lo
        addr add {ELSEWHERE_6}/128 dev lo nodad
        link set out0 up
        route add default via 10.9.1.1
        -6 route add default via fd0a::1
    """,
        elsewhere,
    )


def serve(folder: Path, host: str = "::") -> None:
    """Somebody else, who answers `theirs`."""
    server_authority(folder)
    context = server_tls(folder, "other.example.com")
    dual = host == "::"
    listener = socket.create_server(
        (host, 443), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual
    )
    (folder / "serving").touch()
    while True:
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(4096)
                secured.sendall(b"theirs")
        except OSError:
            connection.close()


def call(address: str, name: str, trusted: str, token: str) -> dict[str, Any]:
    """What a caller gets who connects to this address and asks in TLS for this name."""
    context = ssl.create_default_context(cafile=trusted)
    body = b'{"model":"gpt-4o","messages":[]}'
    try:
        with (
            socket.create_connection((address, 443), 10) as connection,
            context.wrap_socket(connection, server_hostname=name) as secured,
        ):
            secured.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: {name}\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            return {"got": read_answer(secured).decode("utf-8", "replace")}
    except OSError as failed:
        return {"failed": str(failed)}


def quic(address: str) -> dict[str, Any]:
    """What becomes of a datagram for UDP port 443."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(3)
        asked.connect((address, 443))
        try:
            asked.send(b"x" * 1200)
            return {"got": asked.recv(10).decode()}
        except OSError as failed:
            return {"failed": type(failed).__name__}


def by_rules(instance: ForwardInstance, ask: Callable[..., Any], trusted: str, token: str) -> dict[str, Any]:
    """The same calls by the rules that `sekisho setup transparent` prints, run as they are."""
    found: dict[str, Any] = {}
    for program, undo in UNDO.items():
        if shutil.which(program) is None:
            found[program] = f"{program} is not installed"
            continue
        options = ("--iptables",) if program == "iptables" else ()
        printed = instance.sekisho("setup", "transparent", "--interface", "toc", *options)
        ran = subprocess.run(["sh", "-e"], input=printed.stdout, capture_output=True, text=True, check=False)
        assert printed.returncode == ran.returncode == 0, printed.stderr + ran.stderr
        found[program] = {
            "IPv4": ask("call", CALLED, HOST, trusted, token),
            "IPv6": ask("call", CALLED_6, HOST, trusted, token),
            "QUIC": ask("quic", ELSEWHERE),
            "QUIC, IPv6": ask("quic", ELSEWHERE_6),
        }
        subprocess.run(["sh", "-ec", undo], check=True)
    return found


def main(folder: Path) -> dict[str, Any]:
    callers, elsewhere = namespace(), namespace()
    script = [sys.executable, "-m", "tests.journeys.transparent_road"]
    theirs = folder / "ca.pem"
    serving: subprocess.Popen[bytes] | None = None
    try:
        time.sleep(0.5)
        wire(callers.pid, elsewhere.pid)
        lines(ROUTED.format("add"))
        serving = subprocess.Popen(["nsenter", "-t", str(elsewhere.pid), "-n", *script, "serve", folder], cwd=ROOT)
        ForwardInstance.wait_until((folder / "serving").exists)
        with Provider() as provider:
            provider.answer = completion("Hello from the provider")
            instance = ForwardInstance(folder, provider.url, profile="gateway", more=GATEWAY + HOSTS)
            text = instance.config.read_text(encoding="utf-8")
            instance.config.write_text(text.replace("data_dir:", f"{LISTENERS}data_dir:", 1), encoding="utf-8")
            with instance:
                ours, token = str(instance.authority), instance.mint("ann@example.com")

                def ask(*words: str) -> Any:
                    done = subprocess.run(
                        ["nsenter", "-t", str(callers.pid), "-n", *script, *words],
                        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
                    )  # fmt: skip
                    return json.loads(done.stdout)

                got = {
                    "opened": ask("call", CALLED, HOST, ours, token),
                    "opened, IPv6": ask("call", CALLED_6, HOST, ours, token),
                    "nobody": ask("call", CALLED, HOST, ours, "sk-mine"),
                    "passed": ask("call", ELSEWHERE, "other.example.com", str(theirs), "x"),
                    "passed, IPv6": ask("call", ELSEWHERE_6, "other.example.com", str(theirs), "x"),
                    "blocked": ask("call", ELSEWHERE, "bad.example.com", str(theirs), "x"),
                    "another CA": ask("call", CALLED, HOST, str(theirs), token),
                }
                records = instance.recorded(3)
                lines(ROUTED.format("del"))
                return {
                    "got": got,
                    "rules": by_rules(instance, ask, ours, token),
                    "records": records,
                    "coverage": instance.covered(3, "--all"),
                    "provider": len(provider.received),
                    "log": instance.log.read_text(encoding="utf-8"),
                }
    finally:
        for process in (serving, callers, elsewhere):
            if process is not None:
                process.kill()
                process.wait()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), *sys.argv[3:])
    elif sys.argv[1] == "call":
        print(json.dumps(call(*sys.argv[2:6])))
    elif sys.argv[1] == "quic":
        print(json.dumps(quic(sys.argv[2])))
    else:
        print(json.dumps(main(Path(sys.argv[1]))))
