"""What the recorder does about a damaged file: it is put aside, and a new one goes on where it ended."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from storage.sqlite.breaks import ChainBreak
from storage.sqlite.driver import audit_path
from storage.sqlite.writing import AuditWriter
from storage.upkeep.damage import begun_anew, damage_of, end_of, known_of, last_given, name_aside, put_aside, signed_of
from storage.upkeep.salvage import carry_over

log = logging.getLogger(__name__)

_AT_START: Final = 5.0  # seconds; what takes longer is left to the daily look
_DAY: Final = 86_400.0
_OLDER: Final = "it ended before a signed head: an older copy was put in its place, or its end was cut off"
_STANDING: Final = ("hold", "outbox")  # what is in force whatever becomes of the file

type Open = Callable[[], AuditWriter]


def open_whole(data_dir: Path, heads: Path, open_: Open) -> AuditWriter:
    """The record, looked through first; a new one where it is damaged.

    A file that cannot be a record of ours is not touched: opening it says so.

    Raises:
        StoreProblem: it cannot be used, for another reason than damage.
    """
    try:
        why = damage_of(audit_path(data_dir), within=_AT_START)
    except sqlite3.Error:
        why = None  # locked, no permission: opening it says so
    if why is None or not (data_dir / "keys" / "heads.key").exists():
        return _going_on(data_dir, heads, open_())
    return begin_anew(data_dir, heads, why, open_)


def _going_on(data_dir: Path, heads: Path, writer: AuditWriter) -> AuditWriter:
    """The record, where it ends no earlier than a signed head says. An older copy that was put in its place goes on
    after what it lacks: no number is given twice, and the chain says what is not there."""
    signed = max(signed_of(data_dir, heads).values(), default=0)
    if signed <= last_given(writer.connection):
        return writer
    known = end_of(writer.connection)
    log.critical(
        "%s ends at seq %d, and a signed head names %d: an older copy was put in its place, or its end is cut off. "
        "Records go on after %d; put the newer file back if there is one.",
        audit_path(data_dir),
        known.last_seq,
        signed,
        signed,
    )
    lost = ((known.last_seq + 1, signed),)
    writer.go_on_after(ChainBreak(signed, time.time_ns() // 1000, _OLDER, None, lost, (), known.heads))
    return writer


def begin_anew(data_dir: Path, heads: Path, why: str, open_: Open) -> AuditWriter:
    """Put the damaged file aside, and begin a new one whose first word is that."""
    path = audit_path(data_dir)
    now = time.time()
    known = known_of(path, heads)
    aside = name_aside(path, now)
    put_aside(path, aside)
    log.critical(
        "%s is damaged (%s). It is kept as %s, and a new record goes on after seq %d. What the old one still holds: "
        "`sekisho db recover %s --to DIRECTORY`.",
        path,
        why,
        aside,
        known.last_seq,
        aside,
    )
    writer = open_()
    writer.go_on_after(begun_anew(why, aside, known, now))
    kept = carry_over(aside, writer.connection, _STANDING)
    log.warning("Holds that are in force again: %d. Commands for other stores: %d.", kept["hold"], kept["outbox"])
    return writer


class DailyLook:
    """Looks the file through once a day, on a thread of its own: recording goes on."""

    def __init__(self, path: Path, every: float = _DAY) -> None:
        self._path = path
        self._every = every
        self._next = time.monotonic() + every
        self._thread: threading.Thread | None = None
        self._found: str | None = None

    def found(self) -> str | None:
        """What is wrong, once; None while nothing is known to be. Never waits."""
        if self._thread is not None and not self._thread.is_alive():
            self._thread = None
            found, self._found = self._found, None
            return found
        if self._thread is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            self._thread = threading.Thread(target=self._look, name="look", daemon=True)
            self._thread.start()
        return None

    def _look(self) -> None:
        began = time.monotonic()
        try:
            self._found = damage_of(self._path)
        except sqlite3.Error as cannot:
            log.error("%s cannot be looked through: %s", self._path, cannot)
            return
        log.info("%s was looked through in %.1f s.", self._path, time.monotonic() - began)
