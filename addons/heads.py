"""What the head of a request says. Clients send nearly the same head each time: it is worked out once for all."""

from dataclasses import dataclass
from typing import Literal

from mitmproxy import http
from mitmproxy.proxy.mode_specs import ReverseMode

from addons.credentials import shown_path, shown_query
from addons.destinations import Destinations
from addons.flows import Destination
from addons.fronts import Fronts, Visit
from addons.listeners import IssuersByListener, issuers_at
from identities.presented import KEY_HEADERS, UNSIGNED_PREFIXES, one_name
from identities.session import CARRIER
from identities.verifier import Verifier
from upstreams.api_key import KEY_FIELDS
from upstreams.credential import SECRET_FIELDS, Credential
from wire.api import Route
from wire.calls import is_plain
from wire.openai.socket import Kind
from wire.other import API as OTHER
from wire.request_head import FOR_ALL, asks_for_websocket, fields_problem, target_problem
from wire.routes import route
from wire.websocket.handshake import EXTENSIONS, HANDSHAKE, is_acceptable, values

type Fields = tuple[tuple[bytes, bytes], ...]

Proxied = Literal["tunnel", "plain"]
"""In a tunnel that its caller opened by CONNECT; or in plain HTTP, with a whole address in its request line."""

_REMEMBERED_BYTES = 16 << 20
_HEAD_BYTES = 2048
"""What a head takes beside what it says, at the least: a stranger's head of ten bytes is remembered, too."""

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_NEVER = frozenset({b"cookie", b"proxy-authorization", b"x-original-url", b"x-rewrite-url"})
"""The last two are a path beside the path, which some servers take instead: only one of them was judged."""

_OF_PAGES = KEY_HEADERS | {b"origin", b"referer", b"x-base-url"}
"""What a page may send beside its session, and no provider gets: keys that people typed into it, where the page lies,
and where NextChat's own server would have been sent."""

_HOP_BY_HOP = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"te", b"trailer", b"upgrade"})


@dataclass(slots=True, eq=False)
class Head:
    """A head, understood. `fields` may go upstream, but for the keys and identities of callers still among them."""

    destination: Destination
    route: Route
    problem: str | None  # a code: it may not pass, whoever sent it
    key_header: bytes
    issuers: frozenset[str] | None  # whose word counts where it came in; None: everybody's
    carrier: tuple[bytes, bytes] | None  # the one field in which an identity can be
    plain: bool  # a body of JSON and nothing else is announced
    content_type: str | None
    content_encoding: str | None
    user_agent: str | None
    shown_path: str
    shown_query: str | None
    scheme: bytes
    target: bytes  # what stands in the request line upstream
    fields: Fields
    brings_key: bool  # one of them is a key of the caller's own, or its identity
    proxied: Proxied | None  # how it came through us as a proxy; None: it was sent to us
    socket: Kind | None  # it asks for a WebSocket, which speaks this API
    front: str | None  # the host of the front whose page asks
    changed: tuple[str, ...]  # what we take off it that the provider could have seen
    onward: dict[tuple[bytes, ...], tuple[Credential | None, Fields]]
    """By the headers that carried the identity: what was last shown in their place, and the head with it. Filled in by
    the router."""


class Heads:
    """Reads heads, and remembers them.

    Args:
        destinations: where requests go.
        verifier: whose headers carry identities; they never go upstream, but for keys of the API itself.
        listeners: whose issuers count where.
        strict: a gateway refuses what has two readings; a laptop only what cannot be forwarded.
        websockets: they are accepted where the API has them.
        fronts: whose pages call with a session.
    """

    def __init__(
        self,
        destinations: Destinations,
        verifier: Verifier,
        listeners: IssuersByListener,
        *,
        strict: bool,
        websockets: bool = True,
        fronts: Fronts | None = None,
    ) -> None:
        self._fronts = fronts
        self._destinations = destinations
        self._verifier = verifier
        self._listeners = listeners
        self._identity = verifier.strip
        self._strip = (verifier.strip - frozenset(KEY_FIELDS.values())) | _NEVER
        self._strict = strict
        self._websockets = websockets
        self._remembered: dict[object, Head] = {}
        self._bytes = 0

    def read(self, flow: http.HTTPFlow, visit: Visit | None = None) -> Head:
        """The head of this flow's request; of a call of the API by a page of a front, with the visit it is."""
        data = flow.request.data
        fields = data.headers.fields
        # Its length is a body's own; spelled otherwise it only makes a head that is not met again. Two are a fault, and
        # a head without one is not to be taken for it.
        alike = tuple([f for f in fields if f[0] != b"Content-Length" and f[0] != b"content-length"])
        if len(fields) - len(alike) > 1:
            alike = fields
        line = (data.method, data.path, data.http_version, data.authority, data.host, data.port, data.scheme)
        key = (line, flow.client_conn.proxy_mode, alike)
        if (known := self._remembered.get(key)) is not None:
            return known
        head = self._read(flow, fields, visit)
        size = _HEAD_BYTES + len(data.path) + sum(len(name) + len(value) for name, value in fields)
        self._bytes += size
        if self._bytes > _REMEMBERED_BYTES:
            self._remembered.clear()
            self._bytes = size
        self._remembered[key] = head
        return head

    def _read(self, flow: http.HTTPFlow, fields: Fields, visit: Visit | None) -> Head:
        request = flow.request
        method = request.data.method.decode("ascii", "replace")  # `request.method` is upper-case, whatever was sent
        asked_of_us = isinstance(flow.client_conn.proxy_mode, ReverseMode)
        proxied = _proxied(flow)
        if visit is not None:
            destination = self._destinations.of_front(visit.front.provider, visit.target)
        elif asked_of_us:
            destination = self._destinations.of(request.path)
        elif proxied is not None:
            destination = self._destinations.named(request.scheme, request.host, request.port, request.path)
        else:
            destination = self._destinations.as_asked(request.scheme, request.host, request.port, request.path)
        leads = route(destination.dialect, method, destination.path)
        socket = self._socket(leads, method, fields) if self._websockets else None
        in_origin_form = asked_of_us or proxied == "tunnel"
        problem = (
            target_problem(
                method,
                request.path,
                request.http_version,
                absolute=in_origin_form and bool(request.data.authority) and not request.is_http2,
                strict=self._strict,
            )
            or fields_problem(
                fields, identity_headers=self._identity, strict=self._strict, websocket=socket is not None
            )
            or ("bad_websocket" if socket is not None and not is_acceptable(fields) else None)
            or (_host_problem(request, destination) if proxied is not None else None)
        )
        # What is meant for us alone ends here (RFC 9110 §7.6.1), whichever lane carries the rest.
        for_us = _HOP_BY_HOP | {
            one_name(token.strip())
            for name, value in fields
            if name.lower() == b"connection"
            for token in value.split(b",")
            if token.strip().lower() not in FOR_ALL
        }
        key_header = KEY_FIELDS[destination.dialect]
        issuers = issuers_at(flow.client_conn, self._listeners)
        if visit is not None and self._fronts is not None:
            # The session, and nothing beside it: a key that somebody typed into the page is no identity here.
            cookie, counts = self._fronts.session_in(visit.front, fields)
            carrier, issuers = ((CARRIER, cookie) if cookie else None), frozenset({counts})
            never_more = _OF_PAGES
        else:
            carrier = self._verifier.carrier(fields, key_header=key_header, issuers=issuers)
            never_more = frozenset[bytes]()
        content_type, content_encoding = request.headers.get("content-type"), request.headers.get("content-encoding")
        # No extension is offered to the provider: frames stay as they are read here.
        never = for_us | never_more | (HANDSHAKE if socket is None else {EXTENSIONS})
        onward = tuple(f for f in fields if (name := one_name(f[0])) not in never and self._may_go_on(name))
        return Head(
            destination=destination,
            route=leads,
            problem=problem,
            key_header=key_header,
            issuers=issuers,
            carrier=carrier,
            plain=self._strict and is_plain(leads, content_type, content_encoding),
            content_type=content_type,
            content_encoding=content_encoding,
            user_agent=request.headers.get("user-agent"),
            shown_path=shown_path(destination.path),
            shown_query=shown_query(destination.query),
            scheme=destination.scheme.encode(),
            target=destination.target.encode("utf-8", "surrogateescape"),
            fields=onward,
            brings_key=any(name.lower() in SECRET_FIELDS for name, _ in onward),
            proxied=proxied,
            socket=socket,
            front=visit.front.host if visit is not None else None,
            changed=(EXTENSIONS.decode(),) if socket is not None and values(fields, EXTENSIONS) else (),
            onward={},
        )

    @staticmethod
    def _socket(leads: Route, method: str, fields: Fields) -> Kind | None:
        if method != "GET" or leads.api.turn is None or not asks_for_websocket(fields):
            return None
        return "realtime" if leads.api.operation == "realtime" else "responses"

    def _may_go_on(self, name: bytes) -> bool:
        return name not in self._strip and name not in _FRAMING and not name.startswith(UNSIGNED_PREFIXES)


def _proxied(flow: http.HTTPFlow) -> Proxied | None:
    if flow.client_conn.proxy_mode.type_name not in ("forward", "diverted", "tunnelled", "captured"):
        return None
    return "tunnel" if flow.request.scheme == "https" else "plain"


def _host_problem(request: http.Request, destination: Destination) -> str | None:
    """Is the one host that the connection is for the one that the request names, by each of its names for it? The lane
    set it: of a tunnel what its CONNECT named, else that of the whole address."""
    if not request.host or not destination.known:
        return "destination_not_allowed"
    names = [value for name, value in request.data.headers.fields if name.lower() == b"host"]
    if request.data.authority:
        names.append(request.data.authority)
    usual = 443 if request.scheme == "https" else 80
    same = (
        {request.host, f"{request.host}:{request.port}"}
        if request.port == usual
        else {f"{request.host}:{request.port}"}
    )
    if not names or any(name.decode("latin-1").strip().lower() not in same for name in names):
        return "host_mismatch"
    return None


def bare_head(destination: Destination, user_agent: str | None, *, front: str | None = None) -> Head:
    """What stands for a head where none is read, or could be: a refusal is owed a row all the same."""
    return Head(
        destination=destination,
        route=Route(OTHER),
        problem=None,
        key_header=b"",
        issuers=None,
        carrier=None,
        plain=False,
        content_type=None,
        content_encoding=None,
        user_agent=user_agent,
        shown_path=shown_path(destination.path),
        shown_query=shown_query(destination.query),
        scheme=b"",
        target=b"",
        fields=(),
        brings_key=False,
        proxied=None,
        socket=None,
        front=front,
        changed=(),
        onward={},
    )


def framing(fields: Fields) -> Fields:
    """The fields that say where the body ends: a request's own, never remembered."""
    return tuple([field for field in fields if field[0].lower() in _FRAMING])
