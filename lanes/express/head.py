"""Heads of requests and replies: read strictly, written plainly (RFC 9112 §2-6)."""

import functools
import re
from dataclasses import dataclass

type Field = tuple[bytes, bytes]
type Fields = tuple[Field, ...]

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
"""Fields of one connection alone (RFC 9110 §7.6.1). `trailer` announces what we do not pass on in a request."""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9]\.[0-9])")
_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(.*)", re.DOTALL)
_CONTROLS = bytes(c for c in range(32) if c != 9) + b"\x7f"
_NAMES, _NAME_BYTES = 1024, 64
_LINES, _LINE_BYTES = 4096, 2048
_DIGITS = 15  # of a length

_FRAMING = HOP_BY_HOP | {b"content-length", b"expect"}


class HeadProblem(ValueError):  # noqa: N818 - says what is wrong
    """A head that cannot be read; `code` is one of exchange.decision.CODES."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class RequestHead:
    """A request's head. `path` is origin-form as sent; `authority` is set for absolute-form and CONNECT.

    `fault` is a code when the fields are readable but contradict each other about the body or the protocol: the body's
    end is then unknown and the connection can carry nothing more. `length` is None when no body was announced.
    """

    method: bytes
    scheme: bytes
    authority: bytes
    path: bytes
    version: bytes
    fields: Fields
    length: int | None
    chunked: bool
    keep: bool
    expects: bool
    fault: str | None


@dataclass(slots=True)
class ReplyHead:
    """A reply's head. `length` is None when the fields do not say; `plain`: nothing in it concerns our connection."""

    version: bytes
    status: int
    reason: bytes
    fields: Fields
    length: int | None
    chunked: bool
    keep: bool
    plain: bool


_known: dict[bytes, bytes] = {}


def lower(name: bytes) -> bytes:
    """A field's name in lower case; raises HeadProblem when it is no token (RFC 9110 §5.1)."""
    low = _known.get(name)
    if low is None:
        if _TOKEN.fullmatch(name) is None:
            raise HeadProblem("bad_request")
        low = name.lower()
        if len(_known) < _NAMES and len(name) <= _NAME_BYTES:
            _known[name] = low
    return low


_fields_known: dict[bytes, Field] = {}
"""Lines met before, and what they say: most lines of a head stand in the next one again. Lines that concern the
framing are never kept here, so that whatever is found here may be passed over when the framing is worked out."""


def _field(line: bytes, framing: list[Field]) -> Field:
    """The field of one line; put into `framing` as well, by its lower-case name, when it is one of those."""
    if line.startswith(b"Content-Length: ") and (value := line[16:]).isdigit():
        framing.append((b"content-length", value))  # the line that nearly every head has anew
        return b"Content-Length", value
    name, colon, value = line.partition(b":")
    low = lower(name)
    if not colon or len(line.translate(None, _CONTROLS)) != len(line):
        raise HeadProblem("bad_request")
    value = value.strip(b" \t")
    field = (name, value)
    if low in _FRAMING:
        framing.append((low, value))
    elif len(line) <= _LINE_BYTES:
        if len(_fields_known) >= _LINES:
            _fields_known.clear()
        _fields_known[line] = field
    return field


def _read(lines: list[bytes]) -> tuple[Fields, list[Field]]:
    """All fields as they came, and those that say how the message is framed, by their lower-case names."""
    framing: list[Field] = []
    known = _fields_known.get
    return tuple([known(line) or _field(line, framing) for line in lines]), framing


def tokens(value: bytes) -> list[bytes]:
    """The members of a comma-separated list, in lower case."""
    return [t for t in (part.strip(b" \t").lower() for part in value.split(b",")) if t]


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    start = _REQUEST_LINE.fullmatch(line)
    if start is None:
        raise HeadProblem("bad_request")
    method, target, number = start.groups()
    return method, target, number


def _status_line(line: bytes) -> tuple[bytes, int, bytes]:
    start = _STATUS_LINE.fullmatch(line)
    if start is None:
        raise HeadProblem("bad_request")
    number, status, reason = start.groups()
    return number, int(status), reason or b""


_request_line_again = functools.lru_cache(1024)(_request_line)
_status_line_again = functools.lru_cache(256)(_status_line)
"""First lines, too, are mostly met again; long ones are not kept."""


type _Around = tuple[RequestHead, Fields, Fields]
"""A head, and its fields before and after the length."""

_LENGTH = b"\r\nContent-Length: "
_heads_known: dict[tuple[int, bytes], _Around] = {}
"""Heads met before but for the digits of their length, by where that stands and all the rest: a client sends nearly
the same head each time. Heads with a fault, or another word on their framing, are never kept here."""
_HEADS, _HEAD_BYTES = 1024, 4096


def unfinished_problem(data: bytes, most_bytes: int, most_lines: int) -> str | None:
    """The code for a head that is not all here, where waiting for the rest is pointless; None while it is not."""
    lines = data.count(b"\n")
    if len(data) > most_bytes or lines > most_lines:
        return "headers_too_large"
    if lines != data.count(b"\r\n") or not 0x20 < data[0] < 0x7F:
        return "bad_request"
    return None


def parse_request(head: bytes, most_fields: int) -> RequestHead:
    """`head` ends before the empty line. Raises HeadProblem: bad_request, headers_too_large."""
    if head.count(b"\n") > most_fields:
        raise HeadProblem("headers_too_large")
    at = head.find(_LENGTH)
    if at < 0 or len(head) > _HEAD_BYTES:
        return _parse_request(head)
    digits = at + len(_LENGTH)
    end = head.find(b"\r\n", digits)
    length = head[digits:end] if end >= 0 else head[digits:]
    alike = (at, head[:at] + head[end:] if end >= 0 else head[:at])
    if (known := _heads_known.get(alike)) is not None and length.isdigit() and len(length) <= _DIGITS:
        as_before, before, after = known
        return RequestHead(
            as_before.method,
            as_before.scheme,
            as_before.authority,
            as_before.path,
            as_before.version,
            (*before, (b"Content-Length", length), *after),
            int(length),
            False,
            as_before.keep,
            as_before.expects,
            None,
        )
    found = _parse_request(head)
    if found.fault is None and not found.chunked:
        no = head.count(b"\r\n", 0, at)
        if len(_heads_known) >= _HEADS:
            _heads_known.clear()
        _heads_known[alike] = found, found.fields[:no], found.fields[no + 1 :]
    return found


def _parse_request(head: bytes) -> RequestHead:
    first, *lines = head.split(b"\r\n")
    method, target, number = (_request_line_again if len(first) <= _LINE_BYTES else _request_line)(first)
    fields, framing = _read(lines)
    scheme = authority = b""
    path = target
    if method == b"CONNECT":
        authority, path = target, b""
    elif not target.startswith(b"/") and (absolute := _ABSOLUTE.fullmatch(target)):
        scheme, authority, path = absolute.groups()
        if not authority:
            raise HeadProblem("bad_request")  # http:///path names nobody (RFC 9110 §4.2.1)
        path = path if path.startswith(b"/") else b"/" + path
    length: int | None = None
    chunked = expects = False
    keep = number == b"1.1" and method != b"CONNECT"
    fault = None if number in (b"1.1", b"1.0") else "bad_http_version"
    for name, value in framing:
        if name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > _DIGITS:
                fault = fault or "bad_request"
            else:
                length = int(value)
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked" or number != b"1.1":
                fault = fault or "bad_transfer_encoding"
            chunked = True
        elif name == b"connection":
            if keep and b"close" in tokens(value):
                keep = False
        elif name == b"expect":
            expects = value.lower() == b"100-continue"
    if chunked and length is not None:
        fault = fault or "bad_request"
    return RequestHead(
        method, scheme, authority, path, b"HTTP/" + number, fields, length, chunked, keep and not fault, expects, fault
    )


def parse_reply(head: bytes) -> ReplyHead:
    """`head` ends before the empty line. Raises HeadProblem when the reply's framing cannot be trusted.

    Two lengths, a length beside a transfer coding, and codings other than `chunked` are refused (RFC 9112 §6.3): they
    are how replies are split.
    """
    first, *lines = head.split(b"\r\n")
    number, status, reason = (_status_line_again if len(first) <= _LINE_BYTES else _status_line)(first)
    fields, framing = _read(lines)
    length: int | None = None
    chunked = False
    plain = True
    keep = number == b"1.1"
    for name, value in framing:
        if name == b"content-length":
            if length is not None or chunked or not value.isdigit() or len(value) > _DIGITS:
                raise HeadProblem("bad_request")
            length = int(value)
        elif name == b"transfer-encoding":
            if length is not None or chunked or value.lower() != b"chunked" or number != b"1.1":
                raise HeadProblem("bad_request")
            chunked = True
        elif name == b"connection":
            plain = False
            if b"close" in tokens(value):
                keep = False
        elif name != b"expect":
            plain = False
    return ReplyHead(b"HTTP/" + number, status, reason, fields, length, chunked, keep, plain)


def named_in_connection(fields: Fields) -> frozenset[bytes]:
    """Fields that `Connection` declares to be of this connection alone."""
    return frozenset(t for name, value in fields if name.lower() == b"connection" for t in tokens(value))


def is_whole(head: bytes, lines: int) -> bool:
    """Whether a head we are about to send is as many lines as it should be: no value smuggles in one more."""
    return head.count(b"\n") == lines == head.count(b"\r") and b"\x00" not in head
