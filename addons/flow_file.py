"""Recorded exchanges as mitmproxy's own flows, for its own tools to open."""

import io
from dataclasses import dataclass
from urllib.parse import urlsplit

from mitmproxy import connection, flow, http
from mitmproxy import io as flow_io
from mitmproxy.net.http import status_codes


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """Headers that were kept, and the body as it came over the wire."""

    headers: list[tuple[str, str]]
    content: bytes


@dataclass(frozen=True, slots=True)
class KeptExchange:
    """What a flow is made of. Times are seconds since 1970; `error` says how it ended when not well."""

    id: str
    method: str
    url: str
    client: str | None
    comment: str
    began: float
    answered: float | None
    ended: float
    request: KeptMessage
    response: KeptMessage | None
    status: int | None
    error: str | None


def flow_bytes(kept: KeptExchange) -> bytes:
    """One flow as it stands in a flow file; flows are read one after the other, so files may be put together."""
    file = io.BytesIO()
    flow_io.FlowWriter(file).add(_flow(kept))
    return file.getvalue()


def _flow(kept: KeptExchange) -> http.HTTPFlow:
    url = urlsplit(kept.url)
    host, port = url.hostname or "", url.port or 443
    client = connection.Client(peername=(kept.client or "0.0.0.0", 0), sockname=("", 0), timestamp_start=kept.began)  # noqa: S104 - stands for an address that is not known
    server = connection.Server(address=(host, port))
    made = http.HTTPFlow(client, server)
    made.id = kept.id
    made.comment = kept.comment
    made.timestamp_created = kept.began
    made.request = http.Request(
        host=host,
        port=port,
        method=kept.method.encode(),
        scheme=url.scheme.encode(),
        authority=b"",
        path=(url.path + (f"?{url.query}" if url.query else "")).encode("utf-8", "surrogateescape"),
        http_version=b"HTTP/1.1",
        headers=_headers(kept.request),
        content=kept.request.content,
        trailers=None,
        timestamp_start=kept.began,
        timestamp_end=kept.began,
    )
    if kept.response is not None:
        made.response = http.Response(
            http_version=b"HTTP/1.1",
            status_code=kept.status or 0,
            reason=status_codes.RESPONSES.get(kept.status or 0, "").encode(),
            headers=_headers(kept.response),
            content=kept.response.content,
            trailers=None,
            timestamp_start=kept.answered or kept.ended,
            timestamp_end=kept.ended,
        )
    if kept.error is not None:
        made.error = flow.Error(kept.error, kept.ended)
    return made


def _headers(message: KeptMessage) -> http.Headers:
    return http.Headers([(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in message.headers])
