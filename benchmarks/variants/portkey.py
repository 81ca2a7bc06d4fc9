"""Portkey's open-source gateway, as its npm package ships it."""

import shutil

from benchmarks.native import BUILT
from benchmarks.processes import Running, free_port
from benchmarks.processes import start as start_process
from benchmarks.variants import NotInstalled, Place

NAME = "Portkey gateway"


def start(place: Place) -> Running:
    script = BUILT / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    node = shutil.which("node")
    if node is None or not script.exists():
        raise NotInstalled("python -m benchmarks.peers")
    port = free_port()
    process = start_process([node, str(script), "--headless", f"--port={port}"], place.core, log=place.folder / "log")
    headers = (
        f"x-portkey-provider: openai\r\nx-portkey-custom-host: {place.upstream}/v1\r\nAuthorization: Bearer sk-b\r\n"
    )
    return Running(NAME, port, process, headers)
