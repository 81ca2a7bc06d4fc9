"""Programs under measurement: pinned to a core, with what they and their children used of it."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

HZ = os.sysconf("SC_CLK_TCK")
MEASURED, OTHERS = "0", "1"
"""The core of what is measured, and that of the load and the provider."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(command: list[str], core: str, **more: object) -> "subprocess.Popen[bytes]":
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment.update(more.pop("env", {}))  # type: ignore[call-overload] # a dict of strings
    log = more.pop("log", None)
    output = Path(str(log)).open("wb") if log else subprocess.DEVNULL  # noqa: SIM115 - the child keeps it
    process = subprocess.Popen(
        ["taskset", "-c", core, *command], stdout=output, stderr=subprocess.STDOUT, env=environment,
        start_new_session=True, **more,  # type: ignore[call-overload] # cwd and the like
    )  # fmt: skip
    if log:
        output.close()  # type: ignore[union-attr] # a file, since there is a log
    return process  # type: ignore[no-any-return] # Popen of bytes


@dataclass
class Running:
    """One variant, up and answering on `port`."""

    name: str
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    header: str = ""  # what a caller must send beside
    config: Path | None = None
    more: dict[str, object] = field(default_factory=dict)

    def pids(self) -> list[int]:
        """The program and all below it."""
        if self.process is None:
            return []
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                except (OSError, IndexError):
                    continue
                children.setdefault(parent, []).append(int(entry.name))
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def cpu(self, role: str = "") -> float:
        """Seconds of processor time so far, of all its processes or of those with this word in their command line."""
        total = 0
        for pid in self.pids():
            try:
                if role and role.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    continue
                total += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
            except OSError:
                continue
        return total / HZ

    def rss(self, role: str = "") -> float:
        """MB of resident memory, of the largest of its processes (with this word in the command line)."""
        most = 0
        for pid in self.pids():
            try:
                if role and role.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    continue
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            most = max(most, int(status.partition("VmRSS:")[2].split()[0]) if "VmRSS:" in status else 0)
        return most / 1024

    def wait(self, seconds: float = 60) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                return False
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.1)
            else:
                return True
        return False

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def busy() -> float:
    """Seconds of processor time of the whole machine so far."""
    return sum(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:4])) / HZ
