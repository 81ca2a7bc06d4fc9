"""What a caller's connection, its streams and an upstream's connection say to each other beyond mitmproxy's events."""

from collections.abc import Collection
from dataclasses import dataclass

import h2.errors
from mitmproxy import http
from mitmproxy.proxy import events
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _base, _events


@dataclass
class Late(events.ConnectionEvent):
    """The caller's connection is past the deadline of whatever it is doing."""


@dataclass
class Expel(events.Event):
    """From the handler: whoever asked for these flows may not go on."""

    flows: Collection[str]


@dataclass
class Expelled(_base.HttpEvent):
    """To the stream: it is one of them."""


@dataclass
class BodyWanted(_base.HttpEvent):
    """From the stream to the caller's connection: the head may pass, the body is needed to decide. `as_it_comes`: the
    head has decided, and the body goes on piece by piece."""

    as_it_comes: bool = False


@dataclass
class Body(_base.HttpEvent):
    """From the caller's connection to the stream: the request's body, whole."""

    data: bytes


@dataclass
class BodyPart(_base.HttpEvent):
    """From the caller's connection to the stream: some of a body that goes on as it comes."""

    data: bytes
    is_last: bool


@dataclass
class Taken(_base.HttpEvent):
    """From the stream to a connection: so many bytes of what came there have gone on, and as many more may come."""

    size: int


@dataclass
class Recorded(_base.HttpEvent):
    """To the stream: the part of a body that it handed in is on record, or with `code`, may not go on."""

    code: str | None


@dataclass
class Room(_base.HttpEvent):
    """To the stream: somebody may have taken something. Look whether there is room for more."""


@dataclass
class Fault(_base.HttpEvent):
    """From the caller's connection to the stream: refuse with this code of exchange.decision.CODES."""

    code: str


@dataclass
class Whole(_base.HttpEvent):
    """From the stream to the caller's connection: an answer that is all here."""

    response: http.Response


@dataclass
class Message(_base.HttpEvent):
    """From the stream to the upstream's connection: a request, in its very bytes."""

    method: bytes
    data: bytes


@dataclass
class BreakOff(_base.HttpEvent):
    """From the stream to the caller's connection: the answer ends here, by RST_STREAM with this code."""

    code: int


@dataclass
class Forget(_base.HttpEvent):
    """From the stream to the upstream's connection: what still comes is not wanted."""


class StreamsWanted(http_layers.GetHttpConnection):
    """From the stream to the layer above: a connection to the provider that speaks HTTP/2, if the provider does."""


class ProviderReset(_events.ResponseProtocolError):
    """From the upstream's connection to the stream: the provider ended this answer before its time, by RST_STREAM with
    the code `sent`; the connection goes on."""

    def __init__(self, stream_id: int, sent: int) -> None:
        named = next((known.name for known in h2.errors.ErrorCodes if known == sent), str(sent))
        said = f"Upstream disconnected: it reset the stream ({named})"
        super().__init__(stream_id, said, _events.ErrorCode.GENERIC_SERVER_ERROR)
        self.sent = sent
