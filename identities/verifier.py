"""Headers and a client certificate in, the caller's identity out, or why not."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from exchange.principal import Principal
from identities.certificate import Authority, fingerprint, proof_from
from identities.domain import Admission
from identities.entries import Entries, IdentitySettings, entries_from
from identities.issuer import Issuer, Person
from identities.keys import Keys, KeysUnavailable
from identities.presented import (
    AUTHORIZATION,
    KEY_HEADERS,
    PROXY_AUTHORIZATION,
    SIGNED_HEADERS,
    UNSIGNED_HEADERS,
    Doors,
    Presented,
    doors_of,
    looks_signed,
    proxy_token,
)
from identities.refusal import ForeignToken, IdentityRefused
from identities.remembered import Identified, Memory, Remembered
from identities.revoked import Revocation
from identities.source_network import Neighbours, at_address
from identities.token import EARLY, Proof, Unverified, check_head, principal_from, take_apart

log = logging.getLogger(__name__)

__all__ = ["Identified", "IdentityRefused", "IdentitySettings", "Verifier", "verifier_from"]


_TELLING = (
    "subject_not_allowed",
    "email_not_verified",
    "domain_not_allowed",
    "token_lifetime_too_long",
    "expired_token",
    "identity_keys_unavailable",
)
"""Of several entries that refuse one token or certificate, the refusal that got farthest is told."""

_CERTIFICATE = b""  # in place of a header's name: no header has this one
_EARLY_TOKENS = 5


class Verifier:
    """Exactly one accepted identity per request. `strip` names the headers (lower-case, `_` as `-`) that carry
    identities, or look as if they did, and never go upstream. `refusals` counts by code."""

    def __init__(
        self,
        issuers: Sequence[tuple[Issuer, Keys]],
        admission: Admission,
        skew: float,
        *,
        authorities: Sequence[Authority] = (),
        neighbours: Sequence[Neighbours] = (),
        remember: int = 4096,
    ) -> None:
        self._issuers = tuple(issuer for issuer, _ in issuers)
        self._authorities = tuple(authorities)
        self._neighbours = tuple(neighbours)
        self._keys = {issuer.name: keys for issuer, keys in issuers}
        self._admission = admission
        self._skew = skew
        self._everybody = doors_of(self._issuers)
        self._doors: dict[frozenset[str], Doors] = {}
        self._remembered = Remembered(remember)
        self._revoked_tokens: frozenset[str] = frozenset()
        self._revoked_people: frozenset[str] = frozenset()
        self.strip = KEY_HEADERS | SIGNED_HEADERS | UNSIGNED_HEADERS | {issuer.header for issuer in self._issuers}
        self.refusals: Counter[str] = Counter()
        self._early = 0

    def recall(
        self,
        fields: Sequence[tuple[bytes, bytes]],
        *,
        key_header: bytes | None = None,
        issuers: frozenset[str] | None = None,
        client_chain: Sequence[bytes] = (),
        now: float,
    ) -> Identified | None:
        """The identity that a token verified before still proves: look-ups only. None means ask `identify`.

        `fields` are header fields as they came, `key_header` the called API's own (lower-case), `issuers` the names
        of those who count on this listener (None: all), `client_chain` the certificates of the TLS handshake that this
        request came in by (DER, the caller's own first; none: no certificate), `now` Unix time in seconds.
        """
        carrier = self.carrier(fields, key_header=key_header, issuers=issuers)
        if carrier is None:
            return None
        return self.recall_from(carrier, issuers=issuers, client_chain=client_chain, now=now)

    def carrier(
        self, fields: Sequence[tuple[bytes, bytes]], *, key_header: bytes | None, issuers: frozenset[str] | None
    ) -> tuple[bytes, bytes] | None:
        """The one field, (lower-case name, value), in which a token can be; None for none, or several. Depends on
        nothing but its arguments, so that whoever sees the same fields again need not ask again."""
        doors = self._everybody.by_header if issuers is None else self._doors_of(issuers).by_header
        alone: bytes | None = None
        with_token: bytes = b""
        for raw_name, value in fields:
            name = raw_name.lower()
            if b"_" in name:
                name = name.replace(b"_", b"-")
            if name in doors or name == key_header:
                if alone is not None:
                    return None
                alone, with_token = name, value
        return None if alone is None else (alone, with_token)

    def recall_from(
        self,
        carrier: tuple[bytes, bytes],
        *,
        issuers: frozenset[str] | None,
        client_chain: Sequence[bytes] = (),
        now: float,
    ) -> Identified | None:
        """As `recall`, given what `carrier` said of the fields."""
        if client_chain and self._authorities_of(issuers):
            return None  # two proofs may be two people: for `identify`, which looks both up
        alone, with_token = carrier
        memory = self._remembered.get(alone, with_token)
        if memory is None or (issuers is not None and memory.issuer not in issuers):
            return None
        if not memory.holds(now):
            self._remembered.drop(alone, with_token)
            return None
        return memory.identified

    async def identify(
        self,
        fields: Sequence[tuple[bytes, bytes]],
        *,
        key_header: bytes | None = None,
        issuers: frozenset[str] | None = None,
        client_chain: Sequence[bytes] = (),
        now: float,
    ) -> Identified:
        """Who calls, by full verification. Arguments as for `recall`. A certificate where no issuer of kind `mtls`
        counts is not looked at; where one does, it must hold, whatever else came.

        Raises:
            IdentityRefused: with the code the caller is told and the reason for the record.
        """
        try:
            found = await self._identify(fields, key_header, issuers, client_chain, now)
        except IdentityRefused as refused:
            self.refusals[refused.code] += 1
            if refused.reason.endswith(EARLY):
                self._early += 1
                if self._early == _EARLY_TOKENS:
                    log.warning(
                        "The last %d tokens that were truly signed were made in our future. Set this machine's clock.",
                        _EARLY_TOKENS,
                    )
            raise
        self._early = 0
        return found

    async def _identify(
        self,
        fields: Sequence[tuple[bytes, bytes]],
        key_header: bytes | None,
        issuers: frozenset[str] | None,
        client_chain: Sequence[bytes],
        now: float,
    ) -> Identified:
        doors = self._everybody if issuers is None else self._doors_of(issuers)
        presented = doors.presented(fields, key_header)
        accepted: list[Identified] = []
        foreign = False
        for one in presented:
            found = await self._one(one, issuers, now)
            if found is None:
                foreign = True
            else:
                accepted.append(found)
        if client_chain and self._authorities_of(issuers):
            accepted.append(self.certificate(client_chain, issuers=issuers, now=now))
        if not accepted:
            if foreign:
                raise ForeignToken("invalid_token", "the token is of no issuer that is accepted here")
            raise IdentityRefused("missing_identity", "no header with a token, and no client certificate that counts")
        first = accepted[0]
        if any(not same_person(first.principal, other.principal) for other in accepted):
            raise IdentityRefused("conflicting_identity", "two proofs are of two different people")
        if len(accepted) == 1:
            return first
        scopes = {one.scope for one in accepted if one.scope is not None}
        if len(scopes) > 1:
            raise IdentityRefused("conflicting_identity", "two tokens are for two different things")
        return Identified(
            first.principal,
            first.header,
            min(one.expires_at for one in accepted),
            tuple(one.header for one in accepted if one.header),
            next(iter(scopes), None),
            tuple(number for one in accepted for number in one.numbers),
        )

    async def of_proxy(
        self,
        fields: Sequence[tuple[bytes, bytes]],
        *,
        issuers: frozenset[str] | None = None,
        now: float,
    ) -> Identified | None:
        """Whom `Proxy-Authorization` proves to a forward proxy (RFC 9110 §11.7.2): `Bearer TOKEN`, or `Basic` with the
        token as its password, whoever its user is. Issuers whose tokens ride in `Authorization` count here. None when
        the field is not there. A look-up where the token was verified before. Arguments as for `recall`.

        Raises:
            IdentityRefused: duplicate_header, invalid_token, or as `identify`.
        """
        shown = [value for name, value in fields if name.lower() == PROXY_AUTHORIZATION]
        if not shown:
            return None
        try:
            if len(shown) > 1:
                raise IdentityRefused("duplicate_header", "proxy-authorization came twice")
            doors = self._everybody if issuers is None else self._doors_of(issuers)
            token = proxy_token(shown[0])
            if not looks_signed(token):
                raise IdentityRefused("invalid_token", "no token in proxy-authorization")
            riders = doors.by_header.get(AUTHORIZATION, ()) + doors.by_header.get(PROXY_AUTHORIZATION, ())
            one = Presented(PROXY_AUTHORIZATION, b"Bearer " + token, token, riders)
            found = await self._one(one, issuers, now)
            assert found is not None  # only in a key's header a token may be nobody's
        except IdentityRefused as refused:
            self.refusals[refused.code] += 1
            raise
        return found

    def certificate(
        self, der_chain: Sequence[bytes], *, issuers: frozenset[str] | None = None, now: float
    ) -> Identified:
        """Whom a client certificate proves: a look-up where it was verified before, about 0.3 ms of work else.

        `der_chain` is what the TLS layer got, in DER, the caller's own certificate first. That the caller holds its
        key is the handshake's to prove. The rest as for `recall`.

        Raises:
            IdentityRefused: missing_identity (no certificate, or nobody here takes any), or as
                identities.certificate.proof_from.
        """
        authorities = self._authorities_of(issuers)
        if not der_chain or not authorities:
            raise IdentityRefused("missing_identity", "no client certificate that counts here")
        # What was remembered is that the leaf is good; the rest of a chain can only add ways to show it.
        seen_as = fingerprint(der_chain[0])
        memory = self._remembered.get(_CERTIFICATE, seen_as)
        if memory is not None and memory.holds(now) and (issuers is None or memory.issuer in issuers):
            return memory.identified
        refusals: list[IdentityRefused] = []
        for authority in authorities:
            try:
                proof = proof_from(der_chain, authority, self._admission, now)
                self._check_revoked(proof)
            except IdentityRefused as refused:
                refusals.append(refused)
                continue
            identified = Identified(proof.principal, _CERTIFICATE, proof.expires_at, numbers=_numbers(proof))
            memory = Memory(identified, authority.name, proof.token_id, authority, authority.generation)
            self._remembered.put(_CERTIFICATE, seen_as, memory)
            return identified
        raise max(refusals, key=_telling)

    def peer(self, email: str) -> Identified:
        """Whom the key of a WireGuard tunnel proves, of which the settings say that it is this address's.

        Raises:
            IdentityRefused: domain_not_allowed, or the person is revoked.
        """
        return self._by_settings(email, "wireguard", "of this WireGuard key")

    def neighbour(self, address: str, *, issuers: frozenset[str] | None) -> Identified | None:
        """Who is at this address, by the entries of kind `source_network` that a listener names; None: nobody. Weak:
        to be asked only of a caller who shows no proof at all.

        Raises:
            IdentityRefused: domain_not_allowed, or the person is revoked.
        """
        found = at_address(self._neighbours, address, issuers)
        return self._by_settings(*found, "at this address") if found is not None else None

    def _by_settings(self, email: str, issuer: str, which: str) -> Identified:
        principal = self._admission.principal(Person(email, email), {}, issuer)
        if self.is_revoked(principal):
            raise IdentityRefused("invalid_token", f"the person {which} is revoked")
        return Identified(principal, _CERTIFICATE, math.inf)

    def _authorities_of(self, names: frozenset[str] | None) -> tuple[Authority, ...]:
        if names is None or not self._authorities:
            return self._authorities
        return tuple(one for one in self._authorities if one.name in names)

    async def _one(self, one: Presented, names: frozenset[str] | None, now: float) -> Identified | None:
        """The identity of one token; None when it is of no issuer that rides in this header."""
        memory = self._remembered.get(one.header, one.value)
        if memory is not None and memory.holds(now) and (names is None or memory.issuer in names):
            return memory.identified
        token = take_apart(one.token)
        # The claimed issuer only narrows down whom to ask; each then demands its own `iss` exactly.
        claimed = (token.claims.get("iss"), token.head.get("iss"))
        candidates = [issuer for issuer in one.issuers if any(iss in issuer.issued_by for iss in claimed)]
        if not candidates:
            if one.header in KEY_HEADERS:
                return None
            raise IdentityRefused("invalid_token", "the token is of no issuer that is accepted in this header")
        refusals: list[IdentityRefused] = []
        for issuer in candidates:
            try:
                return await self._verified(one, token, issuer, now)
            except IdentityRefused as refused:
                refusals.append(refused)
        raise max(refusals, key=_telling)

    async def _verified(self, one: Presented, token: Unverified, issuer: Issuer, now: float) -> Identified:
        check_head(token, issuer)
        keys = self._keys[issuer.name]
        try:
            key = await keys.find(token.kid)
        except KeysUnavailable:
            raise IdentityRefused("identity_keys_unavailable", f"no keys of issuer {issuer.name} yet") from None
        if key is None:
            raise IdentityRefused("invalid_token", f"issuer {issuer.name} has no key of this id")
        generation = keys.generation
        proof = principal_from(token, key, issuer, self._admission, now, self._skew)
        self._check_revoked(proof)
        identified = Identified(
            proof.principal, one.header, proof.expires_at, (one.header,), proof.scope, _numbers(proof)
        )
        self._remembered.put(one.header, one.value, Memory(identified, issuer.name, proof.token_id, keys, generation))
        return identified

    def _check_revoked(self, proof: Proof) -> None:
        if proof.token_id in self._revoked_tokens or _is_one_of(self._revoked_people, proof.principal):
            raise IdentityRefused("invalid_token", "the token or its person is revoked")

    def revoke(self, *, tokens: frozenset[str] = frozenset(), people: frozenset[str] = frozenset()) -> None:
        """From now on these tokens (by `jti`; certificates by their SHA-256 in hex) and people (by subject or e-mail
        address) are refused; replaces what was said before."""
        self._revoked_tokens, self._revoked_people = tokens, people
        self._remembered.forget(
            lambda known: known.token_id in tokens or _is_one_of(people, known.identified.principal)
        )

    def is_revoked(self, principal: Principal) -> bool:
        """Is this person refused from now on, whatever they proved before?"""
        return _is_one_of(self._revoked_people, principal)

    def has_revoked(self, known: Identified) -> bool:
        """Is what proved this person, or the person, refused from now on?"""
        return not self._revoked_tokens.isdisjoint(known.numbers) or self.is_revoked(known.principal)

    def revoke_listed(self, listed: Sequence[Revocation]) -> None:
        """As `revoke`, these."""
        self.revoke(
            tokens=frozenset(one.value for one in listed if one.kind == "token"),
            people=frozenset(one.value for one in listed if one.kind == "person"),
        )

    def _doors_of(self, names: frozenset[str]) -> Doors:
        known = self._doors.get(names)
        if known is None:
            known = self._doors[names] = doors_of([issuer for issuer in self._issuers if issuer.name in names])
        return known

    @property
    def key_states(self) -> dict[str, str]:
        """For people and probes: issuer → ready, stale or cold."""
        return {name: keys.state for name, keys in self._keys.items()} | {
            one.name: "ready" for one in self._authorities
        }

    @property
    def clock_skew_suspected(self) -> bool:
        """Have all recent tokens that were truly signed been made in our future? Then it is our clock."""
        return self._early >= _EARLY_TOKENS

    async def start(self) -> None:
        """Begins to fetch keys; returns without waiting for any network. An issuer whose keys have not come yet
        answers 503 `identity_keys_unavailable`."""
        await asyncio.gather(*(keys.start() for keys in self._keys.values()))

    async def stop(self) -> None:
        """Ends all background work."""
        await asyncio.gather(*(keys.stop() for keys in self._keys.values()))


def _numbers(proof: Proof) -> tuple[str, ...]:
    return () if proof.token_id is None else (proof.token_id,)


def _is_one_of(people: frozenset[str], one: Principal) -> bool:
    # An address is revoked in small letters, whatever claim it is in.
    return one.subject in people or one.email in people or ("@" in one.subject and one.subject.lower() in people)


def same_person(one: Principal, other: Principal) -> bool:
    """Are these the same person, whoever vouches for them?"""
    if one.email is not None and other.email is not None:
        return one.email == other.email
    return (one.issuer, one.subject) == (other.issuer, other.subject)


def _telling(refused: IdentityRefused) -> int:
    return len(_TELLING) - _TELLING.index(refused.code) if refused.code in _TELLING else 0


def verifier_from(
    identity: IdentitySettings, *, data_dir: Path, profile: str, include_subdomains: bool = False
) -> Verifier:
    """The verifier that these settings describe. Fetches nothing yet: see `start`.

    Raises:
        UnusableEntries: entries that contradict each other, a secret or a `ca_file` that cannot be used.
    """
    return verifier_of(
        entries_from(identity, data_dir=data_dir, profile=profile, include_subdomains=include_subdomains)
    )


def verifier_of(entries: Entries) -> Verifier:
    """The verifier for these entries."""
    return Verifier(
        entries.issuers,
        entries.admission,
        entries.skew,
        authorities=entries.authorities,
        neighbours=entries.neighbours,
    )
