"""The gate. The door is shut in `requestheaders` and opened by one line, the last of `request`.

mitmproxy logs an addon's exception and lets the request through; so every flow starts out refused, and only a
request that was identified, understood, decided on and journaled has its refusal taken away.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uuid_utils
from mitmproxy import http

from addons.certificates import chain_of
from addons.closing import ExchangeCloser
from addons.credentials import CredentialNames
from addons.cross_origin import CrossOrigin
from addons.flows import UNDECIDED, OpenExchange, OpenExchanges
from addons.front_pages import FrontPages
from addons.fronts import Visit
from addons.heads import Fields, Head, Heads
from addons.model_lists import ModelLists
from addons.refusals import refusal
from addons.safety import SafetyIdentifiers
from addons.sessions import Session
from addons.tee import StreamTee
from addons.tunnels import TunnelGate
from addons.uploads import Recording
from addons.upstream import UpstreamRouter
from exchange.call import Call
from exchange.decision import Allow, Decision, Deny
from exchange.principal import Principal
from identities.refusal import ForeignToken, IdentityRefused
from identities.source_network import is_of_a_page
from identities.verifier import Identified, Verifier, same_person
from policies.rules import RuleBook
from storage.journal.writing import Journal, JournalUnavailable
from wire.api import BodyProblem
from wire.calls import read_by_head, read_call, read_plain_call, read_upgrade
from wire.openai.browser_key import with_bearer

log = logging.getLogger(__name__)

_LARGE = 256 << 10  # bytes; a larger body is walked off the event loop
_STILL = 2.0
"""Seconds for which who calls is taken to be as it was when the head came, as long as revocations take to be known."""


class AccessGate:
    """Decides on every request. Refuses whatever it cannot decide on, its own faults included."""

    def __init__(
        self,
        open_exchanges: OpenExchanges,
        *,
        verifier: Verifier,
        heads: Heads,
        tunnels: TunnelGate,
        rules: RuleBook,
        lists: ModelLists,
        router: UpstreamRouter,
        closer: ExchangeCloser,
        credentials: CredentialNames,
        safety: SafetyIdentifiers | None,
        local_user: Principal | None,
        wait_for_disk: bool,
        body_limit: int,
        pages: FrontPages | None = None,
        cross_origin: CrossOrigin | None = None,
    ) -> None:
        self._pages = pages
        self._cross_origin = cross_origin
        self._open = open_exchanges
        self._verifier = verifier
        self._heads = heads
        self._tunnels = tunnels
        self._shut = refusal(UNDECIDED, "openai", "")
        self._rules = rules
        self._lists = lists
        self._router = router
        self._closer = closer
        self._credentials = credentials
        self._safety = safety
        self._local_user = local_user  # the local profile: who calls when nobody proves to be anybody
        self._strict = local_user is None
        self._wait_for_disk = wait_for_disk
        self._body_limit = body_limit
        self._pool = ThreadPoolExecutor(1, "bodies")
        self._signing: set[asyncio.Future[None]] = set()

    # -- the head ---------------------------------------------------------------------------------------------------

    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        began = time.perf_counter()
        flow.response = self._shut
        data = flow.request.data
        visit: Visit | None = None
        if self._pages is not None and (visit := self._pages.visit(flow)) is not None and visit.place != "api":
            return self._pages.enter(flow, visit)
        if self._cross_origin is not None and visit is None and data.method == b"OPTIONS":
            preflight = self._cross_origin.preflight(flow)
            if preflight is not None:
                flow.response = preflight  # no call: it asks for nothing, and nothing is forwarded
                return None
        if data.method == b"GET":
            data.headers.fields = with_bearer(data.headers.fields)
        seen = self._open[flow.id] = OpenExchange(uuid_utils.uuid7().bytes, time.time_ns() // 1000, began)
        seen.head_in = head = self._heads.read(flow, visit)
        if visit is not None and visit.problem is not None:
            self.refuse(flow, seen, Deny(visit.problem))
            return None
        if head.problem is not None:
            self.refuse(flow, seen, Deny(head.problem))
            return None
        known = None
        if head.front is not None and self._pages is not None:
            known = self._pages.recall(head.carrier, head.issuers)
        elif head.carrier is not None and head.proxied is None:
            known = self._verifier.recall_from(
                head.carrier, issuers=head.issuers, client_chain=chain_of(flow.client_conn), now=time.time()
            )
        if known is None:
            return self._identify(flow, seen, head)
        seen.identified = known
        seen.principal = known.principal
        seen.spent = time.perf_counter() - began
        return None

    async def _identify(self, flow: http.HTTPFlow, seen: OpenExchange, head: Head) -> None:
        fields = flow.request.data.headers.fields
        try:
            known = await self._prove(flow, head, fields)
        except IdentityRefused as refused:
            if self._local_user is None or head.front is not None:  # whoever is at a page of a front signs in first
                self.refuse(flow, seen, Deny(refused.code, reason=refused.reason))
                return
            seen.principal = self._local_user
            seen.credential = self._credentials.of(fields)
        else:
            seen.identified = known
            seen.principal = known.principal
        seen.spent = time.perf_counter() - seen.began

    async def _prove(self, flow: http.HTTPFlow, head: Head, fields: Fields) -> Identified:
        if head.front is not None:
            assert self._pages is not None
            return await self._pages.prove(head.carrier, head.issuers)
        try:
            return await (self._proven if head.proxied is None else self._proven_to_proxy)(flow, head, fields)
        except IdentityRefused as refused:
            peer = flow.client_conn.peername
            if refused.code != "missing_identity" or not peer or is_of_a_page(fields):
                raise
            known = self._verifier.neighbour(peer[0], issuers=head.issuers)
            if known is None:
                raise
            return known

    def _proven(self, flow: http.HTTPFlow, head: Head, fields: Fields) -> Coroutine[None, None, Identified]:
        return self._verifier.identify(
            fields,
            key_header=head.key_header,
            issuers=head.issuers,
            client_chain=chain_of(flow.client_conn),
            now=time.time(),
        )

    async def _proven_to_proxy(self, flow: http.HTTPFlow, head: Head, fields: Fields) -> Identified:
        """Whom the connection proves, and whom the request itself: the same person, where both prove somebody. A token
        that no issuer of ours signed is the caller's own key to the provider (a ChatGPT login has such)."""
        by_connection = await self._tunnels.identity_of(flow)
        try:
            by_request = await self._proven(flow, head, fields)
        except IdentityRefused as refused:
            if by_connection is None or not (refused.code == "missing_identity" or isinstance(refused, ForeignToken)):
                raise
            return by_connection
        if by_connection is not None and not same_person(by_connection.principal, by_request.principal):
            raise IdentityRefused("conflicting_identity", "the connection and its request are of two different people")
        return by_request

    # -- the body ---------------------------------------------------------------------------------------------------

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        seen = self._open.get(flow.id)
        if seen is None and self._pages is not None and self._pages.directed(flow):
            self._open_the_door(flow)
            return None
        if seen is None or seen.settled:
            return None
        seen.asked = time.perf_counter()
        if seen.identified is not None and seen.asked - seen.began > _STILL:
            return self._pass_if_still(flow, seen)
        return self._read_and_pass(flow, seen)

    async def _pass_if_still(self, flow: http.HTTPFlow, seen: OpenExchange) -> None:
        """A body may take hours to arrive, and whoever sent its head may be nobody by then: expired, or revoked."""
        assert seen.head_in is not None
        spent, seen.identified = seen.spent, None
        await self._identify(flow, seen, seen.head_in)
        if seen.settled:
            return
        seen.spent = spent
        if (waiting := self._read_and_pass(flow, seen)) is not None:
            await waiting

    def _read_and_pass(self, flow: http.HTTPFlow, seen: OpenExchange) -> Awaitable[None] | None:
        if flow.request.stream:  # the body is still to come, and goes on as it comes
            return self._pass(flow, seen, self._understood_by_head(seen))
        body = flow.request.data.content or b""
        if len(body) > _LARGE:
            return self._pass_large(flow, seen, body)
        return self._pass(flow, seen, self._understood(flow, seen, body))

    async def _pass_large(self, flow: http.HTTPFlow, seen: OpenExchange, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        call = await loop.run_in_executor(self._pool, self._understood, flow, seen, body)
        if (waiting := self._pass(flow, seen, call)) is not None:
            await waiting

    def _understood_by_head(self, seen: OpenExchange) -> Call | Deny:
        head = seen.head_in
        assert head is not None
        try:
            return read_by_head(head.route, content_encoding=head.content_encoding, strict=self._strict)
        except BodyProblem as problem:
            return Deny(problem.code)

    def _understood(self, flow: http.HTTPFlow, seen: OpenExchange, body: bytes) -> Call | Deny:
        call = self._read(seen, body)
        head = seen.head_in
        if head is not None and head.socket is not None:
            if self._safety is not None and self._safety.tells(head.destination.provider):
                return Deny("websocket_not_supported", reason="safety_identifier goes into bodies, not into messages")
            return call
        if self._safety is not None and not isinstance(call, Deny):
            return self._safety.put_in(seen, flow.request.data.method.decode("ascii", "replace"), body) or call
        return call

    def _read(self, seen: OpenExchange, body: bytes) -> Call | Deny:
        head = seen.head_in
        assert head is not None
        try:
            if head.socket is not None:
                return read_upgrade(head.route, head.destination.query, strict=self._strict)
            if head.plain and body:
                return read_plain_call(head.route, body)
            return read_call(
                head.route,
                content_type=head.content_type,
                content_encoding=head.content_encoding,
                body=body,
                strict=self._strict,
                limit=self._body_limit,
            )
        except BodyProblem as problem:
            return Deny(problem.code)

    def _pass(self, flow: http.HTTPFlow, seen: OpenExchange, call: Call | Deny) -> Awaitable[None] | None:
        """None: it is decided. Else it is once what is given back has been awaited. Every forwarded request waits for
        the disk, so that wait is a future and no task."""
        assert seen.principal is not None
        assert seen.head_in is not None
        if isinstance(call, Deny):
            self.refuse(flow, seen, call)
            return None
        if (listed := self._lists.answer(flow.request.data.method, seen)) is not None:
            del self._open[flow.id]  # no exchange: nothing of it is forwarded
            flow.response = listed
            return None
        seen.call = call
        if seen.head_in.socket is not None:
            seen.connection, seen.fields = seen.id.hex(), flow.request.data.headers.fields
        elif flow.request.stream:
            seen.fields = flow.request.data.headers.fields
        provider = seen.head_in.destination.provider
        scope = seen.identified.scope if seen.identified is not None else None
        if seen.head_in.socket == "responses" and call.request_model is None:
            decision = self._rules.admits(seen.principal, call.operation, provider, scope)
        else:
            decision = self._rules.decide(seen.principal, call, provider, scope)
        if not isinstance(decision, Allow):
            self.refuse(flow, seen, decision)
            return None
        seen.decision = decision
        if (lacking := self._router.equip(flow, seen)) is not None:
            self.refuse(flow, seen, lacking)
            return None
        if flow.request.stream and seen.shown is not None and seen.shown.sign is not None:
            said = "a body that goes on as it comes cannot be signed for the provider"
            self.refuse(flow, seen, Deny("media_type_not_supported", reason=said))
            return None
        if not self._wait_for_disk:
            self._closer.append_intent(flow, seen)
            return self._let_pass(flow, seen)
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closer.commit_intent(flow, seen).add_done_callback(partial(self._on_disk, flow, seen, passed))
        return passed

    def _on_disk(
        self, flow: http.HTTPFlow, seen: OpenExchange, passed: asyncio.Future[None], intent: asyncio.Future[None]
    ) -> None:
        """The intent is on disk, or it cannot be. Whatever goes wrong here, whoever waits for `passed` hears of it."""
        if passed.done():
            return  # nobody waits any more, and the door is shut
        try:
            intent.result()
            signing = self._let_pass(flow, seen)
        except JournalUnavailable as unavailable:
            log.error("Refused a request that cannot be recorded: %s", unavailable)
            seen.journaled = False  # the refusal is owed instead
            self.refuse(flow, seen, Deny("audit_unavailable"))
            passed.set_result(None)
        except Exception as fault:  # noqa: BLE001 - it is raised where `passed` is awaited
            passed.set_exception(fault)
        else:
            if signing is None:
                passed.set_result(None)
            else:
                task = asyncio.ensure_future(signing)
                self._signing.add(task)
                task.add_done_callback(partial(self._signed, passed))

    def _signed(self, passed: asyncio.Future[None], task: asyncio.Future[None]) -> None:
        self._signing.discard(task)
        if passed.done():
            return
        if task.cancelled():
            passed.cancel()
        elif (fault := task.exception()) is not None:
            passed.set_exception(fault)
        else:
            passed.set_result(None)

    def _let_pass(self, flow: http.HTTPFlow, seen: OpenExchange) -> Awaitable[None] | None:
        signing = self._router.direct(flow, seen)
        if signing is not None:
            return self._let_pass_signed(flow, seen, signing)
        self._passes(seen)
        self._open_the_door(flow)
        return None

    async def _let_pass_signed(self, flow: http.HTTPFlow, seen: OpenExchange, signing: Awaitable[None]) -> None:
        await signing
        self._passes(seen)
        self._open_the_door(flow)

    @staticmethod
    def _passes(seen: OpenExchange) -> None:
        seen.spent += time.perf_counter() - (seen.asked or seen.began)
        seen.committed = True

    @staticmethod
    def _open_the_door(flow: http.HTTPFlow) -> None:
        flow.response = None  # the door opens: the one line that does it

    # -- the reply --------------------------------------------------------------------------------------------------

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        seen = self._open.get(flow.id)
        if seen is None or not seen.committed or flow.response is None:
            return
        status = flow.response.data.status_code
        if status == 401 or seen.refused is not None:
            self._router.answered(seen, status)

    # -- WebSockets -------------------------------------------------------------------------------------------------

    def judge(self, seen: OpenExchange, call: Call) -> Decision:
        """May this message of an open WebSocket pass? The provider is shown the key that was chosen when the connection
        was opened, also for a call to which a rule would give another (docs/wire.md)."""
        assert seen.principal is not None
        assert seen.head_in is not None
        scope = seen.identified.scope if seen.identified is not None else None
        return self._rules.decide(seen.principal, call, seen.head_in.destination.provider, scope)

    async def still(self, flow: http.HTTPFlow, seen: OpenExchange) -> Deny | None:
        """Does a connection still prove whom it proved when it was opened? Asked before each turn of a WebSocket, and
        now and then while a body goes on as it comes."""
        head = seen.head_in
        assert head is not None
        if seen.identified is None:
            return None  # the local profile
        try:
            known = await self._prove(flow, head, seen.fields)
        except IdentityRefused as refused:
            return Deny(refused.code, reason=refused.reason) if self._strict or head.front is not None else None
        if not same_person(known.principal, seen.identified.principal):
            return Deny("conflicting_identity", reason="the connection was opened by another person")
        return None

    # -- for the lanes (addons/door.py) -----------------------------------------------------------------------------

    def refuse(self, flow: http.HTTPFlow, seen: OpenExchange, denied: Deny) -> None:
        """Refused for good. The `response` hook that follows records it."""
        seen.decision = denied
        seen.settled = True
        seen.spent = time.perf_counter() - seen.began
        dialect = seen.head_in.destination.dialect if seen.head_in else "openai"
        to_proxy = seen.head_in is not None and seen.head_in.proxied == "plain"
        to_page = seen.head_in is not None and seen.head_in.front is not None
        flow.response = refusal(
            denied, dialect, seen.id.hex(), to_proxy=to_proxy, grpc=bool(flow.request.stream), to_page=to_page
        )

    def shows_another_key(self, flow: http.HTTPFlow, seen: OpenExchange) -> bool:
        """See Door.again."""
        return seen.committed and self._router.redirect(flow, seen)

    def session(
        self,
        flow: http.HTTPFlow,
        seen: OpenExchange,
        tee: StreamTee,
        journal: Journal,
        *,
        is_expelled: Callable[[], bool],
    ) -> Session | None:
        """What judges and records the messages of this WebSocket; None when no such thing was let pass. `is_expelled`:
        may whoever opened it go on no more?"""
        if not seen.committed or seen.head_in is None or seen.head_in.socket is None:
            return None
        return Session(
            flow,
            seen,
            seen.head_in.socket,
            gate=self,
            closer=self._closer,
            pool=self._pool,
            strict=self._strict,
            waits_for_disk=self._wait_for_disk,
            open_exchanges=self._open,
            tee=tee,
            journal=journal,
            is_expelled=is_expelled,
        )

    def upload(self, flow: http.HTTPFlow, seen: OpenExchange, journal: Journal) -> Recording | None:
        """What records the body of this call as it goes on; None when no such thing was let pass."""
        if not seen.committed or not flow.request.stream:
            return None
        return Recording(flow, seen, gate=self, journal=journal, waits_for_disk=self._wait_for_disk, still=_STILL)

    def done(self) -> None:
        self._pool.shutdown(wait=False)
