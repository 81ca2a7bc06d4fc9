"""Canaries: when mitmproxy moves something we rely on, one of these fails."""

import asyncio
import dataclasses
import subprocess
import sys

import pytest
import uvloop
from mitmproxy import connection, http
from mitmproxy.proxy import mode_specs
from mitmproxy.utils import asyncio_utils

from lanes import pinned

FIELDS = ((b"Host", b"h"), (b"X", b"y"))


def test_another_line_of_mitmproxy_is_not_accepted() -> None:
    with pytest.raises(pinned.UnknownVersion, match=r"mitmproxy 13\.0\.0 is installed"):
        pinned.check_version("13.0.0")


def test_this_line_of_mitmproxy_is_accepted() -> None:
    pinned.check_version()


def test_the_type_check_is_where_we_switch_it_off() -> None:
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from mitmproxy import http\n"
        "assert '__post_init__' in vars(http.MessageData)\n"
        "assert http.RequestData.__post_init__ is http.MessageData.__post_init__\n"
        "assert http.ResponseData.__post_init__ is http.MessageData.__post_init__\n"
        "def make(): http.Response(b'HTTP/1.1', 'x', b'', (), None, None, 0.0, None)\n"
        "try: make()\n"
        "except TypeError: pass\n"
        "else: raise SystemExit('it does not check any more')\n"
        "from lanes import pinned\n"
        "pinned.install(); pinned.install(); make()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_our_requests_are_mitmproxys_requests() -> None:
    ours = pinned.request("h", 80, b"http", b"POST", b"", b"/x", b"HTTP/1.1", FIELDS, 1.0)
    theirs = http.Request(
        "h", 80, b"POST", b"http", b"", b"/x", b"HTTP/1.1", http.Headers(FIELDS), None, None, 1.0, None
    )
    assert vars(ours.data).keys() == vars(theirs.data).keys()
    assert vars(ours).keys() == vars(theirs).keys()
    assert vars(ours.headers).keys() == vars(theirs.headers).keys()
    assert ours.get_state() == theirs.get_state()


def test_our_responses_are_mitmproxys_responses() -> None:
    ours = pinned.response(b"HTTP/1.1", 200, b"OK", FIELDS, 1.0)
    theirs = http.Response(b"HTTP/1.1", 200, b"OK", http.Headers(FIELDS), None, None, 1.0, None)
    assert vars(ours.data).keys() == vars(theirs.data).keys()
    assert vars(ours).keys() == vars(theirs).keys()
    assert ours.get_state() == theirs.get_state()


def test_our_flows_are_mitmproxys_flows() -> None:
    mode = mode_specs.ProxyMode.parse("regular")
    client = pinned.client(("127.0.0.1", 1), ("127.0.0.1", 2), mode)
    server = pinned.server(("h", 80))
    request = pinned.request("h", 80, b"http", b"POST", b"", b"/x", b"HTTP/1.1", FIELDS, 1.0)
    ours = pinned.flow(client, server, request)
    theirs = http.HTTPFlow(client, server, live=True)
    theirs.request = request
    assert vars(ours).keys() == vars(theirs).keys()
    for name in vars(theirs).keys() - {"id", "timestamp_created"}:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert len(ours.id) == len(theirs.id)
    assert ours.get_state().keys() == theirs.get_state().keys()


def test_our_connections_are_mitmproxys_connections() -> None:
    mode = mode_specs.ProxyMode.parse("regular")
    peer, here = ("127.0.0.1", 1), ("127.0.0.1", 2)
    pairs: list[tuple[connection.Connection, connection.Connection]] = [
        (
            pinned.client(peer, here, mode),
            connection.Client(peername=peer, sockname=here, state=connection.ConnectionState.OPEN, proxy_mode=mode),
        ),
        (pinned.server(("h", 80)), connection.Server(address=("h", 80))),
    ]
    for ours, theirs in pairs:
        for each in dataclasses.fields(theirs):
            if each.name not in ("id", "timestamp_start"):
                assert getattr(ours, each.name) == getattr(theirs, each.name), each.name
        assert ours.get_state().keys() == theirs.get_state().keys()
        repr(ours)
        str(ours)


def test_flow_ids_do_not_repeat() -> None:
    assert len({pinned.next_id() for _ in range(10_000)}) == 10_000


def test_eager_tasks_work_on_uvloop_under_mitmproxys_name() -> None:
    pinned.install()

    async def main() -> bool:
        with asyncio_utils.set_eager_task_factory():
            began = False

            async def work() -> None:
                nonlocal began
                began = True

            task = asyncio.create_task(work())
            at_once = began
            await task
            return at_once

    assert uvloop.run(main())
