"""What may become of a connection, by the host it asks for: pure, from the settings' table of hosts."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from settings.hosts import Hosts, Service, Unread
from settings.schema import Provider

Becomes = Literal["open", "pass", "pass-and-note", "block"]

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class HostVerdict:
    """`open`: its requests are read, as those of `provider`. Else it passes unread, or not at all. `service` is the
    LLM service whose host it is, None where nobody knows one; `rule` names what said so."""

    becomes: Becomes
    rule: str
    provider: str | None = None
    service: str | None = None


class HostBook:
    """Which hosts are read, which pass, which do not.

    Args:
        providers: name → the hosts it is known by (patterns are not allowed there).
        hosts: what happens to all others.
        services: the LLM services that are known.
    """

    def __init__(self, providers: Mapping[str, Iterable[str]], hosts: Hosts, services: Sequence[Service]) -> None:
        self._providers: dict[str, str] = {}
        for name, known_by in providers.items():
            for host in known_by:
                self._providers.setdefault(host, name)
        self._rules = [(_matcher(rule.host), rule.host, rule.then) for rule in hosts.rules]
        self._services = [(_matcher(host), each.service) for each in services for host in each.hosts]
        self._of_services: Unread = hosts.services
        self._unknown: Unread = hosts.unknown
        self._remembered: dict[str, HostVerdict] = {}

    def of(self, host: str) -> HostVerdict:
        """The verdict on a host name. Case does not matter, nor does a dot at its end (RFC 4343, RFC 1034 §3.1)."""
        name = host.lower().removesuffix(".")
        known = self._remembered.get(name)
        if known is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            known = self._remembered[name] = self._of(name)
        return known

    def _of(self, host: str) -> HostVerdict:
        service = next((name for fits, name in self._services if fits(host)), None)
        if (provider := self._providers.get(host)) is not None:
            return HostVerdict("open", f"providers/{provider}", provider, service)
        for fits, pattern, then in self._rules:
            if fits(host):
                return HostVerdict(then, f"hosts/{pattern}", None, service)
        if service is not None:
            return HostVerdict(self._of_services, "hosts.services", None, service)
        return HostVerdict(self._unknown, "hosts.unknown")


def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(".+".join(re.escape(part) for part in pattern.split("*"))).fullmatch


def hosts_of(providers: Mapping[str, Provider]) -> dict[str, tuple[str, ...]]:
    """Provider → the hosts under which callers know it."""
    return {name: provider.known_by for name, provider in providers.items()}
