import time
from collections.abc import Callable


def eventually(what: Callable[[], bool], within: float = 10.0) -> None:
    """Waits until it is so."""
    until = time.monotonic() + within
    while not what():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)
