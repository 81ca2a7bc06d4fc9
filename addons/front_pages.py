"""The pages of a front: ours and the chat UI's. None is an exchange with a provider, and none has a row of its own, but
for the refusal of a person.

As every flow, each starts out refused. It is the gate that opens the door, once `directed` says where it leads.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import uuid_utils
from mitmproxy import http

from addons.closing import ExchangeCloser
from addons.destinations import Destinations
from addons.flows import OpenExchange
from addons.fronts import Fronts, Visit, is_our_cookie, without_our_cookies
from addons.heads import bare_head
from addons.model_lists import ModelLists, as_json, as_list
from addons.nextchat import CONFIG, page_settings
from addons.page_sockets import PageSocket
from addons.refusals import refusal
from exchange.decision import CODES, Deny
from identities.presented import UNSIGNED_HEADERS, UNSIGNED_PREFIXES, one_name
from identities.refusal import IdentityRefused
from identities.session import CARRIER
from identities.verifier import Identified, Verifier
from settings.fronts import LOCAL, SOCKET
from wire.refused_person import FIELD, read
from wire.websocket.handshake import EXTENSIONS

type Carrier = tuple[bytes, bytes] | None

_NOT_TO_PAGES: Final = UNSIGNED_HEADERS | {
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-forwarded-port",
    b"x-forwarded-server",
    b"x-real-ip",
    b"x-original-url",
    b"x-rewrite-url",
    b"x-base-url",
    b"proxy-authorization",
    b"connection",
    b"keep-alive",
    b"te",
    b"trailer",
    b"upgrade",
}
"""What a visitor may have made up about themselves or the way they came, and what ends with their connection."""

_NOT_TO_VISITORS: Final = (b"access-control-", FIELD.encode())
"""NextChat answers `Access-Control-Allow-Origin: *`: every site's pages could read what it says to this person."""

_TEXT: Final = (
    "<!doctype html><html><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>Sekisho</title></head><body><h1>Sekisho</h1><p lang=en>{en}</p><p lang=ja>{ja}</p></body></html>"
)
_JA: Final = {
    "upstream_unreachable": "チャット画面に接続できませんでした。しばらくしてからもう一度お試しください。",
    "upstream_timeout": "チャット画面からの応答がありませんでした。しばらくしてからもう一度お試しください。",
    "https_required": "このアドレスには https:// でアクセスしてください。",
    "path_not_allowed": "このページは開けません。",
}
_PAGE_HEADERS: Final = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


@dataclass(slots=True)
class Page:
    """One page on its way. `settled`: answered by us; `passed`: pointed at its place."""

    visit: Visit
    began: float
    started_at: int
    who: Identified | None = None
    carrier: tuple[tuple[bytes, bytes], frozenset[str]] | None = None  # of the session, and for whom it counts
    settled: bool = False
    passed: bool = False


class FrontPages:
    """Decides who sees a page. Asked by the gate with every request, before all else.

    Args:
        fronts: the settings' fronts.
        sessions: verifies sessions, by front.
        lists: which models a person may use.
        closer: writes down who was refused.
        destinations: what a refusal's row names as the provider.
        data_dir: where the process of the fronts listens.
    """

    def __init__(
        self,
        fronts: Fronts,
        *,
        sessions: Verifier,
        lists: ModelLists,
        closer: ExchangeCloser,
        destinations: Destinations,
        data_dir: Path,
    ) -> None:
        self._fronts = fronts
        self._sessions = sessions
        self._lists = lists
        self._closer = closer
        self._destinations = destinations
        self._house = str((data_dir / SOCKET).absolute())
        self._open: dict[str, Page] = {}

    def visit(self, flow: http.HTTPFlow) -> Visit | None:
        """See Fronts.visit."""
        return self._fronts.visit(flow)

    # -- who ---------------------------------------------------------------------------------------------------------

    def recall(self, carrier: Carrier, counts: frozenset[str] | None) -> Identified | None:
        """Whom a session that was seen before still proves: look-ups only."""
        if carrier is None:
            return None
        return self._sessions.recall_from(carrier, issuers=counts, now=time.time())

    def prove(self, carrier: Carrier, counts: frozenset[str] | None) -> Coroutine[None, None, Identified]:
        """Whom a session proves.

        Raises:
            IdentityRefused: nobody.
        """
        fields = (carrier,) if carrier is not None else ()
        return self._sessions.identify(fields, issuers=counts, now=time.time())

    # -- the door ----------------------------------------------------------------------------------------------------

    def enter(self, flow: http.HTTPFlow, visit: Visit) -> Awaitable[None] | None:
        """The head of a page's request is here, and the door is shut."""
        page = Page(visit, time.perf_counter(), time.time_ns() // 1000)
        self._open[flow.id] = page
        if visit.problem is not None:
            self.refuse(flow, visit.problem)
            return None
        if visit.place == "house":
            return None
        cookie, counts = self._fronts.session_in(visit.front, flow.request.data.headers.fields)
        if not cookie:
            self._ask_to_sign_in(flow, page)
            return None
        carrier, only = page.carrier = (CARRIER, cookie), frozenset({counts})
        page.who = self.recall(carrier, only)
        if page.who is None:
            return self._enter_proven(flow, page, carrier, only)
        self._let_in(flow, page)
        return None

    async def _enter_proven(self, flow: http.HTTPFlow, page: Page, carrier: Carrier, only: frozenset[str]) -> None:
        try:
            page.who = await self.prove(carrier, only)
        except IdentityRefused:
            self._ask_to_sign_in(flow, page)
        else:
            self._let_in(flow, page)

    def _let_in(self, flow: http.HTTPFlow, page: Page) -> None:
        if page.visit.place == "models":
            assert page.who is not None
            page.settled = True
            flow.response = self._models(page.visit, page.who)

    def directed(self, flow: http.HTTPFlow) -> bool:
        """The body is here: point the flow at the page's place. False: it may not go there."""
        page = self._open.get(flow.id)
        if page is None or page.settled:
            return False
        visit = page.visit
        house = visit.place == "house"
        data = flow.request.data
        fields = data.headers.fields if house else without_our_cookies(data.headers.fields)
        host = visit.front.host.encode("ascii")
        # No extension is offered for a WebSocket: its frames stay as they are read here.
        never = {b"host", EXTENSIONS} if visit.socket else {b"host"}
        kept = [field for field in fields if (name := one_name(field[0])) not in never and _may_go_on(name)]
        told = [
            (b"X-Forwarded-Host", host),
            (b"X-Forwarded-Proto", b"http" if visit.front.secured == "none" else b"https"),
        ]
        if page.who is not None and visit.front.email_header is not None:
            named = visit.front.email_header.encode("ascii")
            kept = [field for field in kept if one_name(field[0]) != named.lower()]
            told.append((named, (page.who.principal.email or "").encode()))
        data.headers.fields = (*told, *kept)
        data.authority = host
        if house:
            data.scheme, data.host, data.port = LOCAL, self._house, 0
        else:
            assert page.who is not None  # nobody else sees the chat UI
            url = urlsplit(visit.front.upstream or "")
            data.scheme, data.host = url.scheme.encode(), url.hostname or ""
            data.port = url.port or (443 if url.scheme == "https" else 80)
        page.passed = True
        return True

    def socket(self, flow: http.HTTPFlow) -> PageSocket | None:
        """What a WebSocket of this page's is to the lane; None where none was let pass."""
        page = self._open.get(flow.id)
        if page is None or not page.passed or page.carrier is None or not page.visit.socket:
            return None
        carrier, only = page.carrier
        return PageSocket(
            lambda: self.recall(carrier, only) is not None,
            lambda: self.prove(carrier, only),
        )

    def expelled(self, is_expelled: Callable[[Identified | None], bool]) -> list[str]:
        """Flows of pages that passed, of people for whom this is so."""
        return [flow for flow, page in self._open.items() if page.passed and is_expelled(page.who)]

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """What the page's place says is passed on as it comes, but for what is not for visitors."""
        page = self._open.get(flow.id)
        if page is None or not page.passed or page.settled or flow.response is None:
            return
        data = flow.response.data
        if page.visit.place == "house":
            for name, value in data.headers.fields:
                if name.lower() == FIELD.encode():
                    self._record_refusal(flow, page, value)
        fields = [f for f in data.headers.fields if not f[0].lower().startswith(_NOT_TO_VISITORS)]
        if page.visit.place == "ui":
            fields = [f for f in fields if f[0].lower() != b"set-cookie" or not is_our_cookie(f[1])]
        data.headers.fields = tuple(fields)
        flow.response.stream = True

    def response(self, flow: http.HTTPFlow) -> None:
        self._open.pop(flow.id, None)

    def error(self, flow: http.HTTPFlow) -> None:
        self._open.pop(flow.id, None)

    # -- for the lane (addons/door.py) -------------------------------------------------------------------------------

    def is_open(self, flow: http.HTTPFlow) -> bool:
        return flow.id in self._open

    def waits_for_body(self, flow: http.HTTPFlow) -> bool:
        """Is it let in, and only the rest of its request is still to come?"""
        page = self._open.get(flow.id)
        return page is not None and not page.settled

    def refuse(self, flow: http.HTTPFlow, code: str) -> None:
        """Answer with this code: a page where a page was asked for, else in the shape of the API."""
        page = self._open[flow.id]
        page.settled = True
        if _is_navigation(flow):
            said = CODES[code]
            body = _TEXT.format(en=said.message, ja=_JA.get(code, "このリクエストは受け付けられませんでした。"))
            flow.response = http.Response.make(said.status, body.encode(), _PAGE_HEADERS)
        else:
            flow.response = refusal(Deny(code), "openai", "", to_page=True)

    # -- answers of our own ------------------------------------------------------------------------------------------

    def _ask_to_sign_in(self, flow: http.HTTPFlow, page: Page) -> None:
        """Whoever walks in is shown the way; a script is told, and never redirected: it would follow to a page."""
        if not _is_navigation(flow):
            self.refuse(flow, "missing_identity")
            return
        page.settled = True
        to = quote(flow.request.path, safe="")
        flow.response = http.Response.make(
            303, b"", {"location": f"/_sekisho/login?to={to}", "cache-control": "no-store"}
        )

    def _models(self, visit: Visit, who: Identified) -> http.Response:
        """Those of the front's models that the rules let this person chat with, in the shape that was asked for."""
        provider = self._destinations.of_front(visit.front.provider, "/").provider
        models = self._lists.usable(visit.front.models, provider, who.principal, operations=("chat",))
        return as_json(page_settings(models)) if visit.target == CONFIG else as_list(models, provider)

    def _record_refusal(self, flow: http.HTTPFlow, page: Page, value: bytes) -> None:
        told = read(value.decode("latin-1"))
        if told is None or flow.response is None:
            return
        visit = page.visit
        path = visit.target.partition("?")[0]
        destination = self._destinations.of_front(visit.front.provider, path)
        agent = flow.request.headers.get("user-agent")
        seen = OpenExchange(
            uuid_utils.uuid7().bytes,
            page.started_at,
            page.began,
            decision=Deny(told.code, reason=told.reason),
            settled=True,
            head_in=bare_head(destination, agent, front=visit.front.host),
        )
        self._closer.end(flow, seen, "refused", None)


def _may_go_on(name: bytes) -> bool:
    return name not in _NOT_TO_PAGES and not name.startswith(UNSIGNED_PREFIXES)


def _is_navigation(flow: http.HTTPFlow) -> bool:
    """Did a person open a page (Fetch Metadata §2.2), as far as their browser says, else by what they take?"""
    if flow.request.data.method != b"GET":
        return False
    headers = flow.request.headers
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode is not None else "text/html" in headers.get("accept", "")
