"""gRPC, as far as it can be told without knowing its messages: what is a call, how a reply ended, what a refusal is.

Sources: "gRPC over HTTP2" (PROTOCOL-HTTP2.md), "Status codes and their use in gRPC", "HTTP to gRPC Status Code Mapping"
in the documentation of gRPC.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from exchange.decision import CODES
from exchange.reply import Reply
from wire.opaque import media_type, opaque

type Fields = Iterable[tuple[bytes, bytes]]

CONTENT_TYPE: Final = "application/grpc"
UNKNOWN: Final = 2

_STATUS: Final = {
    400: 3,  # INVALID_ARGUMENT
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 5,  # NOT_FOUND
    405: 12,  # UNIMPLEMENTED
    408: 4,  # DEADLINE_EXCEEDED
    413: 8,  # RESOURCE_EXHAUSTED
    415: 12,
    421: 7,
    431: 8,
    500: 13,  # INTERNAL
    502: 14,  # UNAVAILABLE
    503: 14,
    504: 4,
}

_NO_TRAILER: Final = frozenset(
    {
        b"authorization", b"cache-control", b"connection", b"content-encoding", b"content-length", b"content-range",
        b"content-type", b"expect", b"host", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
        b"proxy-connection", b"set-cookie", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"www-authenticate",
    }
)  # fmt: skip
"""What says where a message ends, for whom it is, who asks or how to read it does not stand behind it (RFC 9110
§6.5.1)."""


def is_grpc(method: bytes, fields: Fields) -> bool:
    """Is this the head of a call? `fields` are those of HTTP/2, with names in lower case."""
    found = {name: value for name, value in fields if name in (b"content-type", b"te")}
    return (
        method == b"POST"
        and found.get(b"te", b"").strip().lower() == b"trailers"
        and is_message_type(found.get(b"content-type", b"").decode("latin-1"))
    )


def is_message_type(content_type: str | None) -> bool:
    """`application/grpc`, or that with a `+` and the messages' own format; not grpc-web, whose trailers are in its
    body."""
    media = media_type(content_type)
    return media == CONTENT_TYPE or media.startswith(CONTENT_TYPE + "+")


def may_follow(name: bytes) -> bool:
    """May a field of this name, in lower case, come in trailers?"""
    return name not in _NO_TRAILER and not name.startswith(b":")


def status_of(fields: Fields) -> int | None:
    """The `grpc-status` among these, in trailers or in the head of a reply that is nothing else; None where there is
    none. What is no number counts as UNKNOWN."""
    for name, value in fields:
        if name == b"grpc-status":
            return int(value) if value.isdigit() and len(value) <= 4 else UNKNOWN
    return None


def with_status(reply: Reply, content_type: str | None, status: int) -> Reply:
    """The reply that ended with this `grpc-status`: it stands under `_extra`, and says whether the call failed."""
    body = reply.response if isinstance(reply.response, dict) else opaque(content_type, b"")
    noted = body.get("_extra")
    extra = {**(noted if isinstance(noted, dict) else {}), "grpc_status": status}
    return replace(reply, response={**body, "_extra": extra}, ended="failed" if status else "terminal")


def refusal_fields(code: str) -> dict[str, str]:
    """What says to a gRPC client that its call may not pass, beside the HTTP status: a head with nothing behind it.
    `code` is one of exchange.decision.CODES."""
    meaning = CODES[code if code in CODES else "checkpoint_error"]
    return {
        "content-type": CONTENT_TYPE,
        "grpc-status": str(_STATUS.get(meaning.status, UNKNOWN)),
        "grpc-message": f"{code}: {meaning.message}",
    }
