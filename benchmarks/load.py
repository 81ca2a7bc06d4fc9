"""Load on one variant, by benchmarks/native/load.c: its rate, delays, processor time and memory, every answer verified."""

import json
import subprocess
import tempfile
import time
from typing import Any

from benchmarks.native import BUILT
from benchmarks.processes import Running
from benchmarks.samples import Values, Watch

_numbers = 1  # no two requests of one run have the same number, so that each can be found in the record


def apply(running: Running, core: str, *options: str, seconds: float) -> tuple[Values, str]:
    """Put load on it, wait until it has settled; what was measured, and why answers were bad if any were.

    Processor time is given for the load itself (`cpu_s`, `worker_s`) and up to the end of what was left to do
    afterwards (`whole_cpu_s`); `settle_s` is how long that took. `foreign` is how many cores others used during the load.

    Raises:
        subprocess.SubprocessError: the generator itself failed.
    """
    global _numbers
    with tempfile.NamedTemporaryFile("w", suffix=".headers") as headers:
        headers.write(running.headers)
        headers.flush()
        command = ["taskset", "-c", core, str(BUILT / "load"), *options]
        command += ["-d", f"{seconds:g}", "-n", str(_numbers), "-h", headers.name, str(running.port)]
        before, watch = running.used(), Watch()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            front, all_of_it = _watch(running, process)
            said = process.stdout.read() if process.stdout else ""
    during, foreign = running.used().since(before), watch.foreign()
    if process.returncode or not said:
        raise subprocess.SubprocessError(f"the load generator ended with {process.returncode}")
    found: dict[str, Any] = json.loads(said)
    why = str(found.pop("why"))
    settled = running.settle()
    after = running.used().since(before)
    running.asked.append((_numbers, int(found["asked"]), int(found["answered"])))
    _numbers += int(found["asked"])
    return {
        **{key: float(value) for key, value in found.items()},
        "foreign": foreign,
        "cpu_s": during.whole,
        "worker_s": during.worker,
        "whole_cpu_s": after.whole,
        "recorder_s": after.recorder,
        "settle_s": settled,
        "rss_mb": front,
        "rss_all_mb": all_of_it,
    }, why


def _watch(running: Running, process: "subprocess.Popen[str]") -> tuple[float, float]:
    """The most memory it had while the load went on."""
    front = whole = 0.0
    while process.poll() is None:
        time.sleep(0.25)
        one, of_all = running.memory()
        front, whole = max(front, one), max(whole, of_all)
    return front, whole
