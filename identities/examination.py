"""Why one request would pass the gate or not: for people, with the keys fetched as the gate fetches them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from identities.certificate import Authority, proof_from
from identities.entries import Entries
from identities.explain import Check, before_the_key, named, of_the_key, with_the_key
from identities.fetching import DEADLINE_S
from identities.issuer import Issuer
from identities.key_files import FileKeys
from identities.keys import FetchedKeys, Keys, KeysUnavailable
from identities.presented import Presented, doors_of
from identities.refusal import IdentityRefused
from identities.remembered import Identified
from identities.revoked import Revocation
from identities.token import Unverified, take_apart
from identities.verifier import verifier_of


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows of an identity: header fields as they came, and the client certificate's chain in DER.
    `key_header` is the called API's own, lower-case; `issuers` those who count where it came in (None: all)."""

    fields: Sequence[tuple[bytes, bytes]]
    key_header: bytes
    client_chain: Sequence[bytes] = ()
    issuers: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """How far each entry of the settings went with it, and what the gate would say: one of the last two is None."""

    checks: tuple[Check, ...]
    identified: Identified | None
    refused: IdentityRefused | None


async def examine(shown: Shown, entries: Entries, now: float, *, revoked: Sequence[Revocation] = ()) -> Examination:
    """Fetches keys for as long as the gate would try, verifies, and stops. `now` is Unix time in seconds."""
    verifier = verifier_of(entries)
    verifier.revoke_listed(revoked)
    await verifier.start()
    try:
        checks = await _checks(shown, entries, now)
        try:
            found = await verifier.identify(
                shown.fields,
                key_header=shown.key_header,
                issuers=shown.issuers,
                client_chain=shown.client_chain,
                now=now,
            )
        except IdentityRefused as refused:
            return Examination(tuple(checks), None, refused)
        return Examination(tuple(checks), found, None)
    finally:
        await verifier.stop()


async def _checks(shown: Shown, entries: Entries, now: float) -> list[Check]:
    checks: list[Check] = []
    counting = [(issuer, keys) for issuer, keys in entries.issuers if _counts(issuer.name, shown)]
    try:
        presented = doors_of([issuer for issuer, _ in counting]).presented(shown.fields, shown.key_header)
    except IdentityRefused as refused:
        return [Check(None, refused.code, False, refused.reason)]
    apart: list[tuple[Presented, Unverified]] = []
    for one in presented:
        header = one.header.decode("ascii", "replace")
        try:
            apart.append((one, take_apart(one.token)))
            checks.append(Check(None, "shape", True, f"a token came in {header}"))
        except IdentityRefused as refused:
            checks.append(Check(None, "shape", False, f"what came in {header}: {refused.reason}"))
    for issuer, keys in counting:
        with_it = [token for one, token in apart if issuer in one.issuers]
        if not with_it:
            checks.append(Check(issuer.name, "header", False, f"no token came in {issuer.header.decode()}"))
        for token in with_it:
            checks += await _with_token(issuer, keys, token, entries, now)
    for authority in entries.authorities:
        if _counts(authority.name, shown):
            checks.append(_with_certificate(authority, shown.client_chain, entries, now))
    every_name = [issuer.name for issuer, _ in entries.issuers] + [one.name for one in entries.authorities]
    return checks + [
        Check(name, "listener", False, "does not count on this listener")
        for name in every_name
        if not _counts(name, shown)
    ]


def _counts(name: str, shown: Shown) -> bool:
    return shown.issuers is None or name in shown.issuers


async def _with_token(issuer: Issuer, keys: Keys, token: Unverified, entries: Entries, now: float) -> list[Check]:
    checks = before_the_key(issuer, token)
    if not checks[-1].passed:
        return checks
    failure = None
    if isinstance(keys, FetchedKeys):
        await asyncio.wait({keys.refresh()}, timeout=DEADLINE_S + 1)
        failure = keys.failure
    try:
        key = await keys.find(token.kid)
    except KeysUnavailable:
        why = failure or ("the file cannot be read" if isinstance(keys, FileKeys) else "they do not come")
        return [*checks, Check(issuer.name, "key", False, f"no keys can be had: {why}")]
    if failure is not None:
        stale = f"the keys cannot be fetched now ({failure}); those kept from the last time serve on"
        checks.append(Check(issuer.name, "keys", None, stale))
    checks.append(of_the_key(issuer, token, key))
    if key is None:
        return checks
    return [*checks, with_the_key(issuer, token, key, entries.admission, now, entries.skew)]


def _with_certificate(authority: Authority, chain: Sequence[bytes], entries: Entries, now: float) -> Check:
    if not chain:
        return Check(authority.name, "certificate", False, "no client certificate came")
    try:
        proof = proof_from(chain, authority, entries.admission, now)
    except IdentityRefused as refused:
        return Check(authority.name, refused.code, False, refused.reason)
    return Check(authority.name, "certificate", True, f"passes as {named(proof)}")
