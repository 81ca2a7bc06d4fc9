"""Which addresses a tunnel may lead to: pure. Asked of what a caller wrote, and again of what the name resolved to."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

type Networks = Sequence[IPv4Network | IPv6Network]

_NAT64: Final = ip_network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address
_ENDS_IN_A_NUMBER: Final = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)", re.IGNORECASE)


def written_address(host: str) -> IPv4Address | IPv6Address | str | None:
    """The address that a host is written as. None: it is a name. A string: resolvers take it for an address (127.1,
    0x7f000001: WHATWG URL, "ends in a number"), and it is none that is written properly."""
    try:
        return ip_address(host)
    except ValueError:
        return host if _ENDS_IN_A_NUMBER.fullmatch(host.rstrip(".")) else None


def address_problem(address: str, allowed: Networks) -> str | None:
    """Why nobody may be sent to this address, or None. Of the public Internet, or in a network of `allowed`, it is
    fine: not this machine, not a private or link-local network, not a metadata service (IANA's special registries)."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return f"{address} is no address"
    if any(found in network for network in allowed):
        return None
    inner = _inner(found)
    if any(inner in network for network in allowed):
        return None
    if not inner.is_global or inner.is_multicast:
        return f"{address} is not of the public Internet"
    return None


def _inner(found: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address within an IPv6 one that only carries it."""
    if isinstance(found, IPv4Address):
        return found
    if found in _NAT64:
        return IPv4Address(found.packed[12:])
    return found.ipv4_mapped or found.sixtofour or found
