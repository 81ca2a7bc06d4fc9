"""Deny → the answer a caller gets, in the shape of the API that was called. Only the code's own sentence is told."""

from mitmproxy import http

from exchange.decision import Deny
from wire.api import Dialect
from wire.refusals import refusal_body


def refusal(denied: Deny, dialect: Dialect, request_id: str) -> http.Response:
    """The HTTP answer to a call that may not pass."""
    status, headers, body = refusal_body(dialect, denied.code, request_id)
    return http.Response.make(status, body, {**headers, "connection": "close"} if status == 413 else headers)
