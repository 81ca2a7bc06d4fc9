"""Is every request that was answered on record? Each carries its number, so each is looked for in the export."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.processes import Running
from benchmarks.variants.sekisho import ENVIRONMENT

_ROOT = Path(__file__).resolve().parent.parent
_MARK, _DIGITS = b"~N", 12
_COMPLETE = b'"end_state":"complete"'


def answered_and_missing(running: Running) -> tuple[int, int]:
    """(how many were answered, how many of them the export lacks). It must have settled.

    Of a load in which some were not answered it is not known which ones; then only their number is compared.

    Raises:
        subprocess.SubprocessError: the record cannot be read.
    """
    assert running.config is not None
    command = [sys.executable, str(_ROOT / "run_proxy.py"), "export", "--config", str(running.config)]
    command += ["--after", str(running.stored)]
    environment = {**os.environ, **ENVIRONMENT}
    kept: set[int] = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            at = line.find(_MARK)
            if at >= 0 and _COMPLETE in line:
                kept.add(int(line[at + 2 : at + 2 + _DIGITS]))
    if process.returncode:
        raise subprocess.SubprocessError(f"the export ended with {process.returncode}")
    answered = missing = 0
    for first, asked, good in running.asked:
        answered += good
        missing += max(0, good - sum(number in kept for number in range(first, first + asked)))
    return answered, missing
