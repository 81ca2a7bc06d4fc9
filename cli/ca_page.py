"""The authorities of an instance, as lines for people."""

from typing import TYPE_CHECKING

from rich.text import Text

from certificates.readiness import WARN_DAYS
from cli.terminal import visible

if TYPE_CHECKING:
    from certificates.standing import AuthorityStanding, AuthorityState

_ROLES = {"signing": "signs", "next": "will sign", "former": "signed"}


def page(standing: "AuthorityStanding") -> list[Text]:
    """A paragraph for each authority, and where the file is that clients are to trust."""
    lines = []
    for each in standing.authorities:
        lines += [
            Text(f"{_ROLES[each.role]:<10}{visible(each.subject)}", "bold" if each.role == "signing" else ""),
            Text(f"  SHA-256   {each.sha256}"),
            Text("  for       any host", "yellow") if each.hosts is None else Text(f"  for       {_hosts(each.hosts)}"),
            _expiry(each),
        ]
        if each.role != "former" or each.installed_in:
            lines.append(Text(f"  trusted   {visible(', '.join(each.installed_in)) or 'by no store of this machine'}"))
        if each.role == "next":
            when = f"on {each.switch_at:%Y-%m-%d}" if each.switch_at else "by --switch"
            lines.append(Text(f"  switch    {when}"))
    return [*lines, Text(f"to trust  {visible(standing.trusted)}")]


def _hosts(hosts: tuple[str, ...]) -> str:
    return f"{', '.join(hosts)}, with all below them" if hosts else "no host"


def _expiry(each: "AuthorityState") -> Text:
    day = f"{each.expires_at:%Y-%m-%d}"
    if each.days_left <= 0:
        return Text(f"  expired   {day}", "red")
    return Text(f"  expires   {day}, in {each.days_left:.0f} days", "yellow" if each.days_left <= WARN_DAYS else "")
