"""Which requests are for a chat front, and where on it: said by the head alone, before anybody is asked who they are.

A front is a host of the settings. What a browser asks of it goes to one of four places: our own pages (`house`), the
API (`api`: an exchange like every other, whose identity is the session), the list of models (`models`), or the chat UI
behind it (`ui`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import unquote

from mitmproxy import http
from mitmproxy.proxy.mode_specs import ReverseMode

from addons.model_lists import PATHS
from addons.nextchat import CONFIG, page_problem
from identities.session import cookie_name, name_of
from settings.fronts import Front, FrontKind
from wire.request_head import asks_for_websocket, fields_problem, target_problem
from wire.same_site import site_problem
from wire.websocket.handshake import is_acceptable

type Fields = tuple[tuple[bytes, bytes], ...]

Place = Literal["house", "api", "models", "ui"]

OWN_API: Final = "/_sekisho/api"
"""Where our own chat page calls the API."""

_HOUSE_BESIDE_UI: Final = ("/_sekisho", "/me")
_HOUSE: Final = (*_HOUSE_BESIDE_UI, "/chat")
_SAFE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_WITHOUT_SOCKETS: Final = frozenset[FrontKind]({"nextchat", "librechat"})
"""UIs whose pages open no WebSocket: none passes to their servers, whatever those would make of one."""

_OUR_COOKIES: Final = (b"__host-sekisho", b"sekisho")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a front. `target` is what the API is asked for, its query with it; `problem` a code: it may not
    pass, whoever sent it. `socket`: it asks the chat UI for a WebSocket."""

    front: Front
    place: Place
    target: str
    problem: str | None = None
    socket: bool = False


class Fronts:
    """The fronts of the settings, by host. `sockets`: WebSockets may pass to their chat UIs."""

    def __init__(self, fronts: Sequence[Front], *, sockets: bool = True) -> None:
        self._sockets = sockets
        self._by_host = {front.host.encode("ascii"): front for front in fronts}
        by_name = {front.host: front for front in fronts}
        self._trusts = lru_cache(1024)(lambda host, peer: by_name[host].trusts(peer))
        self._session_cookies = {front.host: cookie_name(front.origin) for front in fronts}

    def visit(self, flow: http.HTTPFlow) -> Visit | None:
        """Where on which front this request is to go; None: it is not for a front."""
        if not isinstance(flow.client_conn.proxy_mode, ReverseMode):
            return None  # it is asked through us as a proxy, and not of us
        data = flow.request.data
        front = None
        for name, value in data.headers.fields:
            if (len(name) == 4 and name.lower() == b"host") and (front := self._front(value)) is not None:
                break
        if front is None and (not data.authority or (front := self._front(data.authority)) is None):
            return None
        method = data.method.decode("ascii", "replace")
        place, target, problem = _place(front, method, flow.request.path)
        if place == "ui" and problem is None and front.kind == "nextchat":
            problem = page_problem(method, unquote(target.partition("?")[0]), target, data.headers.fields)
        fields = data.headers.fields
        socket = place == "ui" and self._sockets and front.kind not in _WITHOUT_SOCKETS and asks_for_websocket(fields)
        problem = (
            target_problem(
                method, flow.request.path, flow.request.http_version, absolute=bool(data.authority), strict=True
            )
            or fields_problem(fields, identity_headers=frozenset(), strict=True, websocket=place == "api" or socket)
            or ("bad_websocket" if socket and not _is_handshake(data, fields) else None)
            or self._way_problem(front, flow)
            or problem
        )
        if problem is None and place == "ui" and flow.request.headers.get("service-worker") is not None:
            # A service worker of the UI would stand before our own pages, whose origin is the same, and read them.
            problem = "path_not_allowed"
        if problem is None and place != "house" and _is_unsafe(data.method, fields):
            problem = site_problem(front.origin.encode(), fields, by_origin=asks_for_websocket(fields))
        return Visit(front, place, target, problem, socket)

    def _way_problem(self, front: Front, flow: http.HTTPFlow) -> str | None:
        """Did it come by the way that the settings name? A session must not travel in the clear."""
        if front.secured == "listener":
            came = flow.client_conn.tls_established
        else:
            came = self._trusts(front.host, flow.client_conn.peername[0])
        return None if came else "https_required"

    def _front(self, host: bytes) -> Front | None:
        return self._by_host.get(host.strip().lower())

    def session_in(self, front: Front, fields: Fields) -> tuple[bytes, str]:
        """What came in the cookie of this front's session, and for whom it counts: as the verifier of sessions takes
        it. Empty where there is none; also where there are two, of which one was tossed in by a sibling."""
        wanted = self._session_cookies[front.host]
        found = [value for name, value in _cookies(fields) if name == wanted]
        return (found[0] if len(found) == 1 else b""), name_of(front.origin)


def without_our_cookies(fields: Fields) -> Fields:
    """These fields, with no cookie of ours among them: the chat UI has no use for a session of ours."""
    kept: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if name.lower() == b"cookie":
            others = [part for part in value.split(b";") if not part.strip().lower().startswith(_OUR_COOKIES)]
            if not others:
                continue
            value = b";".join(others).strip()
        kept.append((name, value))
    return tuple(kept)


def is_our_cookie(set_cookie: bytes) -> bool:
    """Would this Set-Cookie field set one of ours, or one without a name that is sent as if it were (RFC 6265bis §5.6)?
    It is for us alone to do."""
    return set_cookie.lstrip(b" \t=").lower().startswith(_OUR_COOKIES)


def _cookies(fields: Fields) -> list[tuple[bytes, bytes]]:
    """Names and values (RFC 6265 §5.4)."""
    pairs = [part.partition(b"=") for name, value in fields if name.lower() == b"cookie" for part in value.split(b";")]
    return [(name.strip(), value.strip()) for name, equals, value in pairs if equals]


def _place(front: Front, method: str, target: str) -> tuple[Place, str, str | None]:
    path, mark, query = target.partition("?")
    meant = unquote(path)
    bases = [base for base in (front.api_path, OWN_API) if base is not None]
    for base in bases:
        if _is_under(meant, base):
            if not _is_under(path, base):
                return "ui", target, "bad_path"  # written in two ways, it could be read in two ways
            rest = path[len(base) :] or "/"
            if front.models and method == "GET" and rest in PATHS:
                return "models", rest, None
            return "api", rest + mark + query, None
    # Our chat page reads one's history: not where scripts of a chat UI, which have the same origin, could read it too.
    ours = _HOUSE if front.upstream is None else _HOUSE_BESIDE_UI
    if any(_is_under(meant, one) for one in ours):
        return "house", target, None if any(_is_under(path, one) for one in ours) else "bad_path"
    if front.upstream is None:
        return "house", target, None
    if front.kind == "nextchat" and front.models and path == CONFIG:
        return "models", CONFIG, None
    return "ui", target, None


def _is_handshake(data: http.RequestData, fields: Fields) -> bool:
    return data.method == b"GET" and data.http_version == b"HTTP/1.1" and is_acceptable(fields)


def _is_under(path: str, base: str) -> bool:
    return path == base or path.startswith(base + "/")


def _is_unsafe(method: bytes, fields: Fields) -> bool:
    return method not in _SAFE or any(name.lower() == b"upgrade" for name, _ in fields)
