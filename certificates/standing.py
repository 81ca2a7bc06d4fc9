"""What there is to say about an instance's authorities, for people and programs."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509

from certificates.authority import days_left, fingerprint, hosts_of
from certificates.folder import AuthorityFolder


@dataclass(frozen=True, slots=True)
class AuthorityState:
    """One authority, by its root. `hosts` null: any. `switch_at`: when a next one begins, if a day was named."""

    role: Literal["signing", "next", "former"]
    subject: str
    sha256: str
    hosts: tuple[str, ...] | None
    expires_at: datetime.datetime
    days_left: float
    switch_at: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class AuthorityStanding:
    """All of an instance's authorities; `trusted` is the file with the certificates clients are to trust."""

    trusted: str
    authorities: list[AuthorityState]


def standing_of(data_dir: Path, now: datetime.datetime) -> AuthorityStanding:
    """Look, and change nothing.

    Raises:
        UnusableAuthority: one is there and cannot be used.
    """
    folder = AuthorityFolder(data_dir)
    found = []
    if (current := folder.current()) is not None:
        found.append(_state("signing", current.root, now, hosts_of(current.certificate)))
    if (following := folder.next()) is not None:
        found.append(_state("next", following.root, now, hosts_of(following.certificate), folder.switch_at()))
    found += [_state("former", each, now, hosts_of(each)) for each in folder.former()]
    return AuthorityStanding(str(folder.trusted.absolute()), found)


def _state(
    role: Literal["signing", "next", "former"],
    certificate: x509.Certificate,
    now: datetime.datetime,
    hosts: tuple[str, ...] | None,
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
    )
