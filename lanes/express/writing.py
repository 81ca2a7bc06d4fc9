"""The heads we send: the caller's fields to the upstream, the upstream's to the caller.

Each goes without what concerned the other connection alone.
"""

import functools
import re

from mitmproxy import http

from lanes.express.framing import Kind
from lanes.express.head import HOP_BY_HOP, Fields, HeadProblem, ReplyHead, is_whole, lower, named_in_connection

_DEFAULT_PORTS = {b"http": 80, b"https": 443}
_NOT_UPSTREAM = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_NOT_TO_CALLER = (HOP_BY_HOP - {b"trailer"}) | {b"content-length"}
ORIGIN_FORM = re.compile(rb"/[\x21-\x7e]*")
"""A request target that is a path and a query (RFC 9112 §3.2.1)."""
_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
BODILESS = frozenset({204, 304})


@functools.lru_cache(1024)
def authority(scheme: bytes, host: str, port: int) -> bytes:
    """What the Host field carries (RFC 9110 §7.2). Raises HeadProblem for a host that has no ASCII form."""
    try:
        name = host.encode("ascii") if host.isascii() else host.encode("idna")
    except UnicodeError:
        raise HeadProblem("checkpoint_error") from None
    if b":" in name and not name.startswith(b"["):
        name = b"[" + name + b"]"
    return name if _DEFAULT_PORTS.get(scheme) == port else b"%b:%d" % (name, port)


type _Line = tuple[bytes, bytes, bytes, str, int, bytes, Fields]
"""Method, path, scheme, host, port, the name it is asked by and fields."""

_heads_known: dict[_Line, tuple[bytes, bool]] = {}
_HEADS, _HEAD_BYTES = 1024, 4096


def request_message(request: http.Request, named: bytes = b"") -> bytes:
    """Head and body for the upstream, origin-form, sized. `named` stands in the Host field where the upstream is to be
    asked by another name than its address. Raises HeadProblem: what the addons left cannot be sent."""
    data = request.data
    body = data.content or b""
    fields: Fields = data.headers.fields
    # A length at the end, where our gate puts it, is a body's own; the head before it is mostly one sent before.
    sized = bool(fields) and fields[-1][0] == b"Content-Length"
    asked: _Line = (
        data.method,
        data.path,
        data.scheme,
        data.host,
        data.port,
        named,
        fields[:-1] if sized else fields,
    )
    head, announced = _heads_known.get(asked) or _request_head(asked)
    if sized or announced or body:
        return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
    return head + b"\r\n"


def _request_head(asked: _Line) -> tuple[bytes, bool]:
    """A request's head but for its length and the empty line; and whether a length belongs there even without body."""
    method, path, scheme, host, port, named_as, fields = asked
    if ORIGIN_FORM.fullmatch(path) is None and (path != b"*" or method != b"OPTIONS"):
        raise HeadProblem("bad_path")
    host_line = b"Host: " + (named_as or authority(scheme, host, port))
    out = [b"%b %b HTTP/1.1" % (method, path), host_line]
    sized = method in _WITH_BODY
    named: frozenset[bytes] | None = None
    for name, value in fields:
        low = lower(name)
        if low in _NOT_UPSTREAM:
            if low == b"connection":
                named = named_in_connection(fields)
            elif low in (b"content-length", b"transfer-encoding"):
                sized = True
        else:
            out.append(name + b": " + value)
    if named:
        out = [line for line in out if line is host_line or line[: line.find(b":")].lower() not in named]
    head = b"\r\n".join(out) + b"\r\n"
    if not is_whole(head, len(out)):
        raise HeadProblem("checkpoint_error")
    if len(head) <= _HEAD_BYTES and b"\r\nx-amz-date: " not in head:  # which is signed, and never met again
        if len(_heads_known) >= _HEADS:
            _heads_known.clear()
        _heads_known[asked] = head, sized
    return head, sized


def reply_head(response: http.Response, length: int | None, chunked: bool, close: bool) -> bytes:
    """A reply's head for the caller, its empty line included. Raises HeadProblem where an addon broke it."""
    data = response.data
    fields: Fields = data.headers.fields
    out = [b"HTTP/1.1 %d %b" % (data.status_code, data.reason)]
    named: frozenset[bytes] | None = None
    for name, value in fields:
        low = lower(name)
        if low in _NOT_TO_CALLER:
            if low == b"connection":
                named = named_in_connection(fields)
        else:
            out.append(name + b": " + value)
    if named:
        out[1:] = [line for line in out[1:] if line[: line.find(b":")].lower() not in named]
    if chunked:
        out.append(b"Transfer-Encoding: chunked")
    elif length is not None:
        out.append(b"Content-Length: %d" % length)
    if close:
        out.append(b"Connection: close")
    head = b"\r\n".join(out)
    if not is_whole(head, len(out) - 1):
        raise HeadProblem("checkpoint_error")
    return head + b"\r\n\r\n"


def streamed_head(response: http.Response, head: ReplyHead, raw: bytes, kind: Kind, close: bool) -> bytes:
    """The head of a reply whose body follows; `raw`, its very bytes, where nothing changed. Raises HeadProblem."""
    if not close and head.plain and head.version == b"HTTP/1.1" and is_untouched(response, head):
        return raw
    return reply_head(response, head.length if kind == "sized" else None, chunked=kind == "chunked", close=close)


def can_go_as_it_came(response: http.Response, head: ReplyHead, bodiless: bool) -> bool:
    """Whether the raw head fits a reply that was kept whole."""
    size = len(response.data.content or b"")
    sized = size == 0 if bodiless else size == head.length and not head.chunked
    return sized and head.plain and head.version == b"HTTP/1.1" and is_untouched(response, head)


def is_untouched(response: http.Response, head: ReplyHead) -> bool:
    """Whether the addons left the head as it came, so that its very bytes can go on."""
    data = response.data
    fields: Fields = data.headers.fields
    return fields is head.fields and data.status_code == head.status and data.reason is head.reason


def whole_message(response: http.Response, method: bytes, close: bool) -> bytes:
    """An answer that is all here. HEAD, 204 and 304 have no body (RFC 9112 §6.3); HEAD and 304 keep its length."""
    body = response.raw_content or b""
    status = response.status_code
    if status in BODILESS or method == b"HEAD":
        length = announced_length(response) if status != 204 else None
        if length is None and method == b"HEAD" and status not in BODILESS:
            length = len(body)
        return reply_head(response, length, chunked=False, close=close)
    return reply_head(response, len(body), chunked=False, close=close) + body


def announced_length(response: http.Response) -> int | None:
    """The one Content-Length that the reply's fields give, if they give one that is a number."""
    fields: Fields = response.data.headers.fields
    values = [value for name, value in fields if name.lower() == b"content-length"]
    return int(values[0]) if len(values) == 1 and values[0].isdigit() and len(values[0]) <= 15 else None
