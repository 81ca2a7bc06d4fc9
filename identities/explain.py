"""Why a token would pass, or not: for people, offline, with the keys that are at hand on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from identities.domain import Admission
from identities.issuer import Issuer, JwksFile, JwksUrl, KeySource, OwnKeys, SharedSecret
from identities.issuers import issuer_from
from identities.jwk import Key, KeyRules, NoKeys, keys_of
from identities.own_token import public_keys_path
from identities.presented import token_in
from identities.refusal import IdentityRefused
from identities.token import Unverified, check_head, judge, principal_from, take_apart
from identities.verifier import IdentitySettings, kept_path


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
    everybody = profile == "local" and not identity.domains
    admission = Admission(frozenset(identity.domains), include_subdomains, everybody)
    for settings in identity.issuers:
        try:
            issuer = issuer_from(settings)
            checks += _with(issuer, apart, admission, data_dir, now, identity.clock_skew)
        except ValueError as problem:
            checks.append(Check(settings.name, "settings", False, str(problem)))
    return checks


def _with(
    issuer: Issuer, token: Unverified, admission: Admission, data_dir: Path, now: float, skew: float
) -> list[Check]:
    name = issuer.name
    iss = token.claims.get("iss", token.head.get("iss"))
    if iss not in issuer.issued_by:
        return [
            Check(name, "issuer", False, f"iss is {_shown({'iss': iss}, 'iss')}, not {' or '.join(issuer.issued_by)}")
        ]
    checks = [Check(name, "issuer", True, f"iss is {iss}")]
    try:
        check_head(token, issuer)
        checks.append(Check(name, "header", True, "algorithm and type are this issuer's"))
    except IdentityRefused as refused:
        return [*checks, Check(name, "header", False, refused.reason)]
    keys = _at_hand(issuer.keys, KeyRules(issuer.algorithms, issuer.key_issuer), name, data_dir)
    key = _one(keys, token.kid)
    if keys is None:
        checks.append(Check(name, "key", None, "no keys of this issuer are on this machine yet; serve fetches them"))
    elif key is None:
        return [*checks, Check(name, "key", False, f"no key has the id {_shown(token.head, 'kid')}")]
    else:
        checks.append(Check(name, "key", True, "the key is known"))
    try:
        if key is None:
            proof = judge(token.claims, issuer, admission, now, skew)
        else:
            proof = principal_from(token, key, issuer, admission, now, skew)
    except IdentityRefused as refused:
        return [*checks, Check(name, refused.code, False, refused.reason)]
    who = proof.principal.email or f"{proof.principal.subject} ({proof.principal.domain})"
    if key is None:
        return [*checks, Check(name, "claims", None, f"would pass as {who} if the signature is good")]
    return [*checks, Check(name, "claims", True, f"passes as {who}")]


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
