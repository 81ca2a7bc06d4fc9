"""Stock mitmdump as a reverse proxy that streams events and does nothing else: what we are built on."""

import sys
from pathlib import Path

from benchmarks.processes import Running, free_port
from benchmarks.processes import start as start_process
from benchmarks.variants import Place

NAME = "bare mitmdump"
_STREAMING = """
def responseheaders(flow):
    flow.response.stream = "event-stream" in flow.response.headers.get("content-type", "")
"""


def start(place: Place) -> Running:
    folder, port = place.folder, free_port()
    (folder / "streaming.py").write_text(_STREAMING, encoding="utf-8")
    command = [str(Path(sys.executable).parent / "mitmdump"), "-q", "--mode", f"reverse:{place.upstream}",
               "--listen-host", "127.0.0.1", "-p", str(port), "-s", str(folder / "streaming.py"),
               "--set", f"confdir={folder}/mitmproxy"]  # fmt: skip
    if place.authority:
        command += ["--set", f"ssl_verify_upstream_trusted_ca={place.authority}"]
    return Running(NAME, port, start_process(command, place.core, log=folder / "log"))
