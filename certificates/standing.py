"""What there is to say about an instance's authorities, for people and programs."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography import x509

from certificates.authority import days_left, fingerprint, hosts_of
from certificates.folder import AuthorityFolder
from certificates.trust_stores import TrustStore


@dataclass(frozen=True, slots=True)
class AuthorityState:
    """One authority, by its root. `hosts` null: any. `switch_at`: when a next one begins, if a day was named.
    `installed_in`: the stores of this machine, of those asked, that trust it."""

    role: Literal["signing", "next", "former"]
    subject: str
    sha256: str
    hosts: tuple[str, ...] | None
    expires_at: datetime.datetime
    days_left: float
    switch_at: datetime.datetime | None = None
    installed_in: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AuthorityStanding:
    """All of an instance's authorities; `trusted` is the file with the certificates clients are to trust."""

    trusted: str
    authorities: list[AuthorityState]


def standing_of(data_dir: Path, now: datetime.datetime, stores: Iterable[TrustStore] = ()) -> AuthorityStanding:
    """Look, and change nothing. Which of `stores` have each is asked of them.

    Raises:
        UnusableAuthority: one is there and cannot be used.
    """
    folder = AuthorityFolder(data_dir)
    asked = list(stores)
    found = []
    if (current := folder.current()) is not None:
        found.append(_state("signing", current.root, now, hosts_of(current.certificate), asked))
    if (following := folder.next()) is not None:
        found.append(_state("next", following.root, now, hosts_of(following.certificate), asked, folder.switch_at()))
    found += [_state("former", each, now, hosts_of(each), asked) for each in folder.former()]
    return AuthorityStanding(str(folder.trusted.absolute()), found)


def _state(
    role: Literal["signing", "next", "former"],
    certificate: x509.Certificate,
    now: datetime.datetime,
    hosts: tuple[str, ...] | None,
    stores: list[TrustStore],
    switch_at: datetime.datetime | None = None,
) -> AuthorityState:
    return AuthorityState(
        role=role,
        subject=certificate.subject.rfc4514_string(),
        sha256=fingerprint(certificate),
        hosts=hosts,
        expires_at=certificate.not_valid_after_utc,
        days_left=round(days_left(certificate, now), 1),
        switch_at=switch_at,
        installed_in=[store.name for store in stores if store.has(certificate)],
    )
