"""The design this project grew from: Django, httpx, a row in SQLite (benchmarks/peers/django_peer.py) under uvicorn."""

from pathlib import Path

from benchmarks.native import BUILT
from benchmarks.processes import Running, free_port
from benchmarks.processes import start as start_process
from benchmarks.variants import NotInstalled, Place

NAME = "Django, httpx, SQLite"
_PEERS = Path(__file__).resolve().parent.parent / "peers"


def start(place: Place) -> Running:
    python = BUILT / "django" / "bin" / "python"
    if not python.exists():
        raise NotInstalled("python -m benchmarks.peers")
    port = free_port()
    command = [str(python), "-m", "uvicorn", "--app-dir", str(_PEERS), "--host", "127.0.0.1", "--port", str(port),
               "--log-level", "error", "--no-access-log", "django_peer:application"]  # fmt: skip
    environment = {"PEER_UPSTREAM": place.upstream, "PEER_DATABASE": str(place.folder / "peer.db")}
    return Running(NAME, port, start_process(command, place.core, log=place.folder / "log", env=environment))
