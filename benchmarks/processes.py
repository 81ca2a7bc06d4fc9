"""Programs under measurement: started on their core, with what they use of it and of memory."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    command: list[str], core: str, *, log: Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> "subprocess.Popen[bytes]":
    """Start a program on these cores. What it prints goes to `log`."""
    # Without its .pyc files a Python program starts in seconds instead of one.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | (env or {})
    with log.open("wb") as output:
        # A session of its own: with autogroups (sched(7)) Linux shares the processor between sessions first.
        return subprocess.Popen(
            ["taskset", "-c", core, *command],
            stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=cwd, start_new_session=True,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Used:
    """Processor time so far, seconds: of all, of the worker (where there is one, else all), of the recorder."""

    whole: float
    worker: float
    recorder: float

    def since(self, earlier: "Used") -> "Used":
        return Used(self.whole - earlier.whole, self.worker - earlier.worker, self.recorder - earlier.recorder)


@dataclass
class Running:
    """One variant, answering on `port`. `headers` are lines its callers send beside the usual ones."""

    name: str
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    headers: str = ""
    config: Path | None = None
    """Sekisho's settings, where this is Sekisho and its record can be read."""
    stored: int = 0
    """How many exchanges were in its store before the first load."""
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    """(first number, how many were asked, how many were answered) of each load it had."""

    def used(self) -> Used:
        whole = worker = recorder = 0.0
        has_worker = False
        for pid in self._pids():
            spent, words = _spent(pid), _words(pid)
            whole += spent
            if b"worker" in words:
                worker, has_worker = worker + spent, True
            if b"recorder" in words:
                recorder += spent
        return Used(whole, worker if has_worker else whole, recorder)

    def memory(self) -> tuple[float, float]:
        """MB of resident memory: of the largest process (of Sekisho: the largest worker), and of all together."""
        sizes = [(_resident(pid), b"recorder" not in _words(pid)) for pid in self._pids()]
        return max((size for size, front in sizes if front), default=0.0), sum(size for size, _ in sizes)

    def wait(self, seconds: float = 90) -> bool:
        """Until it takes connections. No: it ended, or did not in time."""
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

    def settle(self, seconds: float = 120) -> float:
        """Wait until it has nothing left to do, as Sekisho's recorder has after a burst. How long that took, seconds."""
        quiet = 0.15 if self.config is None else 0.4  # a recorder looks for more a few times a second
        began = last_busy = time.monotonic()
        before = self.used().whole
        while (now := time.monotonic()) - last_busy < quiet and now - began < seconds:
            time.sleep(0.05)
            after = self.used().whole
            if after - before > 0.005 or self._waits_for_disk():
                last_busy = time.monotonic()
            before = after
        return last_busy - began

    def _waits_for_disk(self) -> bool:
        """Uninterruptible sleep (proc_pid_stat(5)): no processor time goes by, and yet it is not done."""
        return any(stat_fields(pid)[:1] == ["D"] for pid in self._pids())

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _pids(self) -> list[int]:
        return [] if self.process is None else list(descendants(self.process.pid))


def descendants(root: int) -> Iterator[int]:
    """This process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    todo = [root]
    while todo:
        pid = todo.pop()
        yield pid
        todo += children.get(pid, [])


def stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat from its third field on (proc_pid_stat(5)); empty when the process is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def ticks(fields: list[str], first: int, last: int) -> float:
    """Seconds, of fields that count clock ticks."""
    return sum(map(int, fields[first:last])) / _TICKS if fields else 0.0


def _spent(pid: int) -> float:
    """utime + stime, by the nanosecond where the kernel keeps that (schedstat of each thread)."""
    total = 0
    try:
        for task in (_PROC / str(pid) / "task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    except (OSError, IndexError, ValueError):
        return ticks(stat_fields(pid), 11, 13)
    return total / 1e9


def _words(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _resident(pid: int) -> float:
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024 if "VmRSS:" in status else 0.0
