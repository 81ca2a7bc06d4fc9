"""Ports for programs that tests start.

Outside the range from which the kernel hands out ports (32768 to 60999 on Linux): one of those may go to somebody's
outgoing connection between the choice and the start. And no two processes of one run choose from the same ones.
"""

import itertools
import os
import random
import socket

_FIRST, _SPAN = 10_000, 2_500
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_turn = itertools.count(random.randrange(_SPAN))  # other runs on this machine begin elsewhere


def free_port() -> int:
    """A TCP port of loopback on which nobody listens."""
    for _ in range(_SPAN):
        port = _FIRST + _WORKER * _SPAN + next(_turn) % _SPAN
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port of loopback is free")
