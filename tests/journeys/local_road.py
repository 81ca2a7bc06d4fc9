"""A program on this machine whose connections are captured: `unshare -m -n python -m tests.journeys.local_road FOLDER`,
by root. Prints one JSON object. The redirector wants the second version of cgroups where it looks for them."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.journeys.forwarding import HOST, ForwardInstance, basic
from tests.journeys.provider import Provider, completion, streamed
from tests.journeys.transparent_road import lines
from tests.journeys.wireguard_road import BODY, ask_over, inside

CALLED = "198.51.100.7"
SETTINGS = """
capture: [curl]
hosts: {unknown: block}
identity:
  domains: [example.com]
  issuers:
    - {name: own, kind: own_token}
"""


def curl(authority: Path, *more: str, key: str = "sk-mine") -> dict[str, Any]:
    done = subprocess.run(
        ["curl", "-sS", "-m", "10", "--cacert", str(authority), "-H", f"Authorization: Bearer {key}", *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {"got": done.stdout, "failed": done.stderr}


def every_way(instance: ForwardInstance, to: list[str]) -> dict[str, Any]:
    """The records of one and the same call, captured and as a caller makes it who knows of us."""
    token, before = instance.mint("ann@example.com"), instance.stored()
    ask_over(instance.connect(b""), f"127.0.0.1:{instance.port}", token)
    connection, _ = instance.knocks(f"{HOST}:443", basic(token))
    inside(connection, str(instance.authority), token)
    same = ["--http1.1", "-A", "one/1.0", "-H", "Accept:", "-H", "Content-Type: application/json"]
    url = f"https://{HOST}/v1/chat/completions"
    curl(instance.authority, *to, *same, "--data-binary", BODY.decode(), url, key=token)
    return {record["client"]["mode"]: record for record in instance.recorded(before + 3)[before:]}


def main(folder: Path) -> dict[str, Any]:
    subprocess.run(["umount", "-l", "/sys/fs/cgroup"], check=False, capture_output=True)
    subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)
    lines("""
        link set lo up
        link add out0 type veth peer name out1
        addr add 10.5.0.1/24 dev out0
        link set out0 up
        link set out1 up
        route add default dev out0
    """)
    with Provider() as provider:
        provider.answer = completion("Hello from the provider")
        with ForwardInstance(folder, provider.url, more=SETTINGS) as instance:
            time.sleep(0.5)
            ask = ["-H", "Content-Type: application/json", "-d", '{"model":"gpt-4o","messages":[]}']
            to = ["--resolve", f"{HOST}:443:{CALLED}", "--resolve", f"other.example.com:443:{CALLED}"]
            got = {
                "opened": curl(instance.authority, *to, *ask, f"https://{HOST}/v1/chat/completions"),
                "blocked": curl(instance.authority, *to, "https://other.example.com/"),
            }
            records = instance.recorded(1)
            provider.answer = streamed(["天気", "は", "晴れ"])
            return {
                "got": got,
                "records": records,
                "every way": every_way(instance, to),
                "coverage": instance.covered(1, "--all"),
                "log": instance.log.read_text(encoding="utf-8"),
            }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
