"""Files that only their owner may read."""

import os
import time
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Replaces a file at once, readable by its owner alone; a reader sees the old or the new, never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
