"""Canaries: when mitmproxy moves something that lanes/mitm/hardening relies on, one of these fails."""

import inspect
from typing import Any

import h2.config
import h2.connection
import h2.exceptions
import pytest
from h11._receivebuffer import ReceiveBuffer
from hyperframe.frame import GoAwayFrame, PingFrame, SettingsFrame, WindowUpdateFrame
from mitmproxy import connection, http, options
from mitmproxy.addons import tlsconfig
from mitmproxy.proxy import commands, events, layer, mode_servers, server
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _base, _events, _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from lanes.express.door import OpenDoor
from lanes.express.lane import Lane
from lanes.express.limits import Limits
from lanes.mitm import asking, hardening, http2_connection
from lanes.mitm.hardening import provider_streams
from lanes.mitm.mode import CheckpointMode
from lanes.mitm.ways import Way


def stock_client() -> connection.Client:
    mode = CheckpointMode.parse("checkpoint:http://127.0.0.1:1@127.0.0.1:2")
    return connection.Client(peername=("127.0.0.1", 3), sockname=("127.0.0.1", 2), proxy_mode=mode, timestamp_start=1.0)


@pytest.mark.parametrize(
    ("owner", "name", "words"),
    [
        (_http1.Http1Server, "read_headers", "FIXME: protect against header size DoS"),
        (_http1.Http1Client, "read_headers", "FIXME: protect against header size DoS"),
        (_http1.Http1Connection, "read_body", "HTTP trailers are not implemented yet"),
        (_http1, "make_error_response", "text/html"),
        (http_layers.HttpStream, "state_wait_for_request_headers", "Response.make(100)"),
        (http_layers.HttpStream, "flow_done", "self.context.options.rawtcp"),
        (http_layers.HttpStream, "check_killed", "self._paused_event_queue"),
        (server.ConnectionHandler, "open_connection", "await asyncio.open_connection("),
        (server.ConnectionHandler, "open_connection", "if err := command.connection.error:"),
        (server.ConnectionHandler, "close_connection", "writer.write_eof()"),
    ],
)
def test_what_we_harden_is_still_as_it_was(owner: Any, name: str, words: str) -> None:
    """When one is gone, mitmproxy may have done it itself: see whether our part can go."""
    assert words in inspect.getsource(getattr(owner, name))


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (
            hardening.CallerConnection,
            _http1.Http1Server,
            ("send", "read_headers", "read_body", "wait", "done"),
        ),
        (hardening.ProviderConnection, _base.HttpConnection, ("_handle_event",)),
        (
            hardening.CheckpointStream,
            http_layers.HttpStream,
            (
                "_handle_event", "state_wait_for_request_headers", "state_wait_for_response_headers",
                "state_consume_request_body", "state_consume_response_body", "state_done", "state_errored",
                "start_response_stream", "make_server_connection", "handle_protocol_error", "check_killed",
            ),
        ),
        (hardening.CheckpointHttp, http_layers.HttpLayer, ("_handle_event", "make_stream", "event_to_child")),
        (
            hardening.CheckpointHandler,
            mode_servers.ProxyConnectionHandler,
            ("handle_connection", "open_connection", "server_event", "drain_writers", "close_connection"),
        ),
    ],
)  # fmt: skip
def test_what_we_override_and_call_is_there(ours: type, theirs: type, names: tuple[str, ...]) -> None:
    assert issubclass(ours, theirs)
    for name in names:
        assert list(inspect.signature(getattr(ours, name)).parameters) == list(
            inspect.signature(getattr(theirs, name)).parameters
        ), name


def test_the_name_that_makes_upstream_connections_is_the_one_we_replace() -> None:
    hardening.install()
    hardening.install()

    assert inspect.getsource(http_layers.HttpClient).count(" Http1Client(") == 1
    assert vars(http_layers)["Http1Client"] is hardening.ProviderConnection
    assert inspect.getsource(http_layers.HttpClient).count(" Http2Client(") == 1
    assert vars(http_layers)["Http2Client"] is hardening.ProviderStreams


def test_protocols_that_are_offered_already_are_kept() -> None:
    """How a call of gRPC gets HTTP/2, and nothing else does."""
    source = inspect.getsource(tlsconfig.TlsConfig.tls_start_server)
    assert "if not server.alpn_offers:" in source
    assert "set_alpn_protos(list(server.alpn_offers))" in source


async def test_answers_under_way_still_come_after_goaway() -> None:
    """What hyper-h2 does not do: when it does, our part can go."""
    assert issubclass(provider_streams._Connection, h2.connection.H2Connection)
    theirs = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    theirs.initiate_connection()
    limits = Limits()
    for kind, goes_on in ((provider_streams._Connection, True), (http2_connection.BoundedConnection, False)):
        ours = kind(provider_streams._CONFIG, head_bytes=limits.reply_head_bytes, window=1 << 20)
        ours.initiate_connection()
        ours.send_headers(1, [(":method", "GET"), (":scheme", "https"), (":authority", "h"), (":path", "/")])
        ours.receive_data(GoAwayFrame(0, last_stream_id=1).serialize())
        ping = PingFrame(0, opaque_data=b"12345678").serialize()
        if goes_on:
            ours.receive_data(ping)
        else:
            with pytest.raises(h2.exceptions.ProtocolError):
                ours.receive_data(ping)


def test_a_caller_side_that_is_there_already_is_kept() -> None:
    assert "self.connections.setdefault(self.context.client, http_conn)" in inspect.getsource(
        http_layers.HttpLayer._handle_event
    )


def test_bytes_of_a_connection_are_put_into_its_buffer_before_its_state_is_asked() -> None:
    source = inspect.getsource(_http1.Http1Connection._handle_event)

    assert source.index("self.buf += event.data") < source.index("yield from self.state(event)")


def test_unknown_events_of_a_connection_reach_its_state() -> None:
    """How `Late` gets to CallerConnection."""
    assert issubclass(asking.Late, events.ConnectionEvent)
    assert "handler = self.connections[event.connection]" in inspect.getsource(http_layers.HttpLayer._handle_event)


def test_the_receive_buffer_takes_and_gives_bytes() -> None:
    buffer = ReceiveBuffer()
    buffer += b"HTTP/1.1 100 Continue\r\n\r\nrest"

    assert [bytes(line) for line in buffer.maybe_extract_lines() or []] == [b"HTTP/1.1 100 Continue"]
    assert bytes(buffer) == b"rest"
    assert len(buffer) == 4


def drive(target: layer.Layer, *happened: events.Event) -> list[commands.Command]:
    return [command for event in happened for command in target.handle_event(event)]


async def upstream_side() -> tuple[hardening.ProviderConnection, Context]:
    context = Context(stock_client(), options.Options())
    hardening.CheckpointTop(context, Lane(OpenDoor()), Way("127.0.0.1", 9, b"http"))
    context.server.state = connection.ConnectionState.OPEN
    side = hardening.ProviderConnection(context)
    drive(side, events.Start(), asking.Message(1, b"GET", b"GET / HTTP/1.1\r\n\r\n"))
    return side, context


def heard(given: list[commands.Command]) -> list[_events.HttpEvent]:
    return [command.event for command in given if isinstance(command, ReceiveHttp)]


@pytest.mark.parametrize("cut", [0, 10, 30])
async def test_interim_replies_are_not_taken_for_the_reply(cut: int) -> None:
    side, context = await upstream_side()
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    given = drive(side, *(events.DataReceived(context.server, part) for part in (raw[:cut], raw[cut:]) if part))

    (first, *_) = heard(given)
    assert isinstance(first, _events.ResponseHeaders)
    assert first.response.status_code == 204


async def test_the_trailers_of_a_reply_do_not_crash_the_connection() -> None:
    side, context = await upstream_side()
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-A: b\r\n\r\n"
    given = heard(drive(side, events.DataReceived(context.server, raw)))

    assert [type(event).__name__ for event in given] == ["ResponseHeaders", "ResponseData", "ResponseEndOfMessage"]


async def test_the_head_of_a_reply_is_bounded() -> None:
    side, context = await upstream_side()
    given = drive(side, events.DataReceived(context.server, b"HTTP/1.1 200 OK\r\nX: " + b"a" * (300 << 10)))

    (error,) = heard(given)
    assert isinstance(error, _events.ResponseProtocolError)
    assert any(isinstance(command, commands.CloseConnection) for command in given)


async def test_an_empty_piece_of_a_chunked_reply_does_not_end_it() -> None:
    context = Context(stock_client(), options.Options())
    context.client.state = connection.ConnectionState.OPEN
    side = hardening.CallerConnection(context, Lane(OpenDoor()), Way("127.0.0.1", 9, b"http"))
    reply = http.Response.make(200, b"", {"transfer-encoding": "chunked"})
    given = drive(
        side,
        events.Start(),
        events.DataReceived(context.client, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        asking.BodyWanted(1),
        *(_events.ResponseHeaders(1, reply), _events.ResponseData(1, b""), _events.ResponseData(1, b"hi")),
        _events.ResponseEndOfMessage(1),
    )
    sent = b"".join(command.data for command in given if isinstance(command, commands.SendData))

    assert sent.partition(b"\r\n\r\n")[2] == b"2\r\nhi\r\n0\r\n\r\n"


def test_fields_are_sent_without_huffman_coding() -> None:
    """hpack's takes time by the square of a value's length: 14 s of a worker for 256 KiB that a provider may send."""
    ours = http2_connection.BoundedConnection(provider_streams._CONFIG, head_bytes=1 << 20, window=1 << 20)
    assert b"y" * 10_000 in ours.encoder.encode([(b"x-long", b"y" * 10_000)])


@pytest.mark.parametrize("size", [10, 40_000])
def test_a_window_that_was_made_smaller_than_what_is_under_way_holds_the_rest_back(size: int) -> None:
    """RFC 9113 §6.9.2: it may become negative, and mitmproxy's buffers take that for so many bytes from the end."""
    ours = http2_connection.BoundedConnection(provider_streams._CONFIG, head_bytes=1 << 20, window=1 << 20)
    ours.initiate_connection()
    ours.send_headers(1, [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"h"), (b":path", b"/")])
    ours.receive_data(SettingsFrame(0, settings={}).serialize())
    ours.send_data(1, b"x" * 60_000)
    ours.receive_data(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1000}).serialize())
    ours.data_to_send()
    ours.send_data(1, b"y" * size)
    assert ours.data_to_send() == b""
    assert ours.held_back == size
    wide = SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 20}).serialize()
    ours.receive_data(wide + WindowUpdateFrame(0, window_increment=1 << 20).serialize())
    assert ours.data_to_send().count(b"y") == size
    assert not ours.holds(1)
