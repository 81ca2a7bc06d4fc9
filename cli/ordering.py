"""A command that changes the record: written down, carried out by the recorder, waited for.

Where no recorder runs, this process takes its place for as long as it takes.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.failure import Failed

if TYPE_CHECKING:
    from settings.schema import Settings
    from storage.commands import Commands
    from storage.removal.sweeping import Step

_LOOK: Final = 0.1  # seconds between two looks at how far it is
_TRIES: Final = 3
_PATIENCE: Final = 10.0  # seconds for a recorder that died to be started again by those who watch it


def carried_out(settings: "Settings", kind: str, arguments: dict[str, Any], reason: str | None) -> dict[str, Any]:
    """Ask for this, and wait until it is done. Returns its outcome.

    Raises:
        Failed: it cannot be done; the message says why.
        StoreProblem: audit.db cannot be used.
    """
    from storage.access import actor

    with opened(settings.data_dir) as commands:
        uid = commands.ask(kind, arguments, actor=actor(), reason=reason)
        return followed(settings, commands, uid)


def proposed(settings: "Settings", kind: str, arguments: dict[str, Any], reason: str | None) -> str | None:
    """The order's id, where a second person must approve it before it is carried out; else None, and nothing is asked.

    Raises:
        Failed: it cannot be written down.
    """
    from storage.access import actor
    from storage.commands import NEED_TWO

    if not settings.access.two_people or kind not in NEED_TWO:
        return None
    with opened(settings.data_dir) as commands:
        return commands.ask(kind, arguments, actor=actor(), reason=reason, two_people=True)


@contextlib.contextmanager
def opened(data_dir: Path) -> "Iterator[Commands]":
    """The commands of this instance.

    Raises:
        Failed: they cannot be read or written.
    """
    from storage.commands import Commands

    try:
        commands = Commands(data_dir)
    except (sqlite3.Error, OSError) as cannot:
        raise _unusable(data_dir, cannot) from cannot
    try:
        yield commands
    except sqlite3.Error as cannot:
        raise _unusable(data_dir, cannot) from cannot
    finally:
        commands.close()


def followed(settings: "Settings", commands: "Commands", uid: str) -> dict[str, Any]:
    """Wait until this command is done. Returns its outcome.

    Raises:
        Failed: it cannot be done; the message says why.
        StoreProblem: audit.db cannot be used.
    """
    from cli.progress import stages

    data_dir = settings.data_dir
    try:
        absent: float | None = None
        tries = 0
        with stages(commands.get(uid).kind) as show:
            while (command := commands.get(uid)).outcome is None:
                if command.doing is not None:
                    show(command.doing, command.done, command.total)
                absent = None if _runs(data_dir) else absent or time.monotonic()
                if absent is not None and (not _watched(data_dir) or time.monotonic() - absent > _PATIENCE):
                    if (tries := tries + 1) > _TRIES:
                        raise Failed("Nobody carried this out, and neither can this command; the log above says why.")
                    _ourselves(settings, lambda step: show(*step))
                else:
                    time.sleep(_LOOK)
    except KeyboardInterrupt:
        from cli.terminal import err

        err().print("Not waited for any longer. It is carried out all the same: now, or when Sekisho next starts.")
        raise
    if (why := command.outcome.get("error")) is not None:
        raise Failed(str(why))
    return command.outcome


def _unusable(data_dir: Path, cannot: Exception) -> Failed:
    from storage.commands import commands_path

    return Failed(
        f"{commands_path(data_dir)} cannot be used: {cannot}. If it is damaged, move it away: only commands that wait "
        "are lost, what was carried out stands in the record. Then ask again."
    )


def recorded_first(settings: "Settings") -> None:
    """Where no recorder runs, record what the journals still hold, and bring the record up to date: nobody else would.

    Raises:
        StoreProblem: audit.db cannot be used.
    """
    from storage.journal.files import journal_dir
    from storage.journal.reading import boots
    from storage.sqlite.driver import audit_path

    something = audit_path(settings.data_dir).exists() or any(boots(journal_dir(settings.data_dir)))
    if something and not _runs(settings.data_dir):
        _ourselves(settings, lambda _step: None)


def _runs(data_dir: Path) -> bool:
    from storage.journal.files import is_held
    from storage.sqlite.lock import lock_path

    return is_held(lock_path(data_dir))


def _watched(data_dir: Path) -> bool:
    """Are there workers? Then somebody watches over the recorder too."""
    from storage.journal.files import is_alive, journal_dir
    from storage.journal.reading import boots

    return any(is_alive(boot) for boot in boots(journal_dir(data_dir)))


def _ourselves(settings: "Settings", told: "Callable[[Step], None]") -> None:
    """Be the recorder until no command waits."""
    from recording.recorder import recorder_from
    from storage.sqlite.driver import StoreProblem

    try:
        recorder = recorder_from(settings)
    except StoreProblem:
        if _runs(settings.data_dir):
            return  # it was started in this moment
        raise
    try:
        while recorder.step():
            pass
        recorder.carry_out(told)
    finally:
        recorder.close()
