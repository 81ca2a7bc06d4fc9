"""Who is at an address, where the settings say so (`kind: source_network`). Weak: for whoever shows no other proof."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from settings.issuers import SourceNetwork


@dataclass(frozen=True, slots=True)
class Neighbours:
    """One entry of the settings. `people`: who is at which network, by e-mail address, the narrowest first."""

    name: str
    people: tuple[tuple[IPv4Network | IPv6Network, str], ...]

    def at(self, address: str) -> str | None:
        """The e-mail address of whoever is there; None: nobody that we know. An IPv4 address within IPv6 (RFC 4291
        §2.5.5.2), as a listener on `::` tells it, is that IPv4 address."""
        try:
            found = ip_address(address)
        except ValueError:  # of a socket in the file system: no address
            return None
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return next((email for network, email in self.people if found in network), None)


def neighbours(settings: SourceNetwork) -> Neighbours:
    """What this entry says."""
    people = [(ip_network(network), email) for network, email in settings.people.items()]
    return Neighbours(settings.name, tuple(sorted(people, key=lambda one: -one[0].prefixlen)))


def is_of_a_page(fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Does a browser's page ask? Whoever's page it is, it can send from any machine that opens it, and shows nothing
    for it: a POST names its Origin (WHATWG Fetch §3.2), and Sec-Fetch-Site is `none` only where a person typed."""
    return any(
        name.lower() == b"origin" or (name.lower() == b"sec-fetch-site" and value != b"none") for name, value in fields
    )


def at_address(known: Sequence[Neighbours], address: str, names: frozenset[str] | None) -> tuple[str, str] | None:
    """(E-mail address, the entry's name) of whoever is at this address, by entries that a listener names (`names`;
    None: it names none, and none counts)."""
    for one in known:
        if names is not None and one.name in names and (email := one.at(address)) is not None:
            return email, one.name
    return None
