"""What every part of the settings is made of."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """A part of the settings: fixed once read, without names that nobody knows. Its errors do not repeat what was
    given, which may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _networks(given: object) -> object:
    if not isinstance(given, list | tuple):
        raise ValueError("is no list. Write it as [10.0.0.5]")  # noqa: TRY004 - pydantic's
    try:
        return tuple(ip_network(one) for one in given)
    except (ValueError, TypeError):
        raise ValueError("names what is no address. Write 10.0.0.5, or 10.0.0.0/24") from None


type Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
"""Addresses and networks, as a list."""
