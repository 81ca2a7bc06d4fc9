"""What we rely on inside mitmproxy 12.2, in one place. tests/lanes/test_pinned.py fails when one of these moves.

1. `http.MessageData.__post_init__` checks the type of every field of every message (12 % of mitmproxy's time per
   request, PERF.md). It guards against addons in development; we build messages from bytes of our own parser.
2. Flows, messages and connections are made without their constructors, which convert old argument types and draw a
   UUID from the kernel each. What is not set here is the default that the class itself carries.
3. uvloop passes `eager_start=` to the loop's task factory; `asyncio.eager_task_factory` of Python 3.13.0 does not
   take it, and `Master.run` installs that factory.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from mitmproxy import connection, http, version
from mitmproxy.proxy import mode_specs
from mitmproxy.utils import asyncio_utils

LINE = "12.2."

type Fields = tuple[tuple[bytes, bytes], ...]
type Address = tuple[str, int]


class UnknownVersion(RuntimeError):  # noqa: N818 - says what is wrong
    """This mitmproxy is not the line whose internals were read."""


def check_version(found: str = version.VERSION) -> None:
    """Raises UnknownVersion when `found` is not of the line that this file was written against."""
    if not found.startswith(LINE):
        raise UnknownVersion(
            f"mitmproxy {found} is installed; lanes/pinned.py was written for {LINE}x. "
            "Install that line, or review the file and its tests."
        )


def install() -> None:
    """Apply 1 and 3 to this process. Calling it again changes nothing."""
    check_version()
    http.MessageData.__post_init__ = _unchecked  # type: ignore[attr-defined, method-assign, unused-ignore]
    asyncio_utils.set_eager_task_factory = eager_tasks


def _unchecked(_message: http.MessageData) -> None:
    pass


@contextlib.contextmanager
def eager_tasks() -> Iterator[None]:
    """As mitmproxy's `set_eager_task_factory`, with a factory that takes whatever keywords the loop passes."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    def factory(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **keywords: Any) -> asyncio.Task[Any]:
        keywords["eager_start"] = True
        return asyncio.Task(coro, loop=loop, **keywords)

    loop.set_task_factory(factory)
    try:
        yield
    finally:
        loop.set_task_factory(before)


def _ids() -> Iterator[str]:
    # In the form of version 4 UUIDs: the first half is random and new every 65536 ids, the last field counts.
    while True:
        h = os.urandom(10).hex()
        first = f"{h[:8]}-{h[8:12]}-4{h[12:15]}-{'89ab'[int(h[15], 16) & 3]}{h[16:19]}-"
        for last in range(1 << 16):
            yield f"{first}{last:012x}"


next_id: Callable[[], str] = _ids().__next__

_new_flow = http.HTTPFlow.__new__
_new_request = http.Request.__new__
_new_request_data = http.RequestData.__new__
_new_response = http.Response.__new__
_new_response_data = http.ResponseData.__new__
_new_headers = http.Headers.__new__
_new_client = connection.Client.__new__
_new_server = connection.Server.__new__


def flow(client: connection.Client, server: connection.Server, request: http.Request) -> http.HTTPFlow:
    """A live flow, as `HTTPFlow(client, server, live=True)` with `request` set."""
    made = _new_flow(http.HTTPFlow)
    made.__dict__ = {
        "id": next_id(),
        "client_conn": client,
        "server_conn": server,
        "live": True,
        "timestamp_created": request.data.timestamp_start,
        "intercepted": False,
        "_resume_event": None,
        "_backup": None,
        "marked": "",
        "is_replay": None,
        "metadata": {},
        "comment": "",
        "request": request,
    }
    return made


def client(peer: Address, here: Address, mode: mode_specs.ProxyMode) -> connection.Client:
    """A caller's open TCP connection."""
    made = _new_client(connection.Client)
    made.__dict__ = {
        "id": next_id(),
        "peername": peer,
        "sockname": here,
        "state": connection.ConnectionState.OPEN,
        "proxy_mode": mode,
        "timestamp_start": time.time(),
    }
    return made


def server(address: Address) -> connection.Server:
    """A connection to an upstream that is not open yet."""
    made = _new_server(connection.Server)
    made.__dict__ = {"id": next_id(), "address": address}
    return made


def request(
    host: str,
    port: int,
    scheme: bytes,
    method: bytes,
    authority: bytes,
    path: bytes,
    http_version: bytes,
    fields: Fields,
    started: float,
) -> http.Request:
    """A request whose body is still to come (`raw_content` None, `timestamp_end` None). `started`: Unix seconds."""
    headers = _new_headers(http.Headers)
    headers.fields = fields
    data = _new_request_data(http.RequestData)
    data.__dict__ = {
        "http_version": http_version,
        "headers": headers,
        "content": None,
        "trailers": None,
        "timestamp_start": started,
        "timestamp_end": None,
        "host": host,
        "port": port,
        "method": method,
        "scheme": scheme,
        "authority": authority,
        "path": path,
    }
    made = _new_request(http.Request)
    made.data = data
    return made


def response(http_version: bytes, status: int, reason: bytes, fields: Fields, started: float) -> http.Response:
    """A reply whose body is still to come. `started`: Unix seconds of its head."""
    headers = _new_headers(http.Headers)
    headers.fields = fields
    data = _new_response_data(http.ResponseData)
    data.__dict__ = {
        "http_version": http_version,
        "headers": headers,
        "content": None,
        "trailers": None,
        "timestamp_start": started,
        "timestamp_end": None,
        "status_code": status,
        "reason": reason,
    }
    made = _new_response(http.Response)
    made.data = data
    return made
