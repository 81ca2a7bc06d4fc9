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
from identities.source_network import Neighbours, neighbours
from settings.issuers import IssuerSettings, Mtls, SourceNetwork, issuer_problems


class IdentitySettings(Protocol):
    """The part `identity` of the settings."""

    @property
    def domains(self) -> Sequence[str]: ...

    @property
    def issuers(self) -> Sequence[IssuerSettings]: ...

    @property
    def clock_skew(self) -> float: ...


class UnusableEntries(ValueError):  # noqa: N818 - said to a person
    """Entries of the settings that cannot be used, each in a sentence by its path in the settings."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Entries:
    """Who may vouch, by what, and for whom. `skew` is in seconds."""

    issuers: tuple[tuple[Issuer, Keys], ...]
    authorities: tuple[Authority, ...]
    admission: Admission
    skew: float
    neighbours: tuple[Neighbours, ...] = ()


def entries_from(
    identity: IdentitySettings, *, data_dir: Path, profile: str, include_subdomains: bool = False, keep: bool = True
) -> Entries:
    """What these settings describe. Fetches nothing yet. Without `keep`, keys that are fetched later leave no trace
    on disk.

    Raises:
        UnusableEntries: entries that contradict each other, a secret or a `ca_file` that cannot be used.
    """
    known_public = KNOWN_PUBLIC if profile == "gateway" else frozenset[str]()
    issuers: list[tuple[Issuer, Keys]] = []
    authorities: list[Authority] = []
    near: list[Neighbours] = []
    problems = [f"identity.issuers: {said}" for said in issuer_problems(identity.issuers)]
    for i, settings in enumerate(identity.issuers):
        try:
            if isinstance(settings, Mtls):
                authorities.append(mtls.authority(settings))
            elif isinstance(settings, SourceNetwork):
                near.append(neighbours(settings))
            else:
                issuer = issuer_from(settings)
                issuers.append((issuer, _keys_from(issuer, data_dir, known_public, keep)))
        except ValueError as problem:
            problems.append(f"identity.issuers[{i}].{problem}")
    if problems:
        raise UnusableEntries(problems)
    admission = admission_from(identity, profile, include_subdomains)
    return Entries(tuple(issuers), tuple(authorities), admission, identity.clock_skew, tuple(near))


def admission_from(identity: IdentitySettings, profile: str, include_subdomains: bool) -> Admission:
    """Whom they may let in: everybody on a laptop that lists no domains."""
    everybody = profile == "local" and not identity.domains
    return Admission(frozenset(identity.domains), include_subdomains, everybody)


def kept_path(data_dir: Path, name: str) -> Path:
    """Where an issuer's last good keys are kept."""
    return data_dir / "keys" / f"jwks-{name}.json"


def _keys_from(issuer: Issuer, data_dir: Path, known_public: frozenset[str], keep: bool) -> Keys:
    """Raises ValueError for a shared secret that cannot be used, told as what follows the entry's path."""
    rules = KeyRules(issuer.algorithms, issuer.key_issuer, known_public)
    source: KeySource = issuer.keys
    if isinstance(source, JwksUrl):
        return FetchedKeys(issuer.name, source, rules, kept_at=kept_path(data_dir, issuer.name), keep=keep)
    if isinstance(source, JwksFile):
        return FileKeys(issuer.name, source.path, rules)
    if isinstance(source, PemUrl):
        return PemKeys(issuer.name, source, issuer.algorithms)
    if isinstance(source, SharedSecret):
        try:
            return SecretKey(source.secret.read())
        except ValueError as problem:
            raise ValueError(f"secret {problem}") from None
    return FileKeys(issuer.name, public_keys_path(data_dir), rules, may_be_missing=True)
