"""TCP keep-alive: a silent peer is asked whether it is still there, and boxes in between are kept from forgetting us.

A reasoning model may be silent for twenty minutes; NAT boxes and load balancers commonly forget after two to six.
"""

import contextlib
import socket
from typing import Protocol

IDLE_SECONDS = 45
INTERVAL_SECONDS = 15
PROBES = 4


class _Socket(Protocol):
    def setsockopt(self, level: int, option: int, value: int, /) -> object: ...


def probe(opened: _Socket) -> None:
    """On a listening socket, those it accepts inherit it (Linux, BSD). Finer options are set where they exist."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", IDLE_SECONDS), ("TCP_KEEPINTVL", INTERVAL_SECONDS), ("TCP_KEEPCNT", PROBES)):
        option = getattr(socket, name, None)
        if option is not None:
            with contextlib.suppress(OSError):  # not a TCP socket, or a system that has the name only
                opened.setsockopt(socket.IPPROTO_TCP, option, value)
