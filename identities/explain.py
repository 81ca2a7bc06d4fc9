"""Why a token would pass, or not: for people, offline, with the keys that are at hand on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from identities.domain import Admission
from identities.entries import IdentitySettings, admission_from, kept_path
from identities.issuer import Issuer, JwksFile, JwksUrl, KeySource, OwnKeys, SharedSecret
from identities.issuers import issuer_from
from identities.jwk import Key, KeyRules, NoKeys, keys_of
from identities.own_token import public_keys_path
from identities.presented import token_in
from identities.refusal import IdentityRefused
from identities.token import Proof, Unverified, check_head, judge, principal_from, take_apart
from settings.issuers import Mtls, SourceNetwork


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `issuer` is the settings entry's name, None for the token as such.
    `passed` is None where it could not be looked at offline. `said` is for people, without any part of a signature."""

    issuer: str | None
    name: str
    passed: bool | None
    said: str


def explain(
    token: str,
    identity: IdentitySettings,
    data_dir: Path,
    now: float,
    *,
    profile: str = "gateway",
    include_subdomains: bool = False,
) -> list[Check]:
    """Every entry of the settings, and how far this token gets with it. Nothing is fetched.

    `token` may have `Bearer ` before it. `now` is Unix time in seconds, `profile` that of the settings.
    """
    raw = token.strip().encode("utf-8", "replace")
    raw = token_in(b"", raw)
    try:
        apart = take_apart(raw)
    except IdentityRefused as refused:
        return [Check(None, "shape", False, refused.reason)]
    checks = [Check(None, "shape", True, f"alg {_shown(apart.head, 'alg')}, kid {_shown(apart.head, 'kid')}")]
    admission = admission_from(identity, profile, include_subdomains)
    for settings in identity.issuers:
        if isinstance(settings, Mtls):
            checks.append(Check(settings.name, "kind", False, "takes a client certificate, no token"))
            continue
        if isinstance(settings, SourceNetwork):
            checks.append(Check(settings.name, "kind", False, "takes the address a connection comes from, no token"))
            continue
        try:
            issuer = issuer_from(settings)
            checks += _with(issuer, apart, admission, data_dir, now, identity.clock_skew)
        except ValueError as problem:
            checks.append(Check(settings.name, "settings", False, str(problem)))
    return checks


def _with(
    issuer: Issuer, token: Unverified, admission: Admission, data_dir: Path, now: float, skew: float
) -> list[Check]:
    checks = before_the_key(issuer, token)
    if not checks[-1].passed:
        return checks
    keys = _at_hand(issuer.keys, KeyRules(issuer.algorithms, issuer.key_issuer), issuer.name, data_dir)
    key = _one(keys, token.kid)
    if keys is None:
        no_keys = "no keys of this issuer are on this machine yet; serve fetches them"
        checks.append(Check(issuer.name, "key", None, no_keys))
    else:
        checks.append(of_the_key(issuer, token, key))
        if key is None:
            return checks
    return [*checks, with_the_key(issuer, token, key, admission, now, skew)]


def before_the_key(issuer: Issuer, token: Unverified) -> list[Check]:
    """Whether the token says it is this issuer's, and looks like it. The last check says whether to go on."""
    iss = token.claims.get("iss", token.head.get("iss"))
    if iss not in issuer.issued_by:
        said = f"iss is {_shown({'iss': iss}, 'iss')}, not {' or '.join(issuer.issued_by)}"
        return [Check(issuer.name, "issuer", False, said)]
    found = Check(issuer.name, "issuer", True, f"iss is {iss}")
    try:
        check_head(token, issuer)
    except IdentityRefused as refused:
        return [found, Check(issuer.name, "header", False, refused.reason)]
    return [found, Check(issuer.name, "header", True, "algorithm and type are this issuer's")]


def of_the_key(issuer: Issuer, token: Unverified, key: Key | None) -> Check:
    """Whether the issuer has the key that the token names."""
    if key is None:
        return Check(issuer.name, "key", False, f"no key has the id {_shown(token.head, 'kid')}")
    return Check(issuer.name, "key", True, "the key is known")


def with_the_key(
    issuer: Issuer, token: Unverified, key: Key | None, admission: Admission, now: float, skew: float
) -> Check:
    """Whether the token passes; without a key, whether it would if its signature is good."""
    try:
        if key is None:
            proof = judge(token.claims, issuer, admission, now, skew)
        else:
            proof = principal_from(token, key, issuer, admission, now, skew)
    except IdentityRefused as refused:
        return Check(issuer.name, refused.code, False, refused.reason)
    if key is None:
        return Check(issuer.name, "claims", None, f"would pass as {named(proof)} if the signature is good")
    return Check(issuer.name, "claims", True, f"passes as {named(proof)}")


def named(proof: Proof) -> str:
    """Whom a proof is of, for people."""
    who = proof.principal
    return who.email or f"{who.subject} ({who.domain})"


def _one(keys: Mapping[str, Key] | None, kid: str | None) -> Key | None:
    if not keys:
        return None
    return next(iter(keys.values())) if kid is None and len(keys) == 1 else keys.get(kid or "")


def _at_hand(source: KeySource, rules: KeyRules, name: str, data_dir: Path) -> Mapping[str, Key] | None:
    """The keys on this machine; None when there are none to be had offline."""
    if isinstance(source, SharedSecret):
        secret = Key(source.secret.read().encode(), frozenset({"HS256"}))
        return {"": secret}
    path: Path | None = None
    if isinstance(source, OwnKeys):
        path = public_keys_path(data_dir)
    elif isinstance(source, JwksFile):
        path = source.path
    elif isinstance(source, JwksUrl):
        path = kept_path(data_dir, name)
    if path is None:
        return None
    try:
        return keys_of(path.read_bytes(), rules)[0]
    except (OSError, NoKeys):
        return None


def _shown(head: Mapping[str, object], name: str) -> str:
    found = head.get(name)
    return repr(found)[:200] if found is not None else "missing"
