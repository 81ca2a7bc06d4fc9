"""The console's process: listens, lets people of this machine in by one-time addresses, ends on SIGTERM."""

import socket
import sys
import time
from collections.abc import Callable
from typing import Final

import uvicorn

from console.app import console_app
from console.sessions import Sessions
from console.store import sqlite_store
from settings.schema import Settings
from storage.access import actor

_INVITE_EVERY: Final = 20.0  # seconds; whoever has no session cannot fill a terminal


class CannotListen(Exception):  # noqa: N818 - said to a person
    """The address cannot be had; the message says what to do."""


def run(settings: Settings, said: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C. `said` is told what the person at the terminal should read.

    Raises:
        CannotListen: somebody else has this address.
    """
    tell = said or _print
    address = settings.console.listen
    listening = _listen(address.host, address.port)
    sessions = Sessions(settings.console.idle)
    last = 0.0

    def invite() -> None:
        nonlocal last
        if time.monotonic() - last >= _INVITE_EVERY or not last:
            last = time.monotonic()
            tell(f"  open:  http://{address}/enter?key={sessions.one_time_key()}   (once, within 15 minutes)")

    server: uvicorn.Server | None = None
    app = console_app(
        settings,
        sqlite_store(settings),
        sessions,
        who=actor(),
        invite=invite,
        running=lambda: server is None or not server.should_exit,
    )
    tell(f"The console stands at http://{address}. Ctrl-C ends it.")
    invite()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
            h11_max_incomplete_event_size=64 << 10,
        )
    )
    try:
        server.run([listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as taken:
        listening.close()
        raise CannotListen(
            f"console.listen: {host}:{port} cannot be had ({taken.strerror}). Choose another port, or stop who has it."
        ) from taken
    return listening


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is for the person who started us
