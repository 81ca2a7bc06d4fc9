"""A real Sekisho: `python run_proxy.py` with settings of its own, in a folder of its own."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from identities.own_token import mint
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PROVIDER_KEY = "sk-provider-canary-4711"

GATEWAY = """
identity:
  domains: [example.com]
  issuers:
    - {name: own, kind: own_token}
policies:
  rules:
    - {name: everyone, domains: [example.com], models: ["gpt-4o*"], operations: [chat, responses]}
"""


class Instance:
    """Started on `with`; stopped by SIGTERM at the end. `more` is added to the settings as it is. `tls` is a file with
    a certificate for localhost and its key."""

    def __init__(
        self,
        folder: Path,
        upstream: str,
        *,
        profile: str = "local",
        lane: str = "express",
        more: str = "",
        tls: Path | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.data_dir = folder / "data"
        self.config = folder / "config.yaml"
        self.log = folder / "log"
        address = f"127.0.0.1:{self.port}"
        listen = f"\n  - {{address: '{address}', tls: {{cert: '{tls}', key: '{tls}'}}}}" if tls else f" {address}"
        self._scheme, self._host = ("https", "localhost") if tls else ("http", "127.0.0.1")
        key = ", api_key: {env: JOURNEY_KEY}" if profile == "gateway" else ""
        providers = "" if "providers:" in more else f"providers:\n  openai: {{upstream: '{upstream}'{key}}}\n"
        # How full the disk of this machine is must not decide what passes.
        storage = "" if "storage:" in more else "storage: {disk_warn: 0 %, disk_stop: 0 %}\n"
        self.config.write_text(
            f"profile: {profile}\nlisten:{listen}\n"
            f"data_dir: {self.data_dir}\nlane: {lane}\ndrain_s: 2\n{storage}{providers}{more}",
            encoding="utf-8",
        )
        self.environment = {**os.environ, "JOURNEY_KEY": PROVIDER_KEY, "NO_COLOR": "1"}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._host}:{self.port}"

    def __enter__(self) -> "Instance":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for connection in self._sockets:
            connection.close()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "run_proxy.py", "--config", str(self.config)],
                cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.wait_until(self._listens, 60)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(encoding="utf-8")[-3000:]
        return self.takes_connections(self.port)

    @staticmethod
    def takes_connections(port: int) -> bool:
        """Does anybody listen on this port of loopback?"""
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            return False
        return True

    def connect(self, request: bytes) -> socket.socket:
        """A raw connection that has sent this; closed at the end at the latest."""
        connection = socket.create_connection(("127.0.0.1", self.port), 5)
        connection.settimeout(20)
        connection.sendall(request)
        self._sockets.append(connection)
        return connection

    def stop(self) -> float:
        """SIGTERM, and wait for the end. Returns how long that took."""
        began = time.monotonic()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise
        return time.monotonic() - began

    def kill(self, role: str) -> int:
        """`kill -9` of the worker or the recorder. Returns its pid."""
        (pid, *_) = self.pids(role)
        os.kill(pid, signal.SIGKILL)
        return pid

    def pids(self, role: str) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if role.encode() in words and str(self.config).encode() in words:
                    found.append(int(entry.name))
        return found

    def sekisho(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line on this instance's settings."""
        return subprocess.run(
            [sys.executable, "run_proxy.py", "--config", str(self.config), *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, input=given, timeout=60, check=False,
        )  # fmt: skip

    def mint(self, email: str) -> str:
        """A token as `sekisho token mint` makes it (tests/cli), without the second that a process of its own takes."""
        return mint(self.data_dir, email=email, days=1)

    def records(self) -> list[dict[str, Any]]:
        """What is in the export now."""
        done = self.sekisho("export", "--format", "jsonl")
        if done.returncode == 1 and "no record" in done.stderr:
            return []
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def recorded(self, count: int, within: float = 60.0) -> list[dict[str, Any]]:
        """The records, as soon as there are so many."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            if self.stored() < count:
                return False  # an export takes a second of a processor, and would only say so
            found[:] = self.records()
            return len(found) >= count

        self.wait_until(enough, within)
        return found

    def stored(self) -> int:
        """How many exchanges are on record now."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.data_dir / 'audit.db'}?mode=ro", uri=True)) as record:
                return int(record.execute("SELECT count(*) FROM exchange").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # not made yet

    def on_disk(self) -> bytes:
        """Every byte of every file under data_dir, and the log."""
        files = [p for p in self.data_dir.rglob("*") if p.is_file()]
        return b"".join(p.read_bytes() for p in [*files, self.log])

    @staticmethod
    def wait_until(holds: Callable[[], bool], within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        while not holds():
            assert time.monotonic() < deadline, f"still waiting after {within} s"
            time.sleep(0.05)
