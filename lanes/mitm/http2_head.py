"""The head of a request as HTTP/2 carries it to a provider (RFC 9113 §8.3.1): from what the addons left of it."""

from mitmproxy import http

from lanes.express.head import HOP_BY_HOP, HeadProblem, lower
from lanes.express.writing import ORIGIN_FORM, authority

type Fields = list[tuple[bytes, bytes]]

_NOT_ONWARD = HOP_BY_HOP | {b"host", b"content-length", b"expect"}


def http2_head(request: http.Request) -> Fields:
    """Pseudo-headers, then the fields in lower case. It says that trailers are welcome, as we pass them on.

    Raises:
        HeadProblem: what the addons left cannot be sent.
    """
    data = request.data
    if ORIGIN_FORM.fullmatch(data.path) is None:
        raise HeadProblem("bad_path")
    head = [
        (b":method", data.method),
        (b":scheme", data.scheme),
        (b":authority", authority(data.scheme, data.host, data.port)),
        (b":path", data.path),
    ]
    fields = [(lower(name), value) for name, value in data.headers.fields]
    return [*head, *(field for field in fields if field[0] not in _NOT_ONWARD), (b"te", b"trailers")]
