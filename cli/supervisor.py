"""Starts the processes of an instance, watches them, starts again what died, and drains on SIGTERM."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from certificates.authority import UnusableAuthority
from certificates.readiness import kept_authority, needs_authority
from settings.listening import Listener
from settings.schema import Settings

log = logging.getLogger(__name__)

_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before a process that keeps dying is started again
_SETTLED = 10.0  # seconds of life after which a process counts as well
_LAUNCHER = Path(__file__).resolve().parent.parent / "run_proxy.py"
_SWITCHING = 60.0  # seconds between looks whether the next CA is due
_PAGES_TIME = 3.0  # seconds for pages that are under way
_RECORDER_TIME = 3.5  # seconds to store what is whole when everything stops


class StartFailed(Exception):  # noqa: N818 - said to a person
    """Something did not start; the log above says why."""


class _Child:
    """One process of the instance, started again when it dies."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name = name
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def start(self) -> None:
        """Returns once the process is ready.

        Raises:
            StartFailed: it ended first.
        """
        read, write = os.pipe()
        # A process group of its own: Ctrl-C is for us, who stop them in order. Not a session of its own: Linux shares
        # the processor between sessions first, and the recorder's niceness would count for nothing.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(_LAUNCHER), *self._arguments, "--ready", str(write),
            stdin=asyncio.subprocess.PIPE, pass_fds=[write], process_group=0,
        )  # fmt: skip
        os.close(write)
        said = await asyncio.to_thread(os.read, read, 16)
        os.close(read)
        if not said:
            raise StartFailed(f"{self.name} did not start (exit code {await self._process.wait()}).")

    async def keep(self) -> None:
        """Wait for the process to end, and start it again, until `stop`."""
        loop = asyncio.get_running_loop()
        pause = 0
        while True:
            assert self._process is not None
            born = loop.time()
            code = await self._process.wait()
            if self._stopping:
                return
            pause = 0 if loop.time() - born > _SETTLED else min(pause + 1, len(_PAUSES) - 1)
            log.error("%s ended (exit code %s); starting it again.", self.name, code)
            await asyncio.sleep(_PAUSES[pause])
            with contextlib.suppress(StartFailed):  # it is tried again; its own log says why
                await self.start()

    def signal_stop(self) -> None:
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def ended(self, within: float) -> None:
        """Wait for the end; past the time, kill. What a killed worker had open is recorded as it was flushed."""
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), within)
        except TimeoutError:
            log.error("%s did not end in time and is killed.", self.name)
            self._process.kill()
            await self._process.wait()


class Supervisor:
    """One instance. `announce` is called when everything is ready."""

    def __init__(self, settings: Settings, config: Path, announce: Callable[[], None]) -> None:
        self._settings = settings
        self._announce = announce
        common = ["--config", str(config)]
        self._recorder = _Child("recorder", ["recorder", *common])
        self._pages = [_Child("fronts", ["fronts", *common])] if settings.fronts else []
        self._pages += [_Child("console", ["pages", *common])] if settings.console.enabled else []
        self._workers = [
            _Child(f"worker-{n}", ["worker", *common, "--number", str(n)]) for n in range(1, _count(settings) + 1)
        ]

    def run(self) -> int:
        """Returns the exit code."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            for listener in self._settings.listen:
                _must_be_free(listener)
            await asyncio.gather(self._recorder.start(), *(pages.start() for pages in self._pages))
            await asyncio.gather(*(worker.start() for worker in self._workers))
        except StartFailed as failed:
            log.error("%s", failed)
            await self._stop([])
            return 1
        keeping = [asyncio.ensure_future(child.keep()) for child in (self._recorder, *self._pages, *self._workers)]
        if needs_authority(self._settings):
            keeping.append(asyncio.ensure_future(self._switch_authority()))
        self._announce()
        await stop.wait()
        await self._stop(keeping)
        return 0

    async def _switch_authority(self) -> None:
        """The next CA signs from its day on, without a restart: workers notice."""
        while True:
            await asyncio.sleep(_SWITCHING)
            try:
                await asyncio.to_thread(kept_authority, self._settings, datetime.now(UTC))
            except (UnusableAuthority, OSError) as cannot:
                log.error("Cannot look whether another CA is to sign: %s", cannot)

    async def _stop(self, keeping: Sequence[asyncio.Future[None]]) -> None:
        """Workers first, so that the recorder sees all they wrote."""
        for worker in self._workers:
            worker.signal_stop()
        await asyncio.gather(*(worker.ended(self._settings.drain_s + 1.0) for worker in self._workers))
        for pages in self._pages:
            pages.signal_stop()
        await asyncio.gather(*(pages.ended(_PAGES_TIME) for pages in self._pages))
        self._recorder.signal_stop()
        await self._recorder.ended(_RECORDER_TIME)
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)


def _count(settings: Settings) -> int:
    if settings.workers != "auto":
        return settings.workers
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _must_be_free(listener: Listener) -> None:
    """Our workers share their port on purpose; so that we do not share it with a stranger, look first.

    Raises:
        StartFailed: somebody listens there, or the address is not ours.
    """
    address = listener.address
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as taken:
            raise StartFailed(
                f"Cannot listen on {address}: {taken.strerror}. Stop what listens there, or set `listen` otherwise."
            ) from None
