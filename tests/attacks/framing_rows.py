"""F: framing. What two parties can read differently is refused."""

from tests.attacks.rows import DENIED, GOOD, NO_READ, Row, chunked, post

_CHUNKED = "Transfer-Encoding: chunked"
_SENT = chunked(GOOD)
_TE = ("bad_request", "bad_header", "bad_transfer_encoding", "duplicate_header")
_HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")  # fmt: skip
_HIDDEN = b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"


def _length(*values: str) -> bytes:
    return post(b"", *(f"Content-Length: {value}" for value in values), framed=GOOD)


def _coding(*values: str, body: bytes = _SENT, line: str = "POST /v1/chat/completions HTTP/1.1") -> bytes:
    return post(b"", *values, framed=body, line=line)


def _path(path: str | bytes) -> bytes:
    raw = path if isinstance(path, bytes) else path.encode()
    return post(line=b"POST " + raw + b" HTTP/1.1")


_SMUGGLED = {
    "TE and CL": _coding(_CHUNKED, "Content-Length: 3", body=b"0\r\n\r\n" + _HIDDEN),
    "CL and TE": _coding("Content-Length: 3", _CHUNKED, body=b"0\r\n\r\n" + _HIDDEN),
    "two lengths": _length("3", "4"),
    "one length twice": _length(str(len(GOOD)), str(len(GOOD))),
    "a list of lengths": _length("2, 2"),
    "a plus": _length("+2"),
    "a minus": _length("-2"),
    "hexadecimal": _length("0x2"),
    "underscored": _length("1_0"),
    "empty length": _length(""),
    "endless length": _length("9" * 30),
    "digits of another script": _length("２"),
    "xchunked": _coding("Transfer-Encoding: xchunked"),
    "chunked twice": _coding(_CHUNKED, _CHUNKED),
    "chunked, chunked": _coding("Transfer-Encoding: chunked, chunked"),
    "chunked, identity": _coding("Transfer-Encoding: chunked, identity"),
    "quoted": _coding('Transfer-Encoding: "chunked"'),
    "TE on HTTP/1.0": _coding(_CHUNKED, line="POST /v1/chat/completions HTTP/1.0"),
}
_UNREADABLE = {
    "space before the colon": _coding("Transfer-Encoding : chunked"),
    "obs-folded TE": _coding("Transfer-Encoding:\r\n chunked"),
    "vertical tab": _coding("Transfer-Encoding: \x0bchunked"),
    "a name with a space": post(GOOD, "X A: x"),
    "no colon": post(GOOD, "X-A"),
    "no name": post(GOOD, ": x"),
    "a name outside ASCII": post(GOOD, b"X-\xe9: x"),
    "fold before the first field": b"POST /v1/chat/completions HTTP/1.1\r\n X: y\r\nHost: h\r\n\r\n",
}
_CHUNKS = {
    "size with 0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "size with plus": b"+2\r\n{}\r\n0\r\n\r\n",
    "negative size": b"-2\r\n{}\r\n0\r\n\r\n",
    "space before the size": b" 2\r\n{}\r\n0\r\n\r\n",
    "size too long": b"00000000000000000000002\r\n{}\r\n0\r\n\r\n",
    "size by LF": b"2\n{}\r\n0\r\n\r\n",
    "chunk ended by LF": b"2\r\n{}\n0\r\n\r\n",
    "chunk longer than said": b"2\r\n{}{}\r\n0\r\n\r\n",
    "CR in an extension": b"2;a=\rb\r\n{}\r\n0\r\n\r\n",
}
_PATHS = (
    "//v1/chat/completions", "/v1/..;/chat/completions", "/v1/%2e%2e/v1/chat/completions", "/v1/../v1/chat/completions",
    "/v1/./chat/completions", "/v1/%252e%252e/x", "/v1\\chat\\completions", "/v1/chat/completions#x",
    "/v1/chat/completions;x=y", "/v1%2Fchat%2Fcompletions", "/v1/chat%00/completions", "/v1/chat/completions%0d%0aX:y",
    "/v1/chat%7f/completions", "/v1/chat/completions/..", "/v1/chat/completions?a#b", "/v1/chat%5ccompletions",
    "/v1/%zz",
)  # fmt: skip
_METHODS = {
    "OPTIONS *": ("OPTIONS *", (400, 405)),
    "TRACE": ("TRACE /v1/chat/completions", (405,)),
    "PRI": ("PRI *", (400, 405)),
    "DEBUG": ("DEBUG /v1/chat/completions", (405,)),
    "GET with a body": ("GET /v1/chat/completions", (403, 405)),
}

ROWS: tuple[Row, ...] = (
    *(Row("F1", name, sent, codes=_TE) for name, sent in _SMUGGLED.items()),
    *(Row("F1", name, sent, codes=_TE, recorded=False) for name, sent in _UNREADABLE.items()),
    Row("F2", "gzip, chunked", _coding("Transfer-Encoding: gzip, chunked"), codes=_TE),
    Row("F2", "identity", _coding("Transfer-Encoding: identity", "X: y"), codes=_TE),
    Row("F2", "deflate,chunked", _coding("Transfer-Encoding: deflate,chunked"), codes=_TE),
    Row("F3", "chunk extensions", _coding(_CHUNKED, body=b"%x;a=b;c=\"d\"\r\n%b\r\n0;e\r\n\r\n" % (len(GOOD), GOOD)),
        (200,), body=GOOD),
    *(Row("F3", name, _coding(_CHUNKED, body=body), codes=("bad_request",)) for name, body in _CHUNKS.items()),
    Row("F4", "trailers", _coding(_CHUNKED, body=chunked(GOOD, last=b"0\r\nX-A: b\r\n\r\n")),
        codes=("trailers_not_supported", "bad_request")),
    Row("F4", "announced trailers", _coding(_CHUNKED, "Trailer: X-A", body=chunked(GOOD, last=b"0\r\nX-A: b\r\n\r\n")),
        codes=("trailers_not_supported",)),
    Row("F4", "identity in a trailer",
        post(b"", _CHUNKED, auth="", framed=chunked(GOOD, last=b"0\r\nAuthorization: Bearer TOKEN\r\n\r\n")),
        (400, 401), ("trailers_not_supported", "missing_identity")),
    Row("F6", "CONNECT with a length", post(b"hello", line="CONNECT evil.test:443 HTTP/1.1"), (400, 405),
        ("connect_not_allowed", "bad_request")),
    Row("F6", "CONNECT, chunked", post(b"", _CHUNKED, line="CONNECT evil.test:443 HTTP/1.1", framed=_SENT), (400, 405),
        ("connect_not_allowed", "bad_request")),
    Row("F7", "lines by LF", post().replace(b"\r\n", b"\n"), codes=NO_READ, recorded=False),
    Row("F7", "the empty line by LF", post(auth="").replace(b"\r\n\r\n", b"\n\n"), codes=NO_READ, recorded=False),
    Row("F7", "one line by LF", post(GOOD, b"X-A: b\nX-B: c"), codes=NO_READ, recorded=False),
    *(Row("F10", path, _path(path), codes=("bad_path",)) for path in _PATHS),
    Row("F10", "0xff", _path(b"/v1/\xff"), codes=("bad_path", "bad_request")),
    Row("F10", "a control", _path(b"/v1/\x01"), codes=NO_READ, recorded=False),
    Row("F10", "a space", _path("/v1/chat completions"), codes=NO_READ, recorded=False),
    # Whatever prefix a server has, the end of the path says what is asked; it is judged as that, and sent as it came.
    Row("F10", "/V1/", _path("/V1/chat/completions"), (200,), body=GOOD),
    Row("F10", "/V1/, a denied model", post(DENIED, line="POST /V1/chat/completions HTTP/1.1"), (403,),
        ("model_not_allowed",)),
    Row("F10", "no slash", _path("v1/chat/completions"), codes=("absolute_form", "bad_path", "bad_request")),
    Row("F10", "a path nobody knows", _path("/v1/fine_tuning/jobs"), (403,), ("path_not_allowed",)),
    *(
        Row("F11", name, post(line=f"{line} HTTP/1.1"), statuses,
            ("method_not_allowed", "path_not_allowed", "operation_not_allowed", "bad_path", "absolute_form"))
        for name, (line, statuses) in _METHODS.items()
    ),
    *(
        Row("F11", name, post(GOOD, f"{name}: DELETE"), codes=("bad_header",))
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
    ),
    Row("F11", "lower-case post", post(line="post /v1/chat/completions HTTP/1.1"), (405,), ("method_not_allowed",)),
    Row("F12", "a second request without identity", post() + post(auth=""), (200,), body=GOOD, after=(401,)),
    Row("F12", "a second request of another path", post() + post(line="POST /v1/files HTTP/1.1"), (200,), body=GOOD,
        after=(403,)),
    Row("F12", "refused, then asked again", post(auth="") + post(), (401,), ("missing_identity",), after=(200,)),
    Row("F12", "hidden in a refused body", post(_HIDDEN, auth=""), (401,), ("missing_identity",)),
    Row("F13", "WebSocket without identity",
        post(b"", "Connection: Upgrade", "Upgrade: websocket", line="GET /v1/realtime HTTP/1.1", auth="", kind=b""),
        (400,), ("bad_websocket",)),
    Row("F13", "WebSocket with identity",
        post(b"", "Connection: Upgrade", "Upgrade: websocket", line="GET /v1/realtime HTTP/1.1", kind=b""),
        (400,), ("bad_websocket",)),
    Row("F13", "a whole handshake without identity",
        post(b"", *_HANDSHAKE, line="GET /v1/responses HTTP/1.1", auth="", kind=b""), (401,), ("missing_identity",)),
    Row("F13", "a handshake elsewhere",
        post(b"", *_HANDSHAKE, line="GET /v1/models HTTP/1.1", kind=b""), (426,), ("websocket_not_supported",)),
    Row("F15", "h2c", post(GOOD, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
        codes=("upgrade_not_allowed",)),
)  # fmt: skip
"""F5, F8, F9, F16: HTTP/2, which is not offered in reverse mode. F14: tests/attacks/test_frames.py."""
