"""One call of gRPC: decided by its head; then its body goes on as it comes, each part on record before."""

import time
from collections.abc import Awaitable, Callable
from typing import cast

import h2.errors
from mitmproxy import connection, flow, http
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _events, _hooks

from lanes.mitm.asking import (
    Body,
    BodyPart,
    BodyWanted,
    BreakOff,
    Fault,
    ProviderReset,
    Recorded,
    Room,
    StreamsWanted,
    Taken,
)
from lanes.mitm.hardening.stream import CheckpointStream, Commands
from lanes.mitm.keeper import Keeper
from lanes.mitm.switched import Switched
from lanes.upload import Upload

type Later = Callable[[int, Awaitable[str | None]], None]
"""Await this, and tell the stream of this number that its part is recorded."""

type Holds = Callable[[connection.Connection, int], bool]
"""Has this side not taken yet what it was sent on this stream?"""


class CallStream(CheckpointStream):
    """What is sent is bounded by the windows of both sides: a part is taken from one only as the other takes it."""

    def __init__(
        self,
        context: Context,
        stream_id: int,
        keeper: Keeper,
        switched: Callable[[Switched], None],
        later: Later,
        holds: Holds,
    ) -> None:
        super().__init__(context, stream_id, keeper, switched)
        self._later, self._holds = later, holds
        self._upload: Upload | None = None
        self._is_asked = False  # the provider has the head
        self._parts: list[bytes] = []
        self._is_whole = False  # the last part came
        self._recording: bytes | None = None  # what is on its way to the record
        self._sent = self._got = 0  # bytes passed on, not taken by the other side, of the request and of the reply

    @property
    def waits_for_room(self) -> bool:
        return bool(self._sent or self._got)

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, BodyPart):
            self._parts.append(event.data)
            self._is_whole = event.is_last
            yield from self._record()
        elif isinstance(event, Body):  # to a provider that speaks HTTP/1.1
            self._parts, self._is_whole = [event.data], True
            yield from self._record()
        elif isinstance(event, Recorded):
            yield from self._recorded(event.code)
        elif isinstance(event, Room):
            yield from self._make_room()
        else:
            yield from super()._handle_event(event)
            if isinstance(event, _events.ResponseData) and self._is_asked:
                self._got += len(event.data)
                yield from self._make_room()

    # -- the head -----------------------------------------------------------------------------------------------------

    def state_wait_for_request_headers(self, event: _events.RequestHeaders) -> Commands:
        self.flow = http.HTTPFlow(self.context.client, self.context.server, live=True)
        self.flow.request = event.request
        self.flow.request.stream = True
        yield _hooks.HttpRequestHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self._keeper.is_settled(self.flow):
            yield from self._answer()
            return
        self.client_state = self.state_consume_request_body
        self.server_state = self.state_wait_for_response_headers
        data = self.flow.request.data
        data.content, data.timestamp_end = b"", time.time()
        yield _hooks.HttpRequestHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self.flow.response is not None:
            yield from self._answer()
            return
        self._upload = self._keeper.upload(self.flow)
        if self._upload is None:
            yield from self._refuse("checkpoint_error")
        else:
            yield from self._begin()

    def _begin(self) -> Commands:
        if self._has_fault():
            return
        if self.flow.request.data.scheme == b"https":
            if not (yield from self._connected()):
                return
            if self._has_fault() or (yield from self.check_killed(True)):
                return
            if self.context.server.alpn == b"h2":
                self._is_asked = True
                self.client_state = self.state_done
                head = _events.RequestHeaders(self.stream_id, self.flow.request, end_stream=False)
                yield http_layers.SendHttp(head, self.context.server)
        if self.client_state != self.state_errored:
            wanted = BodyWanted(self.stream_id, as_it_comes=self._is_asked)
            yield http_layers.SendHttp(wanted, self.context.client)

    def _has_fault(self) -> bool:
        """Something wrong with what follows the head is known already, and has its turn next."""
        return any(isinstance(event, Fault) for event in self._paused_event_queue)

    def _connected(self) -> layer.CommandGenerator[bool]:
        data = self.flow.request.data
        found, failed = cast(
            "tuple[connection.Server | None, str | None]",
            (yield StreamsWanted((data.host, data.port), True, self.flow.server_conn.via)),
        )
        if found is None:
            problem = _events.ResponseProtocolError(self.stream_id, failed or "", _events.ErrorCode.CONNECT_FAILED)
            yield from self.handle_protocol_error(problem)
            return False
        self.context.server = self.flow.server_conn = found
        return True

    # -- the body -----------------------------------------------------------------------------------------------------

    def _record(self) -> Commands:
        """What came goes to the record, and on from there; what comes meanwhile is the next part."""
        if self._recording is not None or not self._parts or self.client_state == self.state_errored:
            return
        assert self._upload is not None
        self._recording, self._parts = b"".join(self._parts), []
        if self._recording:
            self._later(self.stream_id, self._upload.record(self._recording))
        else:
            yield from self._pass_on()  # an end, and nothing before it

    def _recorded(self, code: str | None) -> Commands:
        if self.client_state == self.state_errored or self._recording is None:
            return  # it ended meanwhile
        if code is not None:
            yield from self._refuse(code)
            return
        yield from self._pass_on()
        yield from self._record()

    def _pass_on(self) -> Commands:
        part, self._recording = self._recording or b"", None
        is_last = self._is_whole and not self._parts
        if is_last and self._upload is not None:
            self._upload.ended()
        if not self._is_asked:
            self.flow.request.data.content = part
            self.client_state = self.state_done
            yield from self._forward()
            return
        if part:
            self._sent += len(part)
            yield http_layers.SendHttp(_events.RequestData(self.stream_id, part), self.context.server)
        if is_last:
            yield http_layers.SendHttp(_events.RequestEndOfMessage(self.stream_id), self.context.server)
        yield from self._make_room()

    def _make_room(self) -> Commands:
        """Each side may send as much as the other has taken."""
        if self._sent and not self._holds(self.context.server, self.stream_id):
            sent, self._sent = self._sent, 0
            yield http_layers.SendHttp(Taken(self.stream_id, sent), self.context.client)
        if self._got and not self._holds(self.context.client, self.stream_id):
            got, self._got = self._got, 0
            yield http_layers.SendHttp(Taken(self.stream_id, got), self.context.server)

    # -- the reply, and the end ---------------------------------------------------------------------------------------

    def state_wait_for_response_headers(self, event: _events.ResponseHeaders) -> Commands:
        event.response.stream = True  # whoever keeps a copy, it goes on as it comes
        yield from super().state_wait_for_response_headers(event)

    def _may_ask_again(self) -> bool:
        return False  # what went on is not here any more

    def _refuse(self, code: str) -> Commands:
        """For what came behind the head. Where the answer has begun it breaks off; the record has the code."""
        if self._is_asked:
            yield from self._leave_provider()
        if self.server_state in (self.state_uninitialized, self.state_wait_for_response_headers):
            yield from super()._refuse(code)
            return
        self.flow.error = flow.Error(f"Refused: {code}")
        self.client_state = self.server_state = self.state_errored
        yield _hooks.HttpErrorHook(self.flow)
        self.flow.live = False
        yield http_layers.DropStream(self.stream_id)
        yield http_layers.SendHttp(BreakOff(self.stream_id, h2.errors.ErrorCodes.CANCEL), self.context.client)

    def _give_up(self, why: str) -> Commands:
        if not self._is_asked:
            yield from super()._give_up(why)
        elif self.server_state not in (self.state_done, self.state_errored):
            yield from self._leave_provider()
            code = _events.ErrorCode.GENERIC_SERVER_ERROR
            yield from self.handle_protocol_error(_events.ResponseProtocolError(self.stream_id, why, code))

    def _leave_provider(self) -> Commands:
        code = _events.ErrorCode.CANCEL
        left = _events.RequestProtocolError(self.stream_id, "nobody waits for it any more", code)
        yield http_layers.SendHttp(left, self.context.server)

    def handle_protocol_error(self, event: _events.RequestProtocolError | _events.ResponseProtocolError) -> Commands:
        begun = self.server_state == self.state_stream_response_body and self.client_state != self.state_errored
        if not isinstance(event, ProviderReset) or not begun:
            yield from super().handle_protocol_error(event)
            return
        self.flow.error = flow.Error(event.message)
        self.client_state = self.server_state = self.state_errored
        yield _hooks.HttpErrorHook(self.flow)
        self.flow.live = False
        yield http_layers.DropStream(self.stream_id)
        yield http_layers.SendHttp(BreakOff(self.stream_id, event.sent), self.context.client)
