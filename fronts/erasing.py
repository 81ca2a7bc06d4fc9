"""The erasure of a person, in the book of the fronts: the recorder asks (commands.db), the one writer does it."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool

from identities.private_file import UnusableKey
from signin.forgetting import forget_person
from storage.book import Book
from storage.commands import Command, Commands, commands_path

log = logging.getLogger(__name__)

_LOOK_S: Final = 0.5
_TIDY_S: Final = 3600.0


class Erasing:
    """Looks for erasures that are under way, and carries out our part of each, once."""

    def __init__(self, data_dir: Path, book: Book) -> None:
        self._data_dir = data_dir
        self._book = book
        self._wrong = ""
        self._tidied = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._looking = asyncio.create_task(self._keep_looking(), name="erasing")

    async def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    async def _keep_looking(self) -> None:
        while True:
            try:
                await run_in_threadpool(self._look)
                self._wrong = ""
            except (sqlite3.Error, OSError, UnusableKey) as cannot:
                if self._wrong != str(cannot):
                    self._wrong = str(cannot)
                    log.error("What is to be erased at the fronts cannot be: %s. It is tried again.", cannot)
            await asyncio.sleep(_LOOK_S)

    def _look(self) -> None:
        if time.monotonic() - self._tidied > _TIDY_S:
            self._book.tidy()
            self._tidied = time.monotonic()
        if not commands_path(self._data_dir).exists():
            return
        with contextlib.closing(Commands(self._data_dir)) as commands:
            found = commands.under_way("erase")
        for command in found:
            if (command.plan or {}).get("addresses") and self._book.erasure(command.order.uid) is None:
                self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        assert command.plan is not None
        forget_person(self._data_dir, self._book, command.order.uid, command.plan["addresses"], command.order.asked_at)
        log.info("Carried out for %s: erase, of what the fronts knew.", command.order.actor)
