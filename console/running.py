"""The console's process: listens, lets people of this machine in by one-time addresses, ends on SIGTERM."""

import logging
import socket
import sys
from collections.abc import Callable
from typing import Final

import uvicorn

from console.app import console_app
from console.inviting import Invitations
from console.sessions import Sessions
from console.store import sqlite_store
from settings.certificates import tls_problem
from settings.listening import Address
from settings.schema import Settings
from settings.web_address import is_loopback
from signin.relying_party import sign_in_from
from storage.access import actor

_BACKLOG: Final = 128


class CannotListen(Exception):  # noqa: N818 - said to a person
    """The address cannot be had; the message says what to do."""


def run(
    settings: Settings, said: Callable[[str], None] | None = None, ready: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM or Ctrl-C. `said` is told what the person at the terminal should read; `ready` is called once
    connections are taken.

    Raises:
        CannotListen: somebody else has this address.
        ValueError, OSError, UnusableKey: sign-in cannot be set up; the message says why.
    """
    tell = said or _print
    address = settings.console.listen
    sign_in = sign_in_from(settings) if settings.console.signs_in(settings.sign_in is not None) else None
    admits = sign_in.still_admits if sign_in is not None else lambda _: True
    sessions = Sessions(settings.console.idle, admits=admits)
    tls = settings.console.tls
    if tls is not None and (why := tls_problem(tls)) is not None:
        raise ValueError(f"console.tls cannot be used: {why}")
    local = _on_this_machine(address)
    here = f"{'https' if tls else 'http'}://{local}"
    invite = Invitations(sessions, here if local is not None else None, tell).invite
    listening = _listen(address.host, address.port)
    server: uvicorn.Server | None = None
    app = console_app(
        settings,
        sqlite_store(settings),
        sessions,
        who=actor(),
        invite=invite,
        running=lambda: server is None or not server.should_exit,
        sign_in=sign_in,
    )
    tell(f"The console stands at {settings.console.origin if sign_in is not None else here}.")
    invite()
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
            ssl_certfile=tls.cert if tls else None,
            ssl_keyfile=tls.key if tls else None,
            h11_max_incomplete_event_size=64 << 10,
        )
    )
    logging.getLogger("uvicorn.error").addFilter(_not_said_twice)
    listening.listen(_BACKLOG)
    ready()
    try:
        server.run([listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()


def _not_said_twice(line: logging.LogRecord) -> bool:
    """An answer that breaks off was said by the guard, with why; that it has no end says nothing more."""
    return line.msg != "ASGI callable returned without completing response."


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


def _on_this_machine(address: Address) -> Address | None:
    """Where it is asked from here, if it can be: on all addresses is on 127.0.0.1 as well."""
    if address.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return Address(host="127.0.0.1" if "." in address.host else "::1", port=address.port)
    return address if is_loopback(address.host) else None


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is for the person who started us
