"""What the head of a request may look like. Pure: raw header fields in, the code of the first problem out.

Two parties that read one head differently are how requests are smuggled and names are forged (RFC 9112 §11.2,
RFC 9110 §5.1); so what has two readings is refused. A laptop (`strict=False`) only keeps out what cannot be forwarded.
"""

import re
from collections.abc import Sequence
from typing import Final

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_ONCE: Final = frozenset(
    {
        b"host",
        b"authorization",
        b"proxy-authorization",
        b"content-length",
        b"content-type",
        b"content-encoding",
        b"transfer-encoding",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"expect",
        b"upgrade",
    }
)
_IDENTITY: Final = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
_OTHER_METHOD: Final = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})
"""A method beside the method: servers that obey it (Google's do) would do something else than was judged."""

FOR_ALL: Final = frozenset(
    {b"content-type", b"content-encoding", b"content-length", b"content-language", b"host", b"accept", b"cache-control"}
)
"""Fields meant for everybody on the road, or that say what the body is. `Connection` may not name them (RFC 9110
§7.6.1): a body that lost its Content-Encoding on the way would be read otherwise than it was judged."""

_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BAD_NAME: Final = re.compile(rb"[^!#$%&'*+\-.^`|~0-9A-Za-z]")  # a token (RFC 9110 §5.6.2) without the underscore
_BAD_PATH: Final = re.compile(
    r"[^\x21-\x7e]|[\\#;]|//|/\.{1,2}(/|$)|%(2e|2f|5c|25|3b|[01][0-9a-f]|7f)|%(?![0-9a-f]{2})", re.IGNORECASE
)

_CHARSET: Final = re.compile(rb";[ \t]*charset[ \t]*=[ \t]*(\"[^\"]*\"|[^;\s]*)", re.IGNORECASE)
_UTF8: Final = frozenset({b"utf-8", b"utf8", b"us-ascii"})
"""Character sets of a body that are what our reader takes it for (RFC 8259 §8.1); every other is a second reading."""


def target_problem(method: str, target: str, http_version: str, *, absolute: bool, strict: bool) -> str | None:
    """The code for the request line, or None. `target` is path and query; `absolute` when a whole address was sent."""
    if method.upper() == "CONNECT":
        return "connect_not_allowed"
    if absolute or not target.startswith("/"):
        return "method_not_allowed" if target == "*" else "absolute_form"
    if not strict:
        return None
    if http_version not in ("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/2"):
        return "bad_http_version"
    if method not in METHODS:
        return "method_not_allowed"
    path, _, query = target.partition("?")
    if _BAD_PATH.search(path) or any(not "\x21" <= c <= "\x7e" or c == "#" for c in query):
        return "bad_path"
    return None


def asks_for_websocket(fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Is this a request to upgrade to a WebSocket (RFC 6455 §4.1)?"""
    upgrade = [value.strip().lower() for name, value in fields if name.lower() == b"upgrade"]
    return upgrade == [b"websocket"] and any(
        token.strip().lower() == b"upgrade"
        for name, value in fields
        if name.lower() == b"connection"
        for token in value.split(b",")
    )


def fields_problem(
    fields: Sequence[tuple[bytes, bytes]], *, identity_headers: frozenset[bytes], strict: bool, websocket: bool = False
) -> str | None:
    """The code for the header fields, or None. `identity_headers` are those that carry an identity here, lower-case.
    `websocket`: what was asked for may be upgraded to one."""
    seen: set[bytes] = set()
    upgrade = b""
    connection: list[bytes] = []
    for name, value in fields:
        low = name.lower()
        if low == b"upgrade":
            upgrade = value.strip().lower()
        elif low == b"connection":
            connection += [token.strip().lower() for token in value.split(b",")]
        elif low == b"transfer-encoding" and value.strip().lower() != b"chunked":
            return "bad_transfer_encoding"
        if not strict:
            continue
        if not name or _BAD_NAME.search(name) or _BAD_VALUE.search(value):
            return "bad_header"
        if low in seen and (low in _ONCE or low in identity_headers):
            return "duplicate_header"
        seen.add(low)
        if low == b"content-type" and any(c.strip(b'"').lower() not in _UTF8 for c in _CHARSET.findall(value)):
            return "media_type_not_supported"
        if low == b"trailer":
            return "trailers_not_supported"
        if low in _OTHER_METHOD:
            return "bad_header"
    if upgrade and b"upgrade" in connection:
        if upgrade != b"websocket":
            return "upgrade_not_allowed" if strict else None
        if not websocket:
            return "websocket_not_supported"
    elif strict and upgrade:
        return "upgrade_not_allowed"
    if strict and any(named in _IDENTITY or named in identity_headers or named in FOR_ALL for named in connection):
        return "bad_header"
    return None
