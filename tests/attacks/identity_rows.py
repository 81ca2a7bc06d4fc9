"""D: the channel identities come by."""

import base64

from tests.attacks.rows import GOOD, NO_READ, Row, post

_UNSIGNED = (
    "X-Forwarded-Email", "X-Forwarded-User", "X-Auth-Request-Email", "X-Auth-Request-User", "Remote-User",
    "X-Goog-Authenticated-User-Email", "X-Goog-Authenticated-User-Id", "Cf-Access-Authenticated-User-Email",
    "X-Amzn-Oidc-Identity", "X-Pomerium-Claim-Email", "X-OpenWebUI-User-Email",
)  # fmt: skip
_CONTROLS = {"bare CR": b"\r", "NUL": b"\x00", "SOH": b"\x01", "ESC": b"\x1b", "DEL": b"\x7f", "bare LF": b"\n"}
_401 = ("missing_identity", "invalid_token")
_MESSAGES = "POST /anthropic/v1/messages HTTP/1.1"

ROWS: tuple[Row, ...] = (
    Row("D1", "no identity", post(auth=""), (401,), ("missing_identity",)),
    Row("D1", "an empty Authorization", post(GOOD, "Authorization:", auth=""), (401,), _401),
    Row("D1", "Bearer without a token", post(auth="Bearer "), (401,), _401),
    Row("D1", "a key of somebody's own", post(auth="Bearer sk-stray-canary"), (401,), _401),
    Row("D1", "another domain's token", post(auth="Bearer EVE"), (403,), ("domain_not_allowed",)),
    Row("D1", "a forged address", post(auth="Bearer FORGED"), (401,), ("invalid_token",)),
    Row("D1", "alg none", post(auth="Bearer UNSIGNED"), (401,), ("invalid_token",)),
    Row("D1", "an 8 KB token", post(auth="Bearer eyJ" + "a" * 9000 + ".e.f"), (401,), ("invalid_token",)),
    Row("D1", "not ASCII", post(auth=b"Bearer \xff\xfe"), (400, 401), (*NO_READ, *_401)),
    Row("D2", "two Authorization", post(GOOD, "Authorization: Bearer TOKEN"), codes=("duplicate_header",)),
    Row("D2", "two, of other case", post(GOOD, "AUTHORIZATION: Bearer EVE"), codes=("duplicate_header",)),
    Row("D2", "two, the first empty", post(GOOD, "Authorization:"), codes=("duplicate_header",)),
    Row("D2", "a list in one", post(auth="Bearer TOKEN, Bearer EVE"), (401,), _401),
    Row(
        "D3", "two identities in two headers", post(GOOD, "x-api-key: BOB", line=_MESSAGES),
        codes=("conflicting_identity",),
    ),
    Row(
        "D3", "Authorization and Proxy-Authorization", post(GOOD, "Proxy-Authorization: Bearer BOB"),
        (200, 400), absent=(b"proxy-authorization",),
    ),
    Row("D4", "obs-fold", post(auth=b"Bearer aa\r\n bb"), codes=NO_READ, recorded=False),
    Row("D4", "obs-fold by tab", post(GOOD, b"X-A: b\r\n\tc"), codes=NO_READ, recorded=False),
    Row("D4", "obs-folded token", post(auth=b"Bearer\r\n TOKEN"), codes=NO_READ, recorded=False),
    *(
        Row("D5", f"{name} in a value", post(GOOD, b"X-A: b" + control + b"c"), codes=NO_READ, recorded=False)
        for name, control in _CONTROLS.items()
    ),
    Row("D5", "bare CR makes a header", post(GOOD, b"X-A: b\rX-Admin: 1"), codes=NO_READ, recorded=False),
    Row("D5", "a user agent outside UTF-8", post(GOOD, b"User-Agent: \xff"), (200,), body=GOOD),
    Row("D5", "a media type outside UTF-8", post(kind=b"\xff/\xff"), (415,), ("media_type_not_supported",)),
    Row("D6", "X_Forwarded_Email", post(GOOD, "X_Forwarded_Email: root@example.com"), codes=("bad_header",)),
    Row("D6", "X_Api_Key", post(GOOD, "X_Api_Key: EVE"), codes=("bad_header",)),
    *(
        Row("D7", name, post(GOOD, f"{name}: root@evil.test"), (200,), body=GOOD, absent=(b"evil.test",))
        for name in _UNSIGNED
    ),
    Row("D8", "Connection names Authorization", post(GOOD, "Connection: close, Authorization"), codes=("bad_header",)),
    Row("D8", "Connection names x-api-key", post(GOOD, "Connection: X-Api-Key"), codes=("bad_header",)),
    Row("D8", "in two Connection lines", post(GOOD, "Connection: close", "Connection: authorization"),
        codes=("bad_header",)),
    Row("D9", "cookie", post(GOOD, "Cookie: s=cookie-canary"), (200,), body=GOOD, absent=(b"cookie",)),
    Row(
        "D9", "Proxy-Authorization", post(GOOD, "Proxy-Authorization: Basic cHJveHktY2FuYXJ5"),
        (200, 401), absent=(b"proxy-authorization", b"chjvehk"),
    ),
    Row("D9", "own API keys beside", post(GOOD, "x-api-key: sk-stray-canary", "api-key: sk-stray-canary"), (200,),
        body=GOOD, absent=(b"sk-stray-canary",)),
    *(
        Row("D9", f"{name} beside our key", post(GOOD, f"{name}: canary-of-ann"), (200,), body=GOOD,
            absent=(b"canary-of-ann",))
        for name in ("OpenAI-Organization", "OpenAI-Project", "X-Goog-User-Project")
    ),
    Row("D11", "token in the query", post(auth="", line="POST /v1/chat/completions?access_token=TOKEN HTTP/1.1"),
        (401,), ("missing_identity",)),
    Row("D11", "token in a cookie", post(GOOD, "Cookie: token=TOKEN", auth=""), (401,), ("missing_identity",)),
    Row(
        "D11", "token in a WebSocket protocol",
        post(b"", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
             "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.TOKEN",
             line="GET /v1/realtime?model=gpt-4o HTTP/1.1", auth="", kind=b""),
        (200,), absent=(b"openai-insecure-api-key",),  # an identity, and gone from there
    ),
    Row("D12", "lower-case bearer", post(auth="bearer TOKEN"), (200,), body=GOOD),
    Row("D12", "two spaces", post(auth="Bearer  TOKEN"), (401,), _401),
    Row("D12", "a tab", post(auth="Bearer\tTOKEN"), (401,), _401),
    Row("D12", "Basic", post(auth="Basic " + base64.b64encode(b"oidc:x").decode()), (401,), _401),
    Row("D12", "no scheme", post(auth="TOKEN"), (401,), _401),
)  # fmt: skip
"""D10: such an address cannot be in a token (tests/identities/test_domain.py). D13: only CONNECT has two identities on
one connection. D14, D16: tests/identities (expiry is looked at for every request). D15: test_certificate there.
"""
