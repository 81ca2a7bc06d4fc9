"""What a caller's connection, its streams and an upstream's connection say to each other beyond mitmproxy's events."""

from collections.abc import Collection
from dataclasses import dataclass

from mitmproxy import http
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import _base


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
    """From the stream to the caller's connection: the head may pass, the body is needed to decide."""


@dataclass
class Body(_base.HttpEvent):
    """From the caller's connection to the stream: the request's body, whole."""

    data: bytes


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
class Forget(_base.HttpEvent):
    """From the stream to the upstream's connection: what still comes is not wanted."""
