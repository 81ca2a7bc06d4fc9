"""The process of the fronts: listens for the workers on a socket under data_dir, ends on SIGTERM."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from fronts.app import fronts_app
from settings.fronts import SOCKET
from settings.schema import Settings
from signin.relying_party import sign_in_from
from storage.book import book_lock
from storage.journal.files import hold_lock


class CannotServe(Exception):  # noqa: N818 - said to a person
    """The fronts cannot be served; the message says what to do."""


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM.

    Raises:
        CannotServe: the socket, or what the settings name, cannot be had.
        UnusableKey: a key of our own is damaged.
    """
    try:
        lock = hold_lock(book_lock(settings.data_dir))
    except BlockingIOError:
        raise CannotServe(f"Another process serves the fronts of {settings.data_dir} already. Stop it.") from None
    except OSError as cannot:
        raise CannotServe(f"{book_lock(settings.data_dir)} cannot be written: {cannot.strerror}.") from cannot
    try:
        _run(settings, ready)
    finally:
        os.close(lock)


def _run(settings: Settings, ready: Callable[[], None]) -> None:
    try:
        listening = _listen(settings.data_dir / SOCKET)
    except OSError as cannot:
        raise CannotServe(f"{settings.data_dir / SOCKET} cannot be listened on: {cannot.strerror}.") from cannot
    try:
        app = fronts_app(settings, sign_in_from(settings), ready)
    except ValueError as cannot:
        raise CannotServe(f"The fronts cannot be served: {cannot}.") from cannot
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            loop="asyncio",
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=64 << 10,
        )
    )
    try:
        server.run([listening])
    finally:
        listening.close()


def _listen(path: Path) -> socket.socket:
    """Ours alone: the workers run as we do. What an earlier life left there is taken away."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listening.bind(str(path.absolute()))
    finally:
        os.umask(mask)
    listening.listen(512)
    return listening
