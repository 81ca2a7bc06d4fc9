"""Pages of other origins that call the API from a browser (CORS, WHATWG Fetch §3.3).

An origin of the settings gets its preflight answered here, and may read answers; what the provider says of origins is
taken off, since it does not know ours. Never `*`, and never with credentials: a token in a header is who calls, and no
cookie is.
"""

import re
from collections.abc import Sequence
from typing import Final

from mitmproxy import http
from mitmproxy.proxy.mode_specs import ReverseMode

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_NAMES: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+( *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+){0,63}")
_LONGEST: Final = 2048  # characters of names
_READABLE: Final = "x-request-id, request-id, retry-after, x-should-retry, openai-processing-ms"
_KEPT_S: Final = "600"


class CrossOrigin:
    """Asked by the gate with every request that is not for a front; on its own it looks at answers."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)

    def preflight(self, flow: http.HTTPFlow) -> http.Response | None:
        """The answer to a preflight of an origin that may call; None for whatever else it is."""
        headers = flow.request.headers
        wanted = headers.get("access-control-request-method")
        if flow.request.data.method != b"OPTIONS" or wanted is None or (origin := self._allowed(flow)) is None:
            return None
        if wanted not in _METHODS:
            return None
        names = headers.get("access-control-request-headers", "")
        said = {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": wanted,
            "access-control-max-age": _KEPT_S,
            "vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        }
        if names:
            if len(names) > _LONGEST or _NAMES.fullmatch(names) is None:
                return None
            said["access-control-allow-headers"] = names
        return http.Response.make(204, b"", said)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Who may read the answer, be it the provider's or ours."""
        response = flow.response
        if response is None or not _is_ours(flow) or "origin" not in flow.request.headers:
            return
        if response.status_code == 204 and "access-control-allow-methods" in response.headers:
            return  # a preflight, answered above
        origin = self._allowed(flow)
        fields = [
            field for field in response.data.headers.fields if not field[0].lower().startswith(b"access-control-")
        ]
        if origin is not None:
            fields += [
                (b"access-control-allow-origin", origin.encode("ascii")),
                (b"access-control-expose-headers", _READABLE.encode("ascii")),
            ]
        response.data.headers.fields = (*fields, (b"vary", b"Origin"))

    def _allowed(self, flow: http.HTTPFlow) -> str | None:
        """The one origin that this request names, if it is among those of the settings."""
        named = flow.request.headers.get_all("origin")
        return named[0] if len(named) == 1 and named[0] in self._origins and _is_ours(flow) else None


def _is_ours(flow: http.HTTPFlow) -> bool:
    """Was it asked of us, and not through us of somebody else?"""
    return isinstance(flow.client_conn.proxy_mode, ReverseMode)
