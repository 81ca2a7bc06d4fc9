"""Secrets of our own, made once, that only their owner may read."""

import contextlib
import os
import secrets
import time
from pathlib import Path

from files.whole import write_whole

_SECRET_BYTES = 32


class UnusableKey(Exception):  # noqa: N818 - said to a person
    """A file that should hold a key of ours holds something else."""


def kept_secret(path: Path) -> bytes:
    """The 32 random bytes in this file, made by whoever asks first: several processes start at the same time, and all
    must read the same.

    Raises:
        OSError: it cannot be made or read.
        UnusableKey: the file holds something else.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
        write_whole(beside, secrets.token_bytes(_SECRET_BYTES))
        try:
            with contextlib.suppress(FileExistsError):  # another was first: theirs it is
                os.link(beside, path)
        finally:
            beside.unlink()
    found = path.read_bytes()
    if len(found) != _SECRET_BYTES:
        raise UnusableKey(f"{path} is not a key of {_SECRET_BYTES} bytes. Restore it, or take it away for a new one")
    return found
