"""The request for a WebSocket, and its answer, as both lanes send and read them."""

from mitmproxy import http

_REQUEST_IDS = ("x-request-id", "apim-request-id")


def upgrade_message(message: bytes) -> bytes:
    """The request that asks the provider for the WebSocket, `message` being one without a body: the fields that are of
    one connection alone are made anew for the next (RFC 6455 §4.1)."""
    return message[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def request_id_of(response: http.Response) -> str | None:
    """What the provider calls the upgrade."""
    return next((found for name in _REQUEST_IDS if (found := response.headers.get(name)) is not None), None)
