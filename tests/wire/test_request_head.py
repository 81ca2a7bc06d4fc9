"""Heads that have two readings are refused; those that have one are not."""

import pytest

from wire.request_head import fields_problem, target_problem

IDENTITY = frozenset({b"authorization", b"x-corp-identity"})
GOOD = (
    (b"Host", b"a"),
    (b"Authorization", b"Bearer x"),
    (b"Content-Type", b"application/json"),
    (b"X-Name", "é".encode()),
)


@pytest.mark.parametrize(
    ("method", "target", "version", "absolute", "code"),
    [
        ("POST", "/v1/chat/completions", "HTTP/1.1", False, None),
        ("GET", "/v1/models?limit=1&after=%20x", "HTTP/1.1", False, None),
        ("POST", "/v1/files/a.b-c_d~e", "HTTP/1.0", False, None),
        ("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "HTTP/1.1", False, None),
        ("CONNECT", "host:443", "HTTP/1.1", False, "connect_not_allowed"),
        ("connect", "host:443", "HTTP/1.1", False, "connect_not_allowed"),
        ("GET", "/v1", "HTTP/1.1", True, "absolute_form"),
        ("GET", "http://evil.test/v1", "HTTP/1.1", False, "absolute_form"),
        ("OPTIONS", "*", "HTTP/1.1", False, "method_not_allowed"),
        ("post", "/v1", "HTTP/1.1", False, "method_not_allowed"),
        ("TRACE", "/v1", "HTTP/1.1", False, "method_not_allowed"),
        ("BREW", "/v1", "HTTP/1.1", False, "method_not_allowed"),
        ("GET", "/v1", "HTTP/9.9", False, "bad_http_version"),
        ("GET", "//v1", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/../x", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/..", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/./x", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/%2e%2e/x", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/%2E%2E/x", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/%252e/x", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a%2Fb", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a%5cb", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a\\b", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a#b", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a;b", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a%zz", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a%00", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a%0d%0aX:y", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a%1B", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a%7f", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a%20b%C3%A9", "HTTP/1.1", False, None),
        ("GET", "/v1/é", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a?b#c", "HTTP/1.1", False, "bad_path"),
        ("GET", "/v1/a?b c", "HTTP/1.1", False, "bad_path"),
    ],
)
def test_request_lines(method: str, target: str, version: str, absolute: bool, code: str | None) -> None:
    assert target_problem(method, target, version, absolute=absolute, strict=True) == code


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ((), None),
        (((b"Transfer-Encoding", b"chunked"),), None),
        (((b"Accept", b"a"), (b"Accept", b"b")), None),
        (((b"Connection", b"keep-alive, X-Hop"),), None),
        (((b"Connection", b"close, Content-Type"),), "bad_header"),
        (((b"Connection", b"content-encoding"),), "bad_header"),
        (((b"Connection", b"Host"),), "bad_header"),
        (((b"Host", b"b"),), "duplicate_header"),
        (((b"authorization", b"Bearer y"),), "duplicate_header"),
        (((b"X-Corp-Identity", b"y"), (b"x-corp-identity", b"z")), "duplicate_header"),
        (((b"Content-Encoding", b"gzip"), (b"Content-Encoding", b"gzip")), "duplicate_header"),
        (((b"X_Forwarded_Email", b"root@example.com"),), "bad_header"),
        (((b"X-\xc3\xa9", b"a"),), "bad_header"),
        (((b"X Y", b"a"),), "bad_header"),
        (((b"", b"a"),), "bad_header"),
        (((b"X-A", b"a\rb"),), "bad_header"),
        (((b"X-A", b"a\nb"),), "bad_header"),
        (((b"X-A", b"a\x00b"),), "bad_header"),
        (((b"X-A", b"a\x7fb"),), "bad_header"),
        (((b"Transfer-Encoding", b"gzip, chunked"),), "bad_transfer_encoding"),
        (((b"Transfer-Encoding", b"identity"),), "bad_transfer_encoding"),
        (((b"Trailer", b"X-A"),), "trailers_not_supported"),
        (((b"Connection", b"close, Authorization"),), "bad_header"),
        (((b"Connection", b"X-Corp-Identity"),), "bad_header"),
        (((b"Connection", b"upgrade"), (b"Upgrade", b"websocket")), "websocket_not_supported"),
        (((b"Connection", b"upgrade"), (b"Upgrade", b"WebSocket")), "websocket_not_supported"),
        (((b"Connection", b"upgrade"), (b"Upgrade", b"h2c")), "upgrade_not_allowed"),
        (((b"Upgrade", b"foo"),), "upgrade_not_allowed"),
    ],
)
def test_header_fields(more: tuple[tuple[bytes, bytes], ...], code: str | None) -> None:
    assert fields_problem(GOOD + more, identity_headers=IDENTITY, strict=True) == code


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        (b"application/json", None),
        (b"application/json; charset=utf-8", None),
        (b'application/json;charset="UTF-8"', None),
        (b"application/json; charset=us-ascii", None),
        (b"multipart/form-data; boundary=charset", None),
        (b"application/json; charset=utf-7", "media_type_not_supported"),
        (b'application/json ; Charset = "utf-16"', "media_type_not_supported"),
        (b"application/json; charset=utf-8; charset=utf-7", "media_type_not_supported"),
        (b"application/json; charset=", "media_type_not_supported"),
    ],
)
def test_a_body_is_in_utf8_or_says_nothing(content_type: bytes, code: str | None) -> None:
    fields = ((b"Host", b"a"), (b"Content-Type", content_type))

    assert fields_problem(fields, identity_headers=IDENTITY, strict=True) == code
    assert fields_problem(fields, identity_headers=IDENTITY, strict=False) is None


def test_a_laptop_refuses_only_what_cannot_be_forwarded() -> None:
    lenient = [
        target_problem("BREW", "//v1/..;/é", "HTTP/1.1", absolute=False, strict=False),
        fields_problem((*GOOD, (b"X_Y", b"\x01"), (b"Host", b"b")), identity_headers=IDENTITY, strict=False),
    ]

    assert lenient == [None, None]
    assert target_problem("CONNECT", "a:1", "HTTP/1.1", absolute=False, strict=False) == "connect_not_allowed"
    websocket = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
    assert fields_problem(websocket, identity_headers=IDENTITY, strict=False) == "websocket_not_supported"
