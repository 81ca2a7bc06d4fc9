"""The settings' part `identity`, made ready: issuers with their keys, authorities, and whom they may let in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from identities.certificate import Authority
from identities.domain import Admission
from identities.issuer import Issuer, JwksFile, JwksUrl, KeySource, PemUrl, SharedSecret
from identities.issuers import issuer_from, mtls
from identities.jwk import KeyRules
from identities.key_files import FileKeys, SecretKey
from identities.keys import FetchedKeys, Keys
from identities.known_keys import KNOWN_PUBLIC
from identities.own_token import public_keys_path
from identities.pem_keys import PemKeys
from settings.issuers import IssuerSettings, Mtls, issuer_problems


class IdentitySettings(Protocol):
    """The part `identity` of the settings."""

    @property
    def domains(self) -> Sequence[str]: ...

    @property
    def issuers(self) -> Sequence[IssuerSettings]: ...

    @property
    def clock_skew(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Entries:
    """Who may vouch, by what, and for whom. `skew` is in seconds."""

    issuers: tuple[tuple[Issuer, Keys], ...]
    authorities: tuple[Authority, ...]
    admission: Admission
    skew: float


def entries_from(
    identity: IdentitySettings, *, data_dir: Path, profile: str, include_subdomains: bool = False, keep: bool = True
) -> Entries:
    """What these settings describe. Fetches nothing yet. Without `keep`, keys that are fetched later leave no trace
    on disk.

    Raises:
        ValueError: entries that contradict each other, a secret or a `ca_file` that cannot be used.
    """
    if said := issuer_problems(identity.issuers):
        raise ValueError("; ".join(said))
    issuers = [issuer_from(one) for one in identity.issuers if not isinstance(one, Mtls)]
    known_public = KNOWN_PUBLIC if profile == "gateway" else frozenset[str]()
    return Entries(
        tuple((issuer, _keys_from(issuer, data_dir, known_public, keep)) for issuer in issuers),
        tuple(mtls.authority(one) for one in identity.issuers if isinstance(one, Mtls)),
        admission_from(identity, profile, include_subdomains),
        identity.clock_skew,
    )


def admission_from(identity: IdentitySettings, profile: str, include_subdomains: bool) -> Admission:
    """Whom they may let in: everybody on a laptop that lists no domains."""
    everybody = profile == "local" and not identity.domains
    return Admission(frozenset(identity.domains), include_subdomains, everybody)


def kept_path(data_dir: Path, name: str) -> Path:
    """Where an issuer's last good keys are kept."""
    return data_dir / "keys" / f"jwks-{name}.json"


def _keys_from(issuer: Issuer, data_dir: Path, known_public: frozenset[str], keep: bool) -> Keys:
    rules = KeyRules(issuer.algorithms, issuer.key_issuer, known_public)
    source: KeySource = issuer.keys
    if isinstance(source, JwksUrl):
        return FetchedKeys(issuer.name, source, rules, kept_at=kept_path(data_dir, issuer.name), keep=keep)
    if isinstance(source, JwksFile):
        return FileKeys(issuer.name, source.path, rules)
    if isinstance(source, PemUrl):
        return PemKeys(issuer.name, source, issuer.algorithms)
    if isinstance(source, SharedSecret):
        return SecretKey(issuer.name, source.secret.read())
    return FileKeys(issuer.name, public_keys_path(data_dir), rules, may_be_missing=True)
