"""What one entry of the settings accepts, and from where its keys come."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exchange.call import Json
from exchange.scope import Scope
from settings.issuers import FetchedIssuer
from settings.secrets import Secret

type Claims = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a verified token names, before it is asked whether they are admitted.

    `email` is the claim as it came, of whatever type. `doubt` is (code, reason) when the issuer does not vouch for
    that address; a mapped service needs none, so the doubt counts only where the address does. `names` are what
    `map` is matched against.
    """

    subject: str
    email: Json = None
    doubt: tuple[str, str] | None = None
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JwksUrl:
    """A key set at an address (RFC 7517 §5). `discover` means the address is the issuer's and names the set
    (OIDC Discovery 1.0 §4). `bearer_file` holds a token the endpoint asks for."""

    url: str
    discover: bool = False
    ca_file: Path | None = None
    bearer_file: Path | None = None


@dataclass(frozen=True, slots=True)
class JwksFile:
    """A key set in a file, read again when the file changes."""

    path: Path


@dataclass(frozen=True, slots=True)
class PemUrl:
    """One PEM per key id under this address (AWS ALB has no key set)."""

    base: str
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """An HMAC secret shared with the issuer."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The keys of our own tokens, under the data directory."""


type KeySource = JwksUrl | JwksFile | PemUrl | SharedSecret | OwnKeys


def key_source(settings: FetchedIssuer, url: str, *, discover: bool = False) -> KeySource:
    """Where the settings say the keys are, else at `url`."""
    if settings.jwks_file is not None:
        return JwksFile(settings.jwks_file)
    if settings.jwks_url is not None:
        return JwksUrl(settings.jwks_url, ca_file=settings.ca_file)
    return JwksUrl(url, discover, settings.ca_file)


def _any_head(_: Claims) -> None:
    return None


def _no_scope(_: Claims) -> Scope | None:
    return None


@dataclass(frozen=True, slots=True)
class Issuer:
    """One entry, ready to judge tokens.

    The entry is chosen by header, listener and exact `iss`; the algorithm comes from here, never from the token
    (RFC 8725 §3.1). `person`, `check_head` and `scope` raise IdentityRefused. `head_claims` are claims
    that the signed JOSE header holds in place of the payload (ALB).
    """

    name: str
    header: bytes
    algorithms: tuple[str, ...]
    issued_by: tuple[str, ...]
    audience: tuple[str, ...]
    require: tuple[str, ...]
    max_ttl_s: int
    keys: KeySource
    person: Callable[[Claims], Person]
    map: Mapping[str, str] = field(default_factory=dict)
    one_audience: bool = False
    padded: bool = False
    head_claims: tuple[str, ...] = ()
    check_head: Callable[[Claims], None] = _any_head
    key_issuer: str | None = None
    scope: Callable[[Claims], Scope | None] = _no_scope
