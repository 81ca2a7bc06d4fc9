"""What the record does not keep leaves the journals too: workers begin their next files, those before are emptied."""

import logging
import time
from collections.abc import Callable
from typing import Final

from recording.intake import BootIntake
from storage.journal.files import spill_is_away

log = logging.getLogger(__name__)

_LINGERING: Final = 30.0  # seconds that content may wait in a journal which the record does not keep
_ROTATING: Final = 10.0  # seconds for workers to begin their next journal file
_REST: Final = 0.1  # seconds between two looks whether they have


class Clearing:
    """Clears journals.

    Args:
        boots: the journals that are left.
        caught_up: records what they hold by now.
        persisted: removes the files that are stored whole, and waits until the disk has what was in the others.
    """

    def __init__(
        self, boots: Callable[[], list[BootIntake]], caught_up: Callable[[], None], persisted: Callable[[], None]
    ) -> None:
        self._boots = boots
        self._caught_up = caught_up
        self._persisted = persisted
        self._unkept: float | None = None  # since when content waits in a journal that the record does not keep
        self._asked: float | None = None

    def owe(self) -> None:
        """Something stands in a journal that the record does not keep."""
        if self._unkept is None:
            self._unkept = time.monotonic()

    def in_passing(self) -> None:
        """What is owed, soon: it would stand there until its file goes. Never waits."""
        if self._unkept is None:
            return
        now = time.monotonic()
        boots = self._boots()
        if self._asked is None:
            if now - self._unkept > _LINGERING:
                self._asked = now
                for boot in boots:
                    boot.ask_to_rotate()
        elif all(boot.has_rotated() for boot in boots) or now - self._asked > _ROTATING:
            self._unkept = self._asked = None
            try:
                self._empty()
            except OSError as cannot:
                log.error("It stays until its file goes: %s", cannot)

    def now(self) -> list[str]:
        """Nothing that is stored is left in a journal file, of which a worker appends to one. What could not be."""
        for boot in self._boots():
            boot.ask_to_rotate()
        until = time.monotonic() + _ROTATING
        while waiting := [boot for boot in self._boots() if not boot.has_rotated()]:
            if time.monotonic() > until:
                break
            time.sleep(_REST)
        self._caught_up()
        self._empty()
        left = [f"the journal of worker {boot.name[:13]}, which does not answer: restart it" for boot in waiting]
        away = [boot for boot in self._boots() if spill_is_away(boot.directory)]
        return left + [f"the journal of worker {boot.name[:13]} on the second disk: bring that back" for boot in away]

    def _empty(self) -> None:
        """Of the files in which no worker writes any more, remove what is stored."""
        self._persisted()
        for boot in self._boots():
            boot.keep_only_open()
