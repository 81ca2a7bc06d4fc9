"""Behind the gate: whatever way a request finds past it, no upstream is dialled, and no option opens such a way."""

from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import connection, exceptions, http, options, tcp, udp
from mitmproxy.addons import next_layer, proxyserver
from mitmproxy.master import Master
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from lanes.express.door import OpenDoor, answer_for
from lanes.express.lane import Lane
from lanes.mitm.lane import MitmLane
from lanes.mitm.options import FIXED
from tests.attacks.test_canaries import stock_client


def passed(lane: MitmLane, *, scheme: str = "https") -> http.HTTPFlow:
    """A flow that the gate shut, opened, and sent to api.example.com."""
    flow = http.HTTPFlow(stock_client(), connection.Server(address=None), live=True)
    flow.request = http.Request.make("POST", f"{scheme}://api.example.com/v1", b"{}")
    flow.response = answer_for("undecided")
    lane.requestheaders(flow)
    flow.response = None
    lane.request(flow)
    return flow


def dialled(lane: MitmLane, flow: http.HTTPFlow, **other: Any) -> connection.Server:
    server = connection.Server(address=("api.example.com", 443))
    server.tls = True
    server.sni = "evil.test"
    for name, value in other.items():
        setattr(server, name, value)
    lane.server_connect(ServerConnectionHookData(server, flow.client_conn))
    return server


@pytest.fixture
async def lane() -> MitmLane:
    return MitmLane(Lane(OpenDoor()))


async def test_a_request_that_the_gate_let_pass_is_dialled_under_the_name_it_set(lane: MitmLane) -> None:
    flow = passed(lane)
    server = dialled(lane, flow)

    assert server.error is None
    assert server.sni == "api.example.com"


@pytest.mark.parametrize(
    "other",
    [
        {"address": ("evil.test", 443)},
        {"address": ("api.example.com", 8443)},
        {"address": None},
        {"tls": False},
        {"transport_protocol": "udp"},
        {"via": ("http", ("proxy.test", 3128))},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_another_destination_than_the_gates_is_not_dialled(lane: MitmLane, other: dict[str, Any]) -> None:
    assert dialled(lane, passed(lane), **other).error


def refused(lane: MitmLane) -> http.HTTPFlow:
    flow = passed(lane)
    lane.requestheaders(flow)
    flow.response = answer_for("missing_identity")
    lane.request(flow)
    return flow


def never_shut(lane: MitmLane) -> http.HTTPFlow:
    flow = http.HTTPFlow(stock_client(), connection.Server(address=None), live=True)
    flow.request = http.Request.make("POST", "https://api.example.com/v1")
    lane.requestheaders(flow)
    lane.request(flow)
    return flow


def streamed_past(lane: MitmLane) -> http.HTTPFlow:
    """`request` comes after the connection when a body streams through."""
    flow = http.HTTPFlow(stock_client(), connection.Server(address=None), live=True)
    flow.request = http.Request.make("POST", "https://api.example.com/v1")
    flow.response = answer_for("undecided")
    lane.requestheaders(flow)
    flow.response = None
    return flow


def over(lane: MitmLane) -> http.HTTPFlow:
    flow = passed(lane)
    lane.response(flow)
    return flow


def broken(lane: MitmLane) -> http.HTTPFlow:
    flow = passed(lane)
    lane.error(flow)
    return flow


@pytest.mark.parametrize("way", [refused, never_shut, streamed_past, over, broken])
async def test_without_a_request_that_passed_nothing_is_dialled(
    lane: MitmLane, way: Callable[[MitmLane], http.HTTPFlow]
) -> None:
    assert dialled(lane, way(lane)).error


async def test_a_request_whose_door_nobody_shut_is_refused(lane: MitmLane) -> None:
    flow = never_shut(lane)

    assert flow.response is not None
    assert flow.response.status_code == 500


async def test_raw_bytes_are_killed_and_emptied(lane: MitmLane) -> None:
    server = connection.Server(address=("evil.test", 22))
    raw = tcp.TCPFlow(stock_client(), server, live=True)
    raw.messages.append(tcp.TCPMessage(True, b"SSH-2.0"))
    datagrams = udp.UDPFlow(stock_client(), server, live=True)
    datagrams.messages.append(udp.UDPMessage(True, b"x"))
    lane.tcp_start(raw)
    lane.tcp_message(raw)
    lane.udp_start(datagrams)
    lane.udp_message(datagrams)

    assert not raw.killable
    assert not datagrams.killable
    assert (raw.messages[-1].content, datagrams.messages[-1].content) == (b"", b"")


_OTHER: dict[str, object] = {
    "rawtcp": True,
    "tcp_hosts": [".*"],
    "udp_hosts": [".*"],
    "ignore_hosts": [".*"],
    "allow_hosts": ["x"],
    "stream_large_bodies": "1m",
    "connection_strategy": "eager",
    "http3": True,
    "http2": True,
    "websocket": True,
    "store_streamed_bodies": True,
    "body_size_limit": "1m",
    "keep_host_header": False,
    "validate_inbound_headers": False,
    "ssl_insecure": True,
}


def test_every_fixed_option_is_tried() -> None:
    assert _OTHER.keys() == FIXED.keys()


@pytest.mark.parametrize("name", _OTHER)
async def test_an_option_that_opens_a_way_past_is_refused_and_taken_back(name: str, lane: MitmLane) -> None:
    master = Master(options.Options())
    master.addons.add(proxyserver.Proxyserver(), next_layer.NextLayer())
    master.options.update(**FIXED)
    master.addons.add(lane)
    try:
        with pytest.raises(exceptions.OptionsError, match=name):
            master.options.update(**{name: _OTHER[name]})
        assert getattr(master.options, name) == FIXED[name]
    finally:
        master._legacy_log_events.uninstall()
