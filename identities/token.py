"""A token becomes a principal in one step, or it does not.

RFC 7515/7519 by PyJWT; what it accepts and we do not is refused here, before it (measured on PyJWT 2.15): no limit
of size, UTF-16 and duplicate members in the payload, times that are strings, any lifetime, header parameters that
point at keys, padding.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt

from exchange.call import Json
from exchange.principal import Principal
from exchange.scope import Scope
from identities.claims import json_object, text
from identities.domain import Admission
from identities.issuer import Claims, Issuer
from identities.jwk import Key
from identities.refusal import IdentityRefused

LONGEST = 8192
"""The longest token that is looked at, in bytes: before any parsing, since every caller may send one."""

EARLY = "lies in the future; is a clock wrong?"

_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_PADDED = re.compile(rb"[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]+={0,2}")
_KEY_POINTERS = frozenset({"jku", "x5u", "jwk", "x5c", "crit", "b64", "zip"})
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})
_IN_WORDS = {
    # Not PyJWT's own message, which may quote the token.
    "InvalidSignatureError": "the signature does not fit the key",
    "InvalidAudienceError": "aud is not this entry's audience",
    "InvalidIssuerError": "iss is not this entry's issuer",
    "MissingRequiredClaimError": "a required claim is missing",
    "InvalidKeyError": "the key is too short",
    "DecodeError": "a part is not canonical base64url",
}
_LATEST = 4_000_000_000.0  # the year 2096; what lies beyond is no honest time


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token taken apart and not yet believed: only `kid` and `iss` may be looked at, to choose whom to ask."""

    raw: str
    padded: bool
    head: Mapping[str, Json]
    claims: Mapping[str, Json]

    @property
    def kid(self) -> str | None:
        found = self.head.get("kid")
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verified token proves, until when (`exp` and the allowed skew), its number if it has one, and what it may
    be used for where that is not everything."""

    principal: Principal
    expires_at: float
    token_id: str | None
    scope: Scope | None = None


def take_apart(token: bytes) -> Unverified:
    """The token's header and payload as JSON objects.

    Raises:
        IdentityRefused: invalid_token. Nothing was fetched or opened for it.
    """
    if not 20 < len(token) <= LONGEST:
        raise _invalid("the token is too long or too short")
    padded = b"=" in token
    if (_PADDED if padded else _COMPACT).fullmatch(token) is None:
        raise _invalid("the token is not three base64url parts")
    head_part, payload_part, _ = token.split(b".")
    head = _part(head_part)
    claims = _part(payload_part)
    if head is None or claims is None:
        raise _invalid("header or payload is not a JSON object in UTF-8 with each member once")
    kid = head.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= 512 and kid.isprintable()):
        raise _invalid("kid is not a short string")
    return Unverified(token.decode("ascii"), padded, head, claims)


def _part(raw: bytes) -> dict[str, Json] | None:
    bare = raw.rstrip(b"=")
    if len(bare) % 4 == 1:
        return None
    return json_object(base64.urlsafe_b64decode(bare + b"=" * (-len(bare) % 4)))


def check_head(token: Unverified, issuer: Issuer) -> None:
    """Is the JOSE header one this issuer writes? Before any key is looked for.

    Raises:
        IdentityRefused: invalid_token.
    """
    head = token.head
    if head.get("alg") not in issuer.algorithms:
        raise _invalid("the algorithm is not this issuer's")
    if pointers := sorted(_KEY_POINTERS & head.keys()):
        raise _invalid(f"the header has {', '.join(pointers)}")
    kind = head.get("typ")
    if kind is not None and not (isinstance(kind, str) and kind.lower() in _TYPES):
        raise _invalid("typ is not that of an identity token")
    if token.padded and not issuer.padded:
        raise _invalid("the token is padded")
    if "events" in token.claims:  # RFC 8417 §2.2: a security event (a logout, say), which nobody may log in with
        raise _invalid("this is a security event token")
    issuer.check_head(head)


def principal_from(token: Unverified, key: Key, issuer: Issuer, admission: Admission, now: float, skew: float) -> Proof:
    """Signature, audience, issuer, times, lifetime, person, domain: all of it or a refusal.

    `now` is Unix time in seconds. `check_head` comes first.

    Raises:
        IdentityRefused: invalid_token, expired_token, token_lifetime_too_long, email_not_verified,
            domain_not_allowed, subject_not_allowed.
    """
    alg = token.head["alg"]
    if alg not in key.algorithms:
        raise _invalid("the key is not for this algorithm")
    return judge(_signed(token, key, str(alg), issuer), issuer, admission, now, skew)


def judge(claims: Claims, issuer: Issuer, admission: Admission, now: float, skew: float) -> Proof:
    """What these claims prove, if their signature is good: times, lifetime, person, domain.

    Raises:
        IdentityRefused: as principal_from.
    """
    expires_at = _check_times(claims, issuer, now, skew)
    principal = admission.principal(issuer.person(claims), issuer.map, issuer.name)
    return Proof(principal, expires_at + skew, text(claims, "jti"), issuer.scope(claims))


def _signed(token: Unverified, key: Key, alg: str, issuer: Issuer) -> Claims:
    try:
        claims: dict[str, Json] = jwt.decode(
            token.raw,
            key.material,
            algorithms=[alg],
            audience=_audience(issuer),
            issuer=issuer.issued_by if not issuer.head_claims else None,
            options=_options(issuer.require, issuer.one_audience, bool(issuer.audience)),
        )
    except (jwt.PyJWTError, ValueError, TypeError) as problem:
        raise _invalid(_IN_WORDS.get(type(problem).__name__, type(problem).__name__)) from None
    if not issuer.head_claims:
        return claims
    return _with_head(claims, token.head, issuer)


def _audience(issuer: Issuer) -> str | list[str] | None:
    if issuer.one_audience:
        return issuer.audience[0]
    return list(issuer.audience) or None


@lru_cache(maxsize=64)
def _options(require: tuple[str, ...], one_audience: bool, has_audience: bool) -> Any:
    return {
        "require": list(require),
        "strict_aud": one_audience,
        "verify_aud": has_audience,
        "enforce_minimum_key_length": True,
        # Times are checked below: by the clock we are given, and as real numbers only.
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": False,
    }


def _with_head(claims: Mapping[str, Json], head: Mapping[str, Json], issuer: Issuer) -> Claims:
    """Claims of the signed header beside the payload's. Where both say something they must say the same."""
    for name in issuer.head_claims:
        if head.get(name) is None or claims.get(name, head[name]) != head[name]:
            raise _invalid(f"{name} is missing in the header, or header and payload disagree")
    found = {**claims, **{name: head[name] for name in issuer.head_claims}}
    if found.get("iss") not in issuer.issued_by:
        raise _invalid("the issuer is another")
    return found


def _check_times(claims: Claims, issuer: Issuer, now: float, skew: float) -> float:
    """RFC 7519 §4.1.4-6. Returns `exp`."""
    times: dict[str, float] = {}
    for name in ("exp", "iat", "nbf"):
        found = claims.get(name)
        if found is None and name not in claims:
            continue
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < _LATEST:
            raise _invalid(f"{name} is not a time")
        times[name] = float(found)
    if "exp" not in times:
        raise _invalid("the token never expires")
    for name in ("iat", "nbf"):
        if times.get(name, 0.0) > now + skew:
            raise _invalid(f"{name} {EARLY}")
    if times["exp"] <= now - skew:
        raise IdentityRefused("expired_token", "exp has passed")
    if times["exp"] - times.get("iat", now) > issuer.max_ttl_s:
        raise IdentityRefused("token_lifetime_too_long", f"longer than max_ttl_s ({issuer.max_ttl_s})")
    return times["exp"]


def _invalid(reason: str) -> IdentityRefused:
    return IdentityRefused("invalid_token", reason)
