"""Deny → the answer a caller gets, in the shape of the API that was called. Only the code's own sentence is told."""

from typing import Final

from mitmproxy import http

from exchange.decision import CODES, Deny
from wire.api import Dialect
from wire.grpc import refusal_fields
from wire.refusals import refusal_body

_REALM: Final = 'Basic realm="Sekisho: any user, and a token as the password", Bearer realm="Sekisho"'


_SESSION_OVER: Final = (
    "Your session is over. Reload this page to sign in again. "
    "セッションは終了しています。このページを再読み込みして、もう一度サインインしてください。"
)
"""What a chat UI's page will show a person who left it open: its scripts know no way to our sign-in."""


def refusal(
    denied: Deny,
    dialect: Dialect,
    request_id: str,
    *,
    to_proxy: bool = False,
    grpc: bool = False,
    to_page: bool = False,
) -> http.Response:
    """The HTTP answer to a call that may not pass. `to_proxy`: it was said to us as a proxy, whose 401 is 407 (RFC 9110
    §15.5.8). `grpc`: whoever asked reads fields, and would take a body for messages. `to_page`: a script of a front's
    page asked, for somebody whose session is the identity."""
    known = CODES.get(denied.code)
    message = _SESSION_OVER if to_page and known is not None and known.status == 401 else None
    status, headers, body = refusal_body(dialect, denied.code, request_id, message=message)
    if grpc:
        return http.Response.make(status, b"", {**headers, **refusal_fields(denied.code)})
    if to_proxy and status == 401:
        status = 407
        headers.pop("www-authenticate", None)
        headers["proxy-authenticate"] = _REALM
    return http.Response.make(status, body, {**headers, "connection": "close"} if status == 413 else headers)
