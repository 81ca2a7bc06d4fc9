"""Our addons in stock mitmproxy: `mitmweb -s run_proxy.py`. With the local profile only.

A script that fails to reload leaves stock mitmproxy running without it, open. On a laptop that loses the record; in a
gateway it would let everybody in. So the gateway profile refuses to be loaded this way.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.errorcheck import ErrorCheck

from addons.content_views import install
from addons.pipeline import Pipeline, pipeline_from
from identities.entries import UnusableEntries
from identities.private_file import UnusableKey
from settings.reading import SettingsProblems, read_settings, settings_path
from storage.problem import StoreProblem

_GATEWAY = (
    "Sekisho's gateway profile cannot run inside stock mitmproxy: a script that fails to reload would leave the proxy "
    "open to everybody. Start it with `sekisho serve`, or use `profile: local`."
)

_ROOMS = frozenset({"addons", "identities", "lanes", "policies", "storage", "upstreams", "wire"})
_LAUNCHER = Path(__file__).resolve().parent.parent / "run_proxy.py"


class StockRecorder:
    """Starts the recorder beside the stock tool, and ends it with it. Another Sekisho that records into the same
    folder does its work just as well."""

    def __init__(self, pipeline: Pipeline, config: Path) -> None:
        self._pipeline = pipeline
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def load(self, _: Loader) -> None:
        """Stock tools end when an error is logged before they are up. Ours are about traffic, which may come by then;
        what stops us is said by `stock_addons`."""
        check = ctx.master.addons.get("errorcheck")
        if isinstance(check, ErrorCheck):
            check.logger.addFilter(_is_not_ours)

    async def running(self) -> None:
        command = [sys.executable, str(_LAUNCHER), "recorder", "--config", str(self._config.absolute())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)  # noqa: S603, ASYNC220 - our own launcher, once
        await self._pipeline.start()

    async def done(self) -> None:
        await self._pipeline.stop()
        if self._process is not None:
            self._process.terminate()  # it stores what is whole, then ends
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()


def _is_not_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] not in _ROOMS


def stock_addons() -> list[object]:
    """What `run_proxy.py` gives to stock mitmproxy. Exits with the reason when it must not be used so."""
    config = settings_path(None)
    try:
        settings = read_settings(config)
    except SettingsProblems as problems:
        _refuse(str(problems))
    if settings.profile != "local":
        _refuse(_GATEWAY)
    if settings.fronts:
        _refuse("Chat fronts need Sekisho's own express lane. Start it with `sekisho serve`, or take `fronts` out.")
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        pipeline = pipeline_from(settings)
    except UnusableEntries as problems:
        _refuse(str(SettingsProblems(str(config), list(problems.problems))))
    except UnusableKey as unusable:
        _refuse(str(unusable))
    except StoreProblem as sealed:
        _refuse(str(sealed))
    install()
    return [*pipeline.addons, StockRecorder(pipeline, config)]


def _refuse(why: str) -> NoReturn:
    """End the whole tool, not only this script: without us it would stand open."""
    sys.stderr.write(why + "\n")
    sys.stderr.flush()
    os._exit(2)
