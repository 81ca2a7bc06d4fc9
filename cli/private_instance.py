"""A Sekisho of one command's own, on free ports of this machine, gone when the command is over."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from cli.failure import Failed

_LAUNCHER = Path(__file__).resolve().parent.parent / "run_proxy.py"
_START_S = 60.0
_STOP_S = 15.0


class PrivateInstance:
    """Runs from `start` until the `with` ends.

    Args:
        folder: for its settings and its log.
        tree: its settings, as they would stand in a file.
        ports: those of its listeners: it has started when all take connections.
    """

    def __init__(self, folder: Path, tree: dict[str, Any], ports: tuple[int, ...]) -> None:
        self._tree = tree
        self._ports = ports
        self._config = folder / "config.yaml"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "PrivateInstance":
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stops in good order: what has ended is on record afterwards."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):  # too slow for us, or for the person at the keys
            self._process.kill()
            self._process.wait()

    def start(self) -> None:
        """Returns once its listeners take connections.

        Raises:
            Failed: it did not start; the message has the end of its log.
        """
        from ruamel.yaml import YAML

        with self._config.open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump(self._tree, file)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, str(_LAUNCHER), "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command; we stop this in good order
                env={**os.environ, "NO_COLOR": "1"},
            )
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self._process.poll() is None:
            if all(_listens(port) for port in self._ports):
                return
            time.sleep(0.05)
        raise Failed(f"Sekisho did not start.\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its log, for whoever has to find out why."""
        try:
            return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-20:])
        except OSError:
            return ""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True
