"""The processes of an instance, as the supervisor starts them. When it dies they end too: standard input closes."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from cli.options import settings_at
from settings.reading import SettingsProblems
from settings.schema import Settings

log = logging.getLogger(__name__)

_CANNOT_START = 3  # exit code: trying again will not help


def set_up_log() -> None:
    """One line per event on standard error. No body, key or token is ever logged."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(processName)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("mitmproxy").setLevel(logging.WARNING)


def _ready(descriptor: int | None) -> Callable[[], None]:
    def tell() -> None:
        if descriptor is not None:
            os.write(descriptor, b"ready\n")
            os.close(descriptor)

    return tell


def _stop_with_parent() -> None:
    """End in good order when the supervisor is gone, however it went."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), 15)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _name(name: str) -> None:
    import multiprocessing

    multiprocessing.current_process().name = name


def worker(config: Path, number: int, ready: int | None) -> int:
    """Decide, forward, copy. Returns the exit code."""
    from lanes.addons_package import install_bare

    install_bare()  # before the next lines import mitmproxy's addons
    from addons.pipeline import pipeline_from
    from identities.entries import UnusableEntries
    from identities.private_file import UnusableKey
    from lanes.worker import CannotListen, run
    from storage.problem import StoreProblem

    _name(f"worker-{number}")
    set_up_log()
    _stop_with_parent()
    try:
        run(_of_worker(settings_at(config, secrets=True), number), pipeline_from, _ready(ready))
    except UnusableEntries as unusable:  # a file changed since the supervisor looked
        log.error("%s", SettingsProblems(str(config), list(unusable.problems)))
        return _CANNOT_START
    except (SettingsProblems, StoreProblem, CannotListen, UnusableKey) as cannot:
        log.error("%s", cannot)
        return _CANNOT_START
    return 0


def _of_worker(settings: Settings, number: int) -> Settings:
    """The socket of a WireGuard listener, and the state of its tunnels, cannot be shared: the first worker has them."""
    if number == 1:
        return settings
    return settings.model_copy(update={"listen": tuple(one for one in settings.listen if one.mode != "wireguard")})


def recorder(config: Path, ready: int | None) -> int:
    """Understand and store. Returns the exit code."""
    from recording.recorder import run
    from storage.sqlite.driver import StoreProblem

    _name("recorder")
    set_up_log()
    _stop_with_parent()
    os.nice(10)  # a burst passes first; the record catches up
    try:
        run(settings_at(config, secrets=True), _ready(ready))
    except (SettingsProblems, StoreProblem) as cannot:
        log.error("%s", cannot)
        return _CANNOT_START
    return 0


def console(config: Path, ready: int | None) -> int:
    """The record in a browser. Returns the exit code."""
    from console.running import CannotListen, run
    from identities.private_file import UnusableKey

    _name("console")
    set_up_log()
    _stop_with_parent()
    os.nice(5)  # answers pass first; pages can wait
    try:
        run(settings_at(config, secrets=True), ready=_ready(ready))
    except (SettingsProblems, CannotListen, UnusableKey, OSError, ValueError) as cannot:
        log.error("%s", cannot)
        return _CANNOT_START
    return 0


def fronts(config: Path, ready: int | None) -> int:
    """Sign-in, people's own pages. Returns the exit code."""
    import sqlite3

    from fronts.running import CannotServe, run
    from identities.private_file import UnusableKey

    _name("fronts")
    set_up_log()
    _stop_with_parent()
    try:
        run(settings_at(config, secrets=True), _ready(ready))
    except (SettingsProblems, CannotServe, UnusableKey, sqlite3.Error) as cannot:
        log.error("%s", cannot)
        return _CANNOT_START
    return 0
