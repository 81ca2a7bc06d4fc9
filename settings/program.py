"""A program of the operator's that prints a secret: no shell, bounded in time and size."""

import contextlib
import os
import signal
import subprocess

TIME_S = 10.0
"""How long it may take, in seconds."""

LARGEST = 64 << 10
"""Bytes it may print. A signed token has a few thousand."""


def printed(command: tuple[str, ...]) -> str:
    """What it prints, without surrounding white space. Blocks. Its own complaints go to our standard error.

    Raises:
        ValueError: it printed nothing that can be used; the message says why, and holds neither what it printed nor
            its arguments, which may be nobody's business.
    """
    named = f"names the program {command[0]}, which"
    try:
        running = subprocess.Popen(  # noqa: S603 - the operator's own, and no shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
    except OSError as cannot:
        raise ValueError(f"{named} cannot be run: {cannot.strerror}") from None
    with running:
        try:
            output, _ = running.communicate(timeout=TIME_S)
        except subprocess.TimeoutExpired:
            # What it started holds the pipe open as well, so the whole session goes.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(running.pid, signal.SIGKILL)
            raise ValueError(f"{named} took longer than {TIME_S:g} s") from None
    if running.returncode != 0:
        raise ValueError(f"{named} ended with status {running.returncode}")
    if len(output) > LARGEST:
        raise ValueError(f"{named} printed more than {LARGEST} bytes")
    try:
        secret = output.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{named} printed what is not text") from None
    if not secret:
        raise ValueError(f"{named} printed nothing")
    return secret
