"""E: where a request goes. Reverse mode has one answer to that, whatever the caller writes."""

from tests.attacks.rows import GOOD, NO_READ, Row, post

_ABSOLUTE = ("absolute_form", "bad_request", "bad_path")
_INTERNAL = (
    "127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:7f00:1]", "2130706433", "0x7f000001", "127.1", "localhost.",
)  # fmt: skip
_TRICKS = {
    "userinfo": "http://api.openai.com@evil.test/v1",
    "backslash": "http://api.openai.com\\@evil.test/v1",
    "fragment": "http://api.openai.com#@evil.test/v1",
    "question mark": "http://api.openai.com?@evil.test/v1",
    "no slash": "evil.test/v1",
    "scheme only": "http:evil.test/v1",
    "another scheme": "ftp://evil.test/v1",
    "file": "file://localhost/etc/passwd",
}

ROWS: tuple[Row, ...] = (
    Row("E1", "absolute form", post(line="GET http://evil.test/v1 HTTP/1.1"), codes=("absolute_form",)),
    Row("E1", "absolute form, right path", post(line="POST http://evil.test/v1/chat/completions HTTP/1.1"),
        codes=("absolute_form",)),
    Row("E1", "absolute form, https", post(line="POST https://evil.test/v1/chat/completions HTTP/1.1"),
        codes=("absolute_form",)),
    Row("E1", "absolute form, our own name", post(line="POST http://checkpoint/v1/chat/completions HTTP/1.1"),
        codes=("absolute_form",)),
    Row("E1", "absolute form without a host", post(line="POST http:///v1/chat/completions HTTP/1.1"), codes=_ABSOLUTE,
        recorded=False),
    Row("E1", "authority form", post(line="POST evil.test:80 HTTP/1.1"), codes=_ABSOLUTE),
    Row("E4", "HTTP/2.0 on HTTP/1", post(line="POST /v1/chat/completions HTTP/2.0"), codes=("bad_http_version",)),
    Row("E4", "HTTP/9.9", post(line="POST /v1/chat/completions HTTP/9.9"), codes=("bad_http_version",)),
    Row("E4", "HTTP/0.9", post(line="POST /v1/chat/completions HTTP/0.9"), codes=("bad_http_version",)),
    Row("E4", "no version", b"GET /v1/models\r\n\r\n", codes=NO_READ, recorded=False),
    Row("E4", "lower-case protocol", post(line="POST /v1/chat/completions http/1.1"), codes=NO_READ, recorded=False),
    Row("E7", "two Host", post(GOOD, "Host: evil.test"), codes=("duplicate_header",)),
    *(
        Row("E8", f"Host: {host}", post(host=host.encode()), (200,), body=GOOD,
            absent=(b"host: " + host.encode() + b"\r",))
        for host in (*_INTERNAL, "evil.test", "evil.test:443")
    ),
    *(
        Row("E9", f"absolute form to {host}", post(line=f"POST http://{host}/v1/chat/completions HTTP/1.1"),
            codes=_ABSOLUTE)
        for host in _INTERNAL
    ),
    *(
        Row("E11", name, post(line=f"POST {target} HTTP/1.1"), codes=_ABSOLUTE, recorded=False)
        for name, target in _TRICKS.items()
    ),
    *(
        Row("E17", name, post(GOOD, f"{name}: /v1/files"), (200,), body=GOOD, absent=(b"/v1/files",))
        for name in ("X-Original-URL", "X-Rewrite-URL")
    ),
    Row("E11", "Host with userinfo", post(host=b"api.openai.com@evil.test"), (200, 400), absent=(b"evil.test",)),
    Row("E12", "CONNECT", post(b"", line="CONNECT api.openai.com:443 HTTP/1.1"), (400, 403, 405),
        ("connect_not_allowed",)),
    Row("E12", "CONNECT to ourselves", post(b"", line="CONNECT 127.0.0.1:22 HTTP/1.1", auth=""), (400, 403, 405),
        ("connect_not_allowed",)),
    Row("E12", "lower-case connect, absolute", post(b"", line="connect http://evil.test/ HTTP/1.1"), (400, 403, 405),
        ("connect_not_allowed", *_ABSOLUTE)),
    Row("E12", "lower-case connect", post(b"", line="connect evil.test:443 HTTP/1.1"), (400, 403, 405),
        ("connect_not_allowed", *_ABSOLUTE)),
    Row("E13", "TLS to a plain listener", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), codes=NO_READ,
        recorded=False, closed=True),
    Row("E13", "SSH", b"SSH-2.0-OpenSSH_9.6\r\n", codes=(*NO_READ, "header_timeout"), statuses=(400, 408),
        recorded=False, closed=True),
    Row("E13", "SOCKS5", b"\x05\x01\x00", codes=NO_READ, recorded=False, closed=True),
    Row("E13", "binary", bytes(range(256)), codes=NO_READ, recorded=False, closed=True),
    Row("E13", "the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        (400, 405), (*NO_READ, "bad_http_version", "method_not_allowed"), closed=True),
    Row("E14", "Upgrade: foo", post(GOOD, "Connection: upgrade", "Upgrade: foo"), codes=("upgrade_not_allowed",)),
    Row("E14", "Upgrade without Connection", post(GOOD, "Upgrade: foo"), codes=("upgrade_not_allowed",)),
    Row("E14", "Upgrade: TLS/1.0", post(GOOD, "Connection: upgrade", "Upgrade: TLS/1.0"),
        codes=("upgrade_not_allowed",)),
    Row("E14", "Upgrade: websocket, foo", post(GOOD, "Connection: upgrade", "Upgrade: websocket, foo"),
        codes=("upgrade_not_allowed",)),
    Row("E16", "http://mitm.it/", post(b"", line="GET http://mitm.it/ HTTP/1.1", auth="", host=b"mitm.it"),
        (400, 401, 403), ("absolute_form", "missing_identity", "path_not_allowed")),
    Row("E16", "Host: mitm.it", post(b"", line="GET / HTTP/1.1", auth="", host=b"mitm.it"), (401, 403),
        ("missing_identity", "path_not_allowed")),
    Row("E16", "the certificate page", post(b"", line="GET /cert/pem HTTP/1.1", auth="", host=b"mitm.it"), (401, 403),
        ("missing_identity", "path_not_allowed")),
)  # fmt: skip
"""E2, E5, E6, E10, E15: forward and transparent modes, which this process does not listen for. E3: HTTP/2, which is not
offered. E17: test_replies.py. E18: tests/journeys/test_processes.py, and the settings, which know no `ssl_insecure`."""
