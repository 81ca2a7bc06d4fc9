"""The addons, made from the settings and put in order. The order is the behaviour."""

import asyncio
import getpass
from collections.abc import Sequence
from dataclasses import dataclass

from addons.closing import ExchangeCloser
from addons.credentials import CredentialNames
from addons.cross_origin import CrossOrigin
from addons.destinations import Destinations
from addons.door import LaneDoor
from addons.flows import OpenExchanges
from addons.front_pages import FrontPages
from addons.fronts import Fronts
from addons.gate import AccessGate
from addons.heads import Heads
from addons.listeners import issuers_by_listener, peers_by_listener
from addons.model_lists import ModelLists
from addons.safety import safety_identifiers_from
from addons.tee import StreamTee
from addons.tunnels import TunnelGate
from addons.upstream import UpstreamRouter
from exchange.principal import Principal
from identities.revoked import Revocation, RevokedFile
from identities.session import sessions_verifier
from identities.verifier import Verifier, verifier_from
from policies.hosts import HostBook, hosts_of
from policies.rules import rulebook_from
from settings.hosts import known_services
from settings.schema import Settings
from storage.journal.writing import Journal
from storage.room import ballast_from, rooms_from
from storage.sealing.vault import masters_for_writing
from upstreams.provider_credentials import Upstreams, upstreams_from
from upstreams.standing import FILE


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a worker runs on. `addons` go to mitmproxy in this order; `door` is for the lane."""

    addons: tuple[object, ...]
    door: LaneDoor
    journal: Journal
    verifier: Verifier
    sessions: Verifier | None
    revoked: RevokedFile
    upstreams: Upstreams

    async def start(self) -> None:
        """Ready to decide: the keys of the issuers and for the providers are here, or on their way."""
        await asyncio.gather(
            *(verifier.start() for verifier in self._verifiers), self.revoked.start(), self.upstreams.start()
        )

    async def stop(self) -> None:
        """Call it when no flow is open any more: what is not in the journal by then is lost."""
        await asyncio.gather(
            *(verifier.stop() for verifier in self._verifiers), self.revoked.stop(), self.upstreams.stop()
        )
        self.journal.close()

    @property
    def _verifiers(self) -> tuple[Verifier, ...]:
        return (self.verifier,) if self.sessions is None else (self.verifier, self.sessions)


def pipeline_from(settings: Settings) -> Pipeline:
    """Build it. Needs a running event loop.

    Raises:
        OSError, sqlite3.Error: the data directory cannot be written.
        SealProblem: content is to be sealed, and the key cannot be had, or is another than the record's.
        UnusableEntries: issuers that cannot be used.
        UnusableKey: a key of our own that cannot be used.
    """
    gateway = settings.profile == "gateway"
    blocking = settings.on_failure != "allow"
    verifier = verifier_from(
        settings.identity,
        data_dir=settings.data_dir,
        profile=settings.profile,
        include_subdomains=settings.identity.include_subdomains,
    )
    sessions = _sessions_from(settings)

    def revoke(listed: Sequence[Revocation]) -> None:
        verifier.revoke_listed(listed)
        if sessions is not None:
            sessions.revoke_listed(listed)

    revoked = RevokedFile(settings.data_dir, revoke)
    has_revoked = verifier.has_revoked if settings.identity.cut_revoked else None
    open_exchanges: OpenExchanges = {}
    journal = Journal(
        settings.data_dir,
        durable=blocking,
        file_limit=settings.storage.journal_file,
        limit=settings.storage.journal_limit,
        masters=masters_for_writing(settings.data_dir, settings.storage.seal),
        rooms=rooms_from(settings),
        spill_dir=settings.storage.spill_dir,
        ballast=ballast_from(settings),
    )
    credentials = CredentialNames(settings.data_dir)
    upstreams = upstreams_from(settings.providers, name=credentials.name, state_file=journal.directory / FILE)
    rules = rulebook_from(settings.policies, settings.profile)
    lists = ModelLists(rules, settings.providers)
    closer = ExchangeCloser(open_exchanges, journal, node=settings.node, rules=rules)
    listeners = issuers_by_listener(settings.listen)
    local_user = None if gateway else Principal(getpass.getuser(), None, None, "local")
    tunnels = TunnelGate(
        open_exchanges,
        verifier=verifier,
        hosts=HostBook(hosts_of(settings.providers), settings.hosts, known_services()),
        closer=closer,
        journal=journal,
        node=settings.node,
        listeners=listeners,
        ports=frozenset(settings.hosts.ports),
        networks=settings.hosts.addresses,
        peers=peers_by_listener(settings.listen),
        local_user=local_user,
        has_revoked=has_revoked,
    )
    destinations = Destinations(settings.providers, settings.default_provider)
    fronts = Fronts(settings.fronts, sockets=settings.websockets == "record")
    cross_origin = CrossOrigin(settings.cors.origins) if settings.cors.origins else None
    pages = None
    if sessions is not None:
        pages = FrontPages(
            fronts,
            sessions=sessions,
            lists=lists,
            closer=closer,
            destinations=destinations,
            data_dir=settings.data_dir,
        )
    gate = AccessGate(
        open_exchanges,
        verifier=verifier,
        heads=Heads(
            destinations,
            verifier,
            listeners,
            strict=gateway,
            websockets=settings.websockets == "record",
            fronts=fronts,
        ),
        tunnels=tunnels,
        rules=rules,
        lists=lists,
        router=UpstreamRouter(upstreams, own_keys_pass=not gateway, origins=settings.cors.origins),
        closer=closer,
        credentials=credentials,
        safety=safety_identifiers_from(settings.providers, settings.data_dir, strict=gateway),
        local_user=local_user,
        wait_for_disk=blocking,
        body_limit=settings.limits.body,
        pages=pages,
        cross_origin=cross_origin,
    )
    tee = StreamTee(
        open_exchanges,
        journal,
        flush_after=settings.storage.flush_after,
        flush_bytes=settings.storage.flush_bytes,
        capture_limit=settings.storage.capture_limit,
    )
    # The gate first: it puts each exchange on the books. The closer last: it takes it off.
    return Pipeline(
        tuple(one for one in (gate, pages, cross_origin, tunnels, tee, closer) if one is not None),
        LaneDoor(
            gate,
            open_exchanges,
            tee,
            journal,
            pages,
            has_revoked=has_revoked,
        ),
        journal,
        verifier,
        sessions,
        revoked,
        upstreams,
    )


def _sessions_from(settings: Settings) -> Verifier | None:
    if not settings.fronts:
        return None
    return sessions_verifier(
        settings.identity,
        [front.origin for front in settings.fronts],
        data_dir=settings.data_dir,
        profile=settings.profile,
        include_subdomains=settings.identity.include_subdomains,
    )
