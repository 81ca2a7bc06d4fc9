"""A browser's session with a front: a token of our own that lives in a cookie, and proves nothing anywhere else.

Its key, issuer and audience are others than those of own tokens: no session is a Bearer, no Bearer is a session.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exchange.call import Json
from exchange.principal import Principal
from identities.claims import subject, texts
from identities.entries import IdentitySettings, admission_from
from identities.issuer import Claims, Issuer, JwksFile, Person
from identities.jwk import KeyRules
from identities.key_files import FileKeys
from identities.signing import ALGORITHM, SigningKeys
from identities.verifier import Verifier

LIFE_S: Final = 8 * 3600
"""Seconds after which one signs in again."""

CARRIER: Final = b"sekisho-session"
"""In place of a header's name for what came in the cookie. No caller's header counts as one."""

_ISSUER: Final = "sekisho-session"
_KEYS: Final = "session"


@dataclass(frozen=True, slots=True)
class Session:
    """A new session: what goes into the cookie, its number (`jti`), and its end in Unix seconds."""

    token: str
    number: str
    expires_at: int


def session_keys(data_dir: Path) -> SigningKeys:
    """The keys that sign sessions."""
    return SigningKeys(data_dir, _KEYS)


def begin_session(data_dir: Path, who: Principal, origin: str) -> Session:
    """A session of this person with the front at this origin, from now on.

    Raises:
        ValueError, OSError: as SigningKeys.sign.
    """
    now = int(time.time())
    number = str(uuid.uuid4())
    claims: dict[str, Json] = {
        "iss": _ISSUER,
        "aud": _audience(origin),
        "sub": who.subject,
        "email": who.email,
        "groups": list(who.groups),
        "jti": number,
        "iat": now,
        "exp": now + LIFE_S,
    }
    return Session(session_keys(data_dir).sign(claims), number, now + LIFE_S)


def cookie_name(origin: str) -> bytes:
    """The cookie of a front. Over https its name keeps siblings and plain http from setting one (RFC 6265bis §4.1.3);
    browsers take such a name over https only."""
    return b"__Host-sekisho" if origin.startswith("https:") else b"sekisho-front"


def name_of(origin: str) -> str:
    """What the record names as the issuer of who came by a session: one may count at its own front alone."""
    return f"session:{origin.partition('://')[2]}"


def sessions_verifier(
    identity: IdentitySettings,
    origins: Sequence[str],
    *,
    data_dir: Path,
    profile: str,
    include_subdomains: bool = False,
) -> Verifier:
    """What verifies sessions: one issuer for each front, by `name_of`. Admission is that of every other identity."""
    rules = KeyRules((ALGORITHM,), None, frozenset())
    path = session_keys(data_dir).public_path
    return Verifier(
        [(_issuer(origin, path), FileKeys(name_of(origin), path, rules, may_be_missing=True)) for origin in origins],
        admission_from(identity, profile, include_subdomains),
        identity.clock_skew,
    )


def _audience(origin: str) -> str:
    return f"session {origin}"


def _issuer(origin: str, path: Path) -> Issuer:
    def person(claims: Claims) -> Person:
        return Person(subject(claims), claims.get("email"), groups=texts(claims, "groups"))

    return Issuer(
        name=name_of(origin),
        header=CARRIER,
        algorithms=(ALGORITHM,),
        issued_by=(_ISSUER,),
        audience=(_audience(origin),),
        require=("exp", "iat", "iss", "aud", "sub", "jti", "email"),
        max_ttl_s=LIFE_S,
        keys=JwksFile(path),
        person=person,
        one_audience=True,
    )
