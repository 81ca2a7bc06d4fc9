"""Work that is done again and again beside the event loop."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

_AFTER_A_FAULT_S = 60.0


class Background:
    """Calls `step` in a thread of its own, again after as many seconds as it says, until `stop`.

    A daemon thread: a program or server that hangs does not hold up the end of the process.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self._name = name
        self._step = step
        self._wake = threading.Event()
        self._stepped = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"sekisho {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends it; does not wait for a step that is under way."""
        self._stopping = True
        self._wake.set()

    def wake(self) -> None:
        """The next step is due now. Never waits."""
        self._wake.set()

    def wait(self, within: float) -> bool:
        """Waits until the first step is done, at most so many seconds; whether it is."""
        return self._stepped.wait(within)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                pause = self._step()
            except Exception:
                # What is at hand stays in use, and the next step may go better.
                log.exception("%s failed in the background.", self._name)
                pause = _AFTER_A_FAULT_S
            self._stepped.set()
            self._wake.wait(pause)
