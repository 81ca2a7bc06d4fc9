"""One exchange, between a caller's side and a provider's."""

import logging
import time
from collections.abc import Callable
from typing import Final

from mitmproxy import connection, flow, http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _events, _hooks

from lanes import pinned
from lanes.express.door import REVOKED
from lanes.express.head import HeadProblem
from lanes.express.writing import request_message
from lanes.mitm.asking import Body, BodyWanted, Expelled, Fault, Forget, Message, Whole
from lanes.mitm.keeper import Keeper
from lanes.mitm.switched import Switch, Switched
from lanes.websocket.session import Observed, Session
from lanes.websocket.upgrade import request_id_of, switched_head, upgrade_message
from outbound.upstream_proxy import PROXY_SAYS
from wire.websocket.handshake import fault_of_reply

log = logging.getLogger(__name__)

type Commands = layer.CommandGenerator[None]

TIMED_OUT: Final = "Upstream timed out: no byte for too long"

_CODES: Final = (
    ("Upstream timed out", "upstream_timeout"),
    (PROXY_SAYS, "upstream_proxy_failed"),
    (REVOKED, "invalid_token"),
)
"""What a caller who was told nothing yet is told, by the first words of what went wrong."""
_ELSE: Final = "upstream_unreachable"


class CheckpointStream(http_layers.HttpStream):
    """One exchange: a refusal is answered as soon as it is final, and every error is told by the door."""

    def __init__(self, context: Context, stream_id: int, keeper: Keeper, switched: Callable[[Switched], None]) -> None:
        super().__init__(context, stream_id)
        self._keeper = keeper
        self._switched = switched
        self._sent_again = False
        self._session: Session | None = None
        self._is_switched = False

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, Body):
            if self.client_state != self.state_errored:
                yield from self._judge(event.data)
        elif isinstance(event, Switch):
            yield from self._switch(event)
        elif isinstance(event, Expelled):
            yield from self._give_up(REVOKED)
        elif not isinstance(event, Fault):
            yield from super()._handle_event(event)
        elif event.code == "upstream_timeout":
            yield from self._give_up(TIMED_OUT)
        elif self.client_state != self.state_errored:
            yield from self._refuse(event.code)

    def _refuse(self, code: str) -> Commands:
        self._keeper.refuse(self.flow, code)
        yield from self._answer()

    def state_wait_for_request_headers(self, event: _events.RequestHeaders) -> Commands:
        self.flow = http.HTTPFlow(self.context.client, self.context.server, live=True)
        self.flow.request = event.request
        yield _hooks.HttpRequestHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self._keeper.is_settled(self.flow):
            yield from self._answer()
            return
        self.client_state = self.state_consume_request_body
        self.server_state = self.state_wait_for_response_headers
        yield http_layers.SendHttp(BodyWanted(self.stream_id), self.context.client)

    def _judge(self, body: bytes) -> Commands:
        data = self.flow.request.data
        data.content = body
        data.timestamp_end = time.time()
        self.client_state = self.state_done
        yield _hooks.HttpRequestHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self.flow.response is not None:
            yield from self._answer()
        else:
            yield from self._forward()

    def _forward(self) -> Commands:
        try:
            message = request_message(self.flow.request)
        except HeadProblem as problem:
            log.info("A request cannot be sent as it is: %s", problem.code)
            yield from self._refuse(problem.code)
            return
        self._session = self._keeper.session(self.flow) if self.flow.request.data.method == b"GET" else None
        if self._session is not None:
            message = upgrade_message(message)
        if (yield from self.make_server_connection()):
            method = self.flow.request.data.method
            yield http_layers.SendHttp(Message(self.stream_id, method, message), self.context.server)

    def state_wait_for_response_headers(self, event: _events.ResponseHeaders) -> Commands:
        if event.response.status_code == 401 and self._may_ask_again() and self._keeper.again(self.flow):
            # Once. The answer to the first is nobody's, nor is its connection used again.
            self._sent_again = True
            yield http_layers.SendHttp(Forget(self.stream_id), self.context.server)
            yield from self._forward()
            return
        self.flow.response = event.response
        yield _hooks.HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self.flow.response.stream and not event.end_stream:
            yield from self.start_response_stream()
        else:
            self.server_state = self.state_consume_response_body

    def _may_ask_again(self) -> bool:
        return not self._sent_again

    def handle_protocol_error(self, event: _events.RequestProtocolError | _events.ResponseProtocolError) -> Commands:
        if self._is_switched:
            yield from self._lose_switched(event)
            return
        told_nothing = self.client_state != self.state_errored and self.server_state in (
            self.state_wait_for_response_headers,
            self.state_consume_response_body,
        )
        if not isinstance(event, _events.ResponseProtocolError) or not told_nothing:
            yield from super().handle_protocol_error(event)
            return
        # Before `error`: the door still knows which API was called, and what its refusals look like.
        self._keeper.refuse(self.flow, next((code for words, code in _CODES if event.message.startswith(words)), _ELSE))
        self.flow.error = flow.Error(event.message)
        self.client_state = self.server_state = self.state_errored
        yield _hooks.HttpErrorHook(self.flow)
        yield from self._tell()

    def _lose_switched(self, event: _events.RequestProtocolError | _events.ResponseProtocolError) -> Commands:
        """A connection of a WebSocket ended before its first frame was passed."""
        assert self._session is not None
        self.client_state = self.server_state = self.state_errored
        gone: Observed = "client_gone" if isinstance(event, _events.RequestProtocolError) else "upstream_cut"
        self._session.end(gone, clean=False)
        for conn in (self.context.server, self.context.client):
            if conn.state is not connection.ConnectionState.CLOSED:
                yield commands.CloseConnection(conn)

    def _give_up(self, why: str) -> Commands:
        """On the upstream: its connection goes, the caller is told as far as it still can be."""
        if self.server_state in (self.state_done, self.state_errored):
            return
        if self.context.server.connected:
            yield commands.CloseConnection(self.context.server)
        code = _events.ErrorCode.GENERIC_SERVER_ERROR
        yield from self.handle_protocol_error(_events.ResponseProtocolError(self.stream_id, why, code))

    def _switch(self, event: Switch) -> Commands:
        """The upstream has become a WebSocket: its frames are the handler's, once the hooks have seen the answer."""
        session, head, flow_ = self._session, event.head, self.flow
        fault = fault_of_reply(flow_.request.data.headers.fields, head.fields) if session else "nobody asked for that"
        if session is None or fault is not None:
            log.warning("A provider's answer to a WebSocket is refused: %s.", fault)
            yield from self._give_up("Upstream disconnected: it switched protocols unasked")
            return
        flow_.response = pinned.response(head.version, head.status, head.reason, head.fields, time.time())
        session.begin(request_id_of(flow_.response))
        self._is_switched = True
        yield _hooks.HttpResponseHeadersHook(flow_)
        yield _hooks.HttpResponseHook(flow_)
        flow_.live = False
        if self.client_state == self.state_errored:
            return  # one of them left while the hooks ran
        self.client_state = self.server_state = self.state_errored
        told = switched_head(flow_.response, head.fields, event.raw)
        self._switched(Switched(session, self.context.server, told))
        yield http_layers.DropStream(self.stream_id)

    def _answer(self) -> Commands:
        """`flow.response` goes out; addons see it as mitmproxy shows them a response set by an addon."""
        self.client_state = self.server_state = self.state_errored  # what still comes of the request is not wanted
        yield _hooks.HttpResponseHeadersHook(self.flow)
        yield _hooks.HttpResponseHook(self.flow)
        yield from self._tell()

    def _tell(self) -> Commands:
        assert self.flow.response is not None
        self.flow.live = False
        yield http_layers.DropStream(self.stream_id)
        yield http_layers.SendHttp(Whole(self.stream_id, self.flow.response), self.context.client)
