"""The request for a WebSocket, and its answer, as both lanes send and read them."""

from mitmproxy import http

type Fields = tuple[tuple[bytes, bytes], ...]

_REQUEST_IDS = ("x-request-id", "apim-request-id")


def upgrade_message(message: bytes) -> bytes:
    """The request that asks the provider for the WebSocket, `message` being one without a body: the fields that are of
    one connection alone are made anew for the next (RFC 6455 §4.1)."""
    return message[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def switched_head(response: http.Response, fields: Fields, raw: bytes) -> bytes:
    """What the caller is told of the switch: the provider's head in its very bytes (`raw`, of these `fields`), or what
    the addons made of it."""
    now: Fields = response.data.headers.fields
    if now == fields:
        return raw
    lines = b"".join(b"%b: %b\r\n" % field for field in now)
    return b"HTTP/1.1 101 Switching Protocols\r\n%b\r\n" % lines


def request_id_of(response: http.Response) -> str | None:
    """What the provider calls the upgrade."""
    return next((found for name in _REQUEST_IDS if (found := response.headers.get(name)) is not None), None)
