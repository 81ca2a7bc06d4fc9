"""Is the authority fit for what the settings ask of it? Looked at before anything is started."""

import datetime
from collections.abc import Iterable

from certificates.authority import Authority, UnusableAuthority, covers, days_left, make_authority
from certificates.folder import AuthorityFolder
from settings.schema import Settings

WARN_DAYS = 30
"""From so many days before its end on an authority is spoken of."""


def needs_authority(settings: Settings) -> bool:
    """Does a listener open connections that are meant for others?"""
    return bool(settings.capture) or any(listener.mode != "reverse" for listener in settings.listen)


def opened_hosts(settings: Settings) -> tuple[str, ...]:
    """The providers' hosts: whose connections are opened, and for which certificates are made."""
    return tuple(dict.fromkeys(host for provider in settings.providers.values() for host in provider.known_by))


def authority_problems(settings: Settings, now: datetime.datetime) -> list[str]:
    """What keeps the authority from doing what the settings ask of it, each with the remedy. Changes nothing.

    On a laptop a missing one is no problem: it is made at the start. In a gateway a new one that nobody trusts would
    break every client, so it is made by hand.
    """
    if not needs_authority(settings):
        return []
    folder = AuthorityFolder(settings.data_dir)
    try:
        current = folder.current()
        due = (at := folder.switch_at()) is not None and at <= now
        signing = (folder.next() if due else None) or current
    except UnusableAuthority as unusable:
        return [str(unusable)]
    if signing is None:
        if settings.profile == "local":
            return []
        return [f"there is no CA in {folder.path}, which the forward modes sign with. Make one: sekisho ca init"]
    certificate = signing.certificate
    if days_left(certificate, now) <= 0:
        return [f"the CA in {folder.signing} expired on {certificate.not_valid_after_utc:%Y-%m-%d}. {_REPLACED}"]
    uncovered = _uncovered(signing, opened_hosts(settings))
    return [f"the CA in {folder.signing} may not sign for {', '.join(uncovered)}. {_REPLACED}"] if uncovered else []


_REPLACED = (
    "Make a new one (sekisho ca rotate), make it known to the clients, and switch to it (sekisho ca rotate --switch)"
)


def authority_warnings(settings: Settings, now: datetime.datetime) -> list[str]:
    """What will be a problem soon, for the log."""
    if not needs_authority(settings):
        return []
    current = AuthorityFolder(settings.data_dir).current()
    if current is None or (left := days_left(current.certificate, now)) > WARN_DAYS:
        return []
    day = f"{current.certificate.not_valid_after_utc:%Y-%m-%d}"
    return [f"The CA that signs for the forward modes expires in {left:.0f} days, on {day}. {_REPLACED}."]


def kept_authority(settings: Settings, now: datetime.datetime) -> Authority:
    """The authority that signs, after a switch that is due, made for the providers' hosts where there is none.

    Raises:
        UnusableAuthority: it is there and cannot be used.
        OSError: it cannot be written.
    """
    folder = AuthorityFolder(settings.data_dir)
    at = folder.switch_at()
    if at is not None and at <= now and folder.next() is not None:
        folder.switch()
    current = folder.current()
    return current or folder.keep_first(make_authority(opened_hosts(settings), node=settings.node, now=now))


def _uncovered(authority: Authority, hosts: Iterable[str]) -> list[str]:
    return [host for host in hosts if not covers(authority.certificate, host)]
