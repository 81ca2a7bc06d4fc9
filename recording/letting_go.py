"""Retention as the recorder does it by itself: now and then, one short step at a time, recording between them."""

import logging
import sqlite3
import time
from collections.abc import Callable, Generator
from typing import Final

import uuid_utils

from storage.problem import StoreProblem
from storage.removal.due import Keeping
from storage.removal.retention import Let
from storage.removal.sweeping import Step
from storage.removal.tombstones import Order
from storage.sqlite.writing import AuditWriter

log = logging.getLogger(__name__)

_SETTLING: Final = 60.0  # seconds after the start until what is due is let go
_EVERY: Final = 600.0  # seconds between two looks at what is due


class LettingGo:
    """Lets go of what is due. `writer` is the record, which may be another after it was damaged."""

    def __init__(self, writer: Callable[[], AuditWriter], keeping: Keeping) -> None:
        self._writer = writer
        self._keeping = keeping
        self._next = time.monotonic() + _SETTLING
        self._run: Generator[Step] | None = None
        self._let = Let()

    def step(self) -> bool:
        """One step, where anything is due. True while there is more to do now."""
        if self._run is None:
            if self._keeping.is_for_ever() or time.monotonic() < self._next:
                return False
            self._let, now = Let(), time.time_ns() // 1000
            order = Order(uuid_utils.uuid7().hex, "sekisho", "storage.keep", now)
            self._run = self._writer().retention().run(self._keeping, order, now, self._let)
        try:
            more = next(self._run, None) is not None
        except (sqlite3.Error, StoreProblem) as cannot:
            log.error("Retention cannot go on, it is tried again later: %s", cannot)
            more = False
        if not more:
            self._run = None
            self._next = time.monotonic() + _EVERY
            if self._let.exchanges or self._let.raw:
                log.info("Let go of %d exchanges, and of %d raw replies.", self._let.exchanges, self._let.raw)
        return more

    def break_off(self) -> None:
        """Begin anew with the next step: what is known of the record, its holds above all, may be no longer so."""
        if self._run is not None:
            self._run.close()
            self._run = None
            self._next = time.monotonic()
