"""What stands in a journal row. Encoded as MessagePack arrays: fields are added at the end, never moved."""

import re
from typing import Literal

import msgspec

from exchange.principal import Principal
from exchange.tunnel import WhyUnread

INTENT, PIECE, CLOSING, UNREAD, SAID, REQUEST_PIECE = 1, 2, 3, 4, 5, 6

_HALVES = re.compile("[\ud800-\udfff]")

Observed = Literal["response_ended", "client_gone", "upstream_cut", "timed_out", "unreachable", "refused", "proxy_died"]
"""What the worker saw of the end. What it means (RECORD.md's `end_state`) is for the recorder to say."""


class Intent(msgspec.Struct, frozen=True, array_like=True):
    """Who asks what, and what was decided. The row's body is the request body, as it came.

    Over a WebSocket an exchange can have a second one, which takes the place of the first: the upgrade was on record
    before anything was asked, and what is asked first goes on under its id.
    """

    number: int  # counts the intents of this boot, from 1: a gap is a lost row
    started_at: int  # wall clock, microseconds since 1970
    node: str
    principal: Principal | None
    credential: str | None  # keyed hash of the caller's own provider key, never the key
    address: str | None
    user_agent: str | None
    mode: str
    outcome: Literal["allow", "deny"]
    code: str | None
    rule: str | None
    reason: str | None
    policy: str
    provider: str
    dialect: str
    method: str
    host: str
    path: str
    query: str | None
    content_type: str | None
    content_encoding: str | None
    body_bytes: int
    body_kept: bool
    operation: str
    request_model: str | None
    stream: bool
    changed: tuple[str, ...] = ()
    content_kept: bool = True  # False: its record keeps nothing that was said
    connection: str | None = None  # of a WebSocket's exchanges: the id of its first, the upgrade


class ReplyHead(msgspec.Struct, frozen=True, array_like=True):
    """The head of the reply, as far as the record needs it."""

    status: int
    content_type: str | None
    content_encoding: str | None
    upstream_request_id: str | None


class Arrivals(msgspec.Struct, frozen=True, array_like=True):
    """When the bytes of a row's body came: offsets in microseconds from the request's last byte, and lengths."""

    at: list[int]
    length: list[int]


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """Some reply bytes of an exchange that is still open. `head` is set in the first."""

    head: ReplyHead | None
    arrivals: Arrivals


class Closing(msgspec.Struct, frozen=True, array_like=True):
    """How it ended. The row's body is what came since the last piece. Times are microseconds."""

    observed: Observed
    status: int | None  # what the caller got
    head: ReplyHead | None  # the provider's, unless a piece has it already
    arrivals: Arrivals
    response_bytes: int
    truncated: bool  # the copy gave up on some bytes; the caller got them all
    error: str | None
    overhead: int | None  # in us, before the request was forwarded
    ttft: int | None  # request's last byte in → reply's first body byte in
    duration: int  # request's first byte in → end
    grpc_status: int | None = None  # what the reply's trailers said of the call


class Unread(msgspec.Struct, frozen=True, array_like=True):
    """A connection that was seen and is not read; no part of any exchange. One that passes has a row at its beginning,
    without `ended_at`, and one at its end; the later counts. Times are microseconds since 1970."""

    started_at: int
    ended_at: int | None
    node: str
    principal: Principal | None
    address: str | None
    user_agent: str | None  # of the CONNECT
    mode: str
    host: str  # what the caller asked us for
    port: int
    name: str | None  # what it asked for in TLS
    service: str | None  # the LLM service whose host it is
    rule: str  # what said that it is not read
    why: WhyUnread
    detail: str | None
    sent: int  # bytes from the caller
    received: int  # bytes to it

    def over(self, ended_at: int, sent: int, received: int) -> "Unread":
        """The row at its end."""
        return msgspec.structs.replace(self, ended_at=ended_at, sent=sent, received=received)


class Said(msgspec.Struct, frozen=True, array_like=True):
    """A message that the caller sent over a WebSocket within an exchange. The row's body is the message."""

    at: int  # microseconds since the exchange began


class RequestPiece(msgspec.Struct, frozen=True, array_like=True):
    """Some bytes of a request's body that goes on as it comes (gRPC), written before they went on. They are the row's
    body; the intent was written when only the head was here."""

    at: int  # microseconds since the exchange began


type Row = Intent | Piece | Closing | Unread | Said | RequestPiece

_KIND: dict[type, int] = {
    Intent: INTENT,
    Piece: PIECE,
    Closing: CLOSING,
    Unread: UNREAD,
    Said: SAID,
    RequestPiece: REQUEST_PIECE,
}
_encode = msgspec.msgpack.Encoder().encode
_DECODERS: dict[int, msgspec.msgpack.Decoder[Row]] = {
    INTENT: msgspec.msgpack.Decoder(Intent),
    PIECE: msgspec.msgpack.Decoder(Piece),
    CLOSING: msgspec.msgpack.Decoder(Closing),
    SAID: msgspec.msgpack.Decoder(Said),
    UNREAD: msgspec.msgpack.Decoder(Unread),
    REQUEST_PIECE: msgspec.msgpack.Decoder(RequestPiece),
}


def encode(row: Row) -> tuple[int, bytes]:
    """(kind, head) as they stand in the file. What is no Unicode (a byte that strangers sent) becomes U+FFFD."""
    try:
        return _KIND[type(row)], _encode(row)
    except UnicodeEncodeError:
        return _KIND[type(row)], _encode(_unicode(msgspec.to_builtins(row)))


def _unicode(value: object) -> object:
    if isinstance(value, str):
        return _HALVES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_unicode(name): _unicode(each) for name, each in value.items()}
    return [_unicode(each) for each in value] if isinstance(value, list | tuple) else value


def decode(kind: int, head: bytes) -> Row:
    """The row again.

    Raises:
        msgspec.DecodeError: these bytes are no such row.
        KeyError: nobody knows this kind.
    """
    return _DECODERS[kind].decode(head)
