"""A person's machine behind WireGuard, a gateway, and two servers beyond it.

Run by root: `unshare -n python -m tests.journeys.wireguard_road FOLDER`. Prints one JSON object. The gateway's
namespace has the called addresses as its own; the machine's has nothing but the tunnel.
"""

import base64
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from identities.wireguard_key import public_key
from tests.journeys.forwarding import HOST, ForwardInstance, basic
from tests.journeys.instance import GATEWAY, ROOT
from tests.journeys.provider import Answer, Provider, completion, streamed
from tests.journeys.transparent_road import CALLED, ELSEWHERE, HOSTS, lines
from tests.ports import free_port

UDP = """
import socket
for port in (443, 123):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x" * 1200, ("198.51.100.9", port))
import time; time.sleep(0.5); print('{}')
"""
RAW = """
import json, socket
with socket.create_connection(("198.51.100.7", 443), 5) as connection:
    connection.settimeout(5)
    try:
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\\r\\n")
        print(json.dumps({"got": connection.recv(100).decode()}))
    except OSError as failed:
        print(json.dumps({"failed": str(failed)}))
"""


PLAIN = """
import json, socket, time
with socket.create_connection(("198.51.100.9", 443), 5) as connection:
    connection.settimeout(5)
    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHo")
    time.sleep(0.2)
    connection.sendall(b"st: api.openai.com\\r\\nAuthorization: Bearer sk-plain-canary\\r\\n\\r\\n")
    print(json.dumps({"got": connection.recv(4000).decode()}))
"""
BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "天気は？"}], "stream": True}).encode()


def ask_over(connection: socket.socket, host: str, token: str) -> None:
    """One and the same call, and all of its answer."""
    fields = (
        "POST /v1/chat/completions HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}", "User-Agent: one/1.0",
        "Content-Type: application/json", f"Content-Length: {len(BODY)}", "Connection: close", "", "",
    )  # fmt: skip
    connection.sendall("\r\n".join(fields).encode() + BODY)
    while connection.recv(65536):
        pass


def inside(connection: socket.socket, trusted: str, token: str) -> None:
    context = ssl.create_default_context(cafile=trusted)
    with context.wrap_socket(connection, server_hostname=HOST) as secured:
        ask_over(secured, HOST, token)


def every_way(instance: ForwardInstance, by_tunnel: Callable[..., Any]) -> dict[str, Any]:
    """The records of that call through each mode."""
    trusted, token = str(instance.authority), instance.mint("ann@example.com")
    before = instance.stored()
    ask_over(instance.connect(b""), f"127.0.0.1:{instance.port}", token)
    connection, _ = instance.knocks(f"{HOST}:443", basic(token))
    inside(connection, trusted, token)
    inside(socket.create_connection((CALLED, 443), 10), trusted, token)
    by_tunnel(sys.executable, "-m", "tests.journeys.wireguard_road", "ask", trusted, token)
    return {record["client"]["mode"]: record for record in instance.recorded(before + 4)[before:]}


def key() -> tuple[str, str]:
    """A private and its public key."""
    made = X25519PrivateKey.generate()
    private, public = made.private_bytes_raw(), made.public_key().public_bytes_raw()
    return base64.b64encode(private).decode(), base64.b64encode(public).decode()


def main(folder: Path) -> dict[str, Any]:
    lines(f"link set lo up\naddr add {CALLED}/32 dev lo\naddr add {ELSEWHERE}/32 dev lo")
    script = [sys.executable, "-m", "tests.journeys.transparent_road"]
    serving = subprocess.Popen([*script, "serve", folder, ELSEWHERE], cwd=ROOT)
    ann, bob = key(), key()
    ports = {"ann@example.com": free_port(), "bob@other.example": free_port()}
    listeners = f"  - {{address: '{CALLED}:443', mode: transparent}}\n" + "".join(
        f"  - {{address: '127.0.0.1:{ports[email]}', mode: wireguard, "
        f"peer: {{public_key: '{public}', email: {email}}}}}\n"
        for email, (_, public) in (("ann@example.com", ann), ("bob@other.example", bob))
    )
    try:
        ForwardInstance.wait_until((folder / "serving").exists, 20)
        with Provider() as provider:
            provider.answer = completion("Hello from the provider")
            block = "unknown: pass-and-note, services: block, rules: [{host: '198.51.100.7', then: block}, "
            hosts = HOSTS.replace("rules: [", block)
            instance = ForwardInstance(folder, provider.url, profile="gateway", more=f"workers: 2\n{GATEWAY}{hosts}")
            text = instance.config.read_text(encoding="utf-8")
            instance.config.write_text(text.replace("data_dir:", f"{listeners}data_dir:", 1), encoding="utf-8")
            with instance:
                ours, theirs = str(instance.authority), str(folder / "ca.pem")
                server = public_key(instance.data_dir)

                def ask(own: tuple[str, str], email: str, *command: str) -> Any:
                    peer = [sys.executable, "-m", "tests.journeys.wireguard_peer", str(ports[email]), server, own[0]]
                    done = subprocess.run(
                        [*peer, *command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
                    )  # fmt: skip
                    assert done.returncode == 0, done.stderr
                    return json.loads(done.stdout)

                def call(own: tuple[str, str], address: str, name: str, ca: str, email: str = "ann@example.com") -> Any:
                    return ask(own, email, *script, "call", address, name, ca, "sk-mine")

                got = {
                    "opened": call(ann, CALLED, HOST, ours),
                    "not admitted": call(bob, CALLED, HOST, ours, "bob@other.example"),
                    "another's port": call(bob, CALLED, HOST, ours),
                    "passed": call(ann, ELSEWHERE, "other.example.com", theirs),
                    "blocked": call(ann, ELSEWHERE, "bad.example.com", theirs),
                    "udp": ask(ann, "ann@example.com", sys.executable, "-c", UDP),
                    "plain": ask(ann, "ann@example.com", sys.executable, "-c", PLAIN),
                    "raw": ask(ann, "ann@example.com", sys.executable, "-c", RAW),
                }
                seen = {"records": instance.recorded(2), "provider": len(provider.received)}
                provider.answer = Answer(chunks=[b"x" * (64 << 10)] * 32, sized=True)
                seen["large"] = len(call(ann, CALLED, HOST, ours).get("got", ""))
                provider.answer = streamed(["天気", "は", "晴れ"])
                ways = every_way(instance, lambda *command: ask(ann, "ann@example.com", *command))
                return {
                    "got": got,
                    **seen,
                    "every way": ways,
                    "coverage": instance.covered(5, "--all"),
                    "log": instance.log.read_text(encoding="utf-8"),
                }
    finally:
        serving.kill()
        serving.wait()


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        inside(socket.create_connection((CALLED, 443), 10), *sys.argv[2:4])
        print("{}")
        sys.exit()
    print(json.dumps(main(Path(sys.argv[1]))))
