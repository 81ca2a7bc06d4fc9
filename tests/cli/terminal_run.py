"""Run a command on a terminal of its own, and read what that terminal was sent."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence


def on_a_terminal(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, bytes]:
    """(exit code, everything that was sent to the terminal)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environment), start_new_session=True
    )
    os.close(theirs)
    sent = bytearray()
    try:
        while piece := os.read(ours, 65536):
            sent += piece
    except OSError:
        pass  # Linux says EIO when the last holder of the other end is gone
    finally:
        os.close(ours)
        if process.poll() is None:
            process.wait(20)
    return process.returncode, bytes(sent)
