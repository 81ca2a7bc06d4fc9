"""The gate for connections that are not HTTP yet: who opens a tunnel, where it may lead, and whether it is read.

Names itself `tunnels` among the master's addons, where the lane of forward listeners finds it.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import uuid_utils
from mitmproxy import http

from addons.certificates import chain_of
from addons.closing import ExchangeCloser, mode_of
from addons.flows import Destination, OpenExchange, OpenExchanges
from addons.heads import bare_head
from addons.listeners import IssuersByListener, issuers_at, listener_of
from addons.refusals import refusal
from exchange.decision import Deny
from exchange.principal import Principal
from exchange.tunnel import WhyUnread
from identities.presented import PROXY_AUTHORIZATION
from identities.refusal import IdentityRefused
from identities.verifier import Identified, Verifier, same_person
from policies.addresses import Networks, address_problem, written_address
from policies.hosts import Becomes, HostBook, HostVerdict
from settings.hosts import host_pattern
from storage.journal.rows import Unread
from storage.journal.writing import Journal
from wire.request_head import fields_problem

log = logging.getLogger(__name__)

type Fields = Sequence[tuple[bytes, bytes]]

_SHOWN: Final = 255


@dataclass(slots=True, eq=False)
class OpenTunnel:
    """A CONNECT, judged. `proof` is what proved its caller, kept as long as the connection lasts, for that alone."""

    flow: http.HTTPFlow
    id: bytes
    started_at: int  # wall clock, microseconds
    host: str
    port: int
    verdict: HostVerdict
    principal: Principal | None = None
    known: Identified | None = None  # what proved them
    proof: Fields = ()
    refusal: http.Response | None = None
    used: bool = False  # a request came through it
    row: Unread | None = None  # of a connection that passes: what is known at its beginning

    @property
    def becomes(self) -> Becomes:
        return "block" if self.refusal is not None else self.verdict.becomes


class TunnelGate:
    """See lanes.mitm.tunnels.Tunnels, whose methods these are.

    Args:
        listeners: whose issuers count where.
        ports: that may be connected to.
        networks: that may be connected to though they are not of the public Internet.
        peers: who calls at which WireGuard listener.
        local_user: the local profile: who calls when nobody proves to be anybody.
        has_revoked: whose connections are to end; None: what passes unread goes on to its end.
    """

    name = "tunnels"

    def __init__(
        self,
        open_exchanges: OpenExchanges,
        *,
        verifier: Verifier,
        hosts: HostBook,
        closer: ExchangeCloser,
        journal: Journal,
        node: str,
        listeners: IssuersByListener,
        ports: frozenset[int],
        networks: Networks,
        peers: Mapping[tuple[str, int], str],
        local_user: Principal | None,
        has_revoked: Callable[[Identified], bool] | None = None,
    ) -> None:
        self._open = open_exchanges
        self._verifier = verifier
        self._hosts = hosts
        self._closer = closer
        self._journal = journal
        self._node = node
        self._listeners = listeners
        self._ports = ports
        self._networks = networks
        self._peers = peers
        self._local_user = local_user
        self._has_revoked = has_revoked
        self._by_client: dict[str, OpenTunnel] = {}
        self.passed_over = 0  # connections that got no row since the journal was last crowded

    # -- judging ------------------------------------------------------------------------------------------------------

    async def judge(self, flow: http.HTTPFlow, fault: str | None) -> OpenTunnel:
        data = flow.request.data
        tunnel = OpenTunnel(
            flow, uuid_utils.uuid7().bytes, time.time_ns() // 1000, data.host, data.port, HostVerdict("block", "none")
        )
        try:
            await self._judge(tunnel, fault)
        except IdentityRefused as refused:
            self._refuse(tunnel, Deny(refused.code, reason=refused.reason))
        except Exception:
            log.exception("A CONNECT could not be judged: refused.")
            self._refuse(tunnel, Deny("checkpoint_error"))
        return tunnel

    def diverted(self, flow: http.HTTPFlow) -> OpenTunnel:
        data = flow.request.data
        tunnel = OpenTunnel(
            flow, uuid_utils.uuid7().bytes, time.time_ns() // 1000, data.host, data.port, self._hosts.of(data.host)
        )
        tunnel.principal = self._local_user
        try:
            if (known := self._by_peer(flow) or self._neighbour(flow)) is not None:
                tunnel.principal, tunnel.known = known.principal, known
        except IdentityRefused as refused:
            if self._local_user is None:  # not admitted, or revoked: nothing of theirs passes
                log.warning("Whoever the settings name here is not let pass: %s.", refused.reason)
                tunnel.verdict = HostVerdict("block", "none")
        return tunnel

    def _by_peer(self, flow: http.HTTPFlow) -> Identified | None:
        """Raises IdentityRefused."""
        email = self._peers.get(listener_of(flow.client_conn))
        return self._verifier.peer(email) if email is not None else None

    def _neighbour(self, flow: http.HTTPFlow) -> Identified | None:
        """Raises IdentityRefused."""
        issuers = issuers_at(flow.client_conn, self._listeners)
        return self._verifier.neighbour(flow.client_conn.peername[0], issuers=issuers)

    async def _judge(self, tunnel: OpenTunnel, fault: str | None) -> None:
        fields = tunnel.flow.request.data.headers.fields
        strict = self._local_user is None
        code = fault or fields_problem(fields, identity_headers=self._verifier.strip, strict=strict)
        if code is None and any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in fields):
            code = "connect_body"
        if code is None and not tunnel.host:
            code = "bad_request"
        if code is not None:
            self._refuse(tunnel, Deny(code))
            return
        tunnel.principal = await self._who(tunnel, fields)
        if (why := self._target_problem(tunnel.host, tunnel.port)) is not None:
            self._refuse(tunnel, Deny("destination_not_allowed", reason=why))
            return
        tunnel.verdict = self._hosts.of(tunnel.host)
        if tunnel.verdict.becomes == "block":
            self._refuse(tunnel, Deny("destination_not_allowed", rule=tunnel.verdict.rule))
            self.unread(tunnel, "blocked")

    async def _who(self, tunnel: OpenTunnel, fields: Fields) -> Principal:
        """Raises IdentityRefused; never where everybody may pass as the local user."""
        proof = tuple(field for field in fields if field[0].lower() == PROXY_AUTHORIZATION)
        try:
            found = await self._proven(tunnel.flow, proof) or self._neighbour(tunnel.flow)
            if found is None:
                raise IdentityRefused(
                    "missing_identity", "no Proxy-Authorization, and no client certificate that counts"
                )
        except IdentityRefused:
            if self._local_user is None:
                raise
            return self._local_user
        tunnel.proof, tunnel.known = proof, found
        return found.principal

    async def _proven(self, flow: http.HTTPFlow, proof: Fields) -> Identified | None:
        if (by_peer := self._by_peer(flow)) is not None:
            return by_peer
        issuers = issuers_at(flow.client_conn, self._listeners)
        now = time.time()
        by_token = await self._verifier.of_proxy(proof, issuers=issuers, now=now)
        chain = chain_of(flow.client_conn)
        if not chain:
            return by_token
        try:
            by_certificate = await self._verifier.identify((), issuers=issuers, client_chain=chain, now=now)
        except IdentityRefused as refused:
            if refused.code != "missing_identity":
                raise
            return by_token
        if by_token is not None and not same_person(by_token.principal, by_certificate.principal):
            raise IdentityRefused("conflicting_identity", "the token and the certificate are of two different people")
        return by_token or by_certificate

    def _target_problem(self, host: str, port: int) -> str | None:
        written = written_address(host)
        if port not in self._ports:
            return f"port {port} is not among hosts.ports"
        if isinstance(written, str) or (written is not None and not any(written in one for one in self._networks)):
            return "the host is written as an address"
        if written is not None:
            return None
        try:
            host_pattern(host)
        except ValueError:
            return "the host is no name of the Internet"
        return None

    def may_reach(self, address: str) -> bool:
        return address_problem(address, self._networks) is None

    def may_be_behind(self, tunnel: OpenTunnel, name: str) -> bool:
        """What is read, or blocked, is not to be reached through a tunnel that was opened for something else."""
        return name == tunnel.host or self._hosts.of(name).becomes in ("pass", "pass-and-note")

    # -- refusing -----------------------------------------------------------------------------------------------------

    def refuse(self, tunnel: OpenTunnel, code: str, reason: str) -> http.Response:
        return self._refuse(tunnel, Deny(code, reason=reason))

    def _refuse(self, tunnel: OpenTunnel, denied: Deny) -> http.Response:
        flow = tunnel.flow
        seen = self._open[flow.id] = OpenExchange(tunnel.id, tunnel.started_at, time.perf_counter())
        seen.principal, seen.decision, seen.settled = tunnel.principal, denied, True
        verdict = self._hosts.of(tunnel.host) if tunnel.host else tunnel.verdict
        target = flow.request.data.authority.decode("ascii", "replace")[:_SHOWN]
        seen.head_in = bare_head(
            Destination(verdict.provider or tunnel.host, "openai", "", tunnel.host, tunnel.port, "", target, None),
            flow.request.headers.get("user-agent"),
        )
        tunnel.refusal = flow.response = refusal(denied, "openai", tunnel.id.hex(), to_proxy=True)
        self._closer.response(flow)
        return tunnel.refusal

    # -- what comes through an opened one ---------------------------------------------------------------------------

    def entered(self, tunnel: OpenTunnel, client_id: str) -> None:
        self._by_client[client_id] = tunnel

    def left(self, client_id: str) -> None:
        tunnel = self._by_client.pop(client_id, None)
        if tunnel is not None and not tunnel.used:
            self.unread(tunnel, "unused", name=tunnel.host)

    async def identity_of(self, flow: http.HTTPFlow) -> Identified | None:
        """Whom the connection of this flow's request proves by what it said to us as a proxy: at the CONNECT, or in the
        request itself. Proven anew, so that it expires and is revoked in mid-connection.

        Raises:
            IdentityRefused: it does not, any more.
        """
        tunnel = self._by_client.get(flow.client_conn.id)
        if tunnel is None:
            proof = [one for one in flow.request.data.headers.fields if one[0].lower() == PROXY_AUTHORIZATION]
            return await self._proven(flow, proof)
        tunnel.used = True
        return await self._proven(tunnel.flow, tunnel.proof)

    # -- what is not read ---------------------------------------------------------------------------------------------

    def unread(self, tunnel: OpenTunnel, why: WhyUnread, *, name: str | None = None, detail: str | None = None) -> None:
        peer = tunnel.flow.client_conn.peername
        agent = tunnel.flow.request.headers.get("user-agent")
        passes = why in ("passed", "noted")
        row = Unread(
            started_at=tunnel.started_at,
            ended_at=None if passes else time.time_ns() // 1000,
            node=self._node,
            principal=tunnel.principal,
            address=peer[0] if peer else None,
            user_agent=agent[:_SHOWN] if agent else None,
            mode=mode_of(tunnel.flow.client_conn),
            host=tunnel.host,
            port=tunnel.port,
            name=name[:_SHOWN] if name else None,
            service=tunnel.verdict.service,
            rule=tunnel.verdict.rule,
            why=why,
            detail=detail,
            sent=0,
            received=0,
        )
        if passes:
            tunnel.row = row
        self._append(tunnel, row)

    def is_expelled(self, tunnel: OpenTunnel) -> bool:
        return tunnel.known is not None and self._has_revoked is not None and self._has_revoked(tunnel.known)

    def ended(self, tunnel: OpenTunnel, sent: int, received: int) -> None:
        if tunnel.row is not None:
            self._append(tunnel, tunnel.row.over(time.time_ns() // 1000, sent, received))

    def _append(self, tunnel: OpenTunnel, row: Unread) -> None:
        """Nobody may fill the journal, and so shut the door to all, by opening connections."""
        if not self._journal.crowded:
            if self.passed_over:
                log.warning("%d connections were not recorded while the journal was crowded.", self.passed_over)
                self.passed_over = 0
            self._journal.append(tunnel.id, row)
            return
        if not self.passed_over:
            log.error("The journal, or its disk, is filling up: connections are counted, not recorded.")
        self.passed_over += 1
