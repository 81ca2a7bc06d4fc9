"""Whose identities count where a connection came in."""

from collections.abc import Mapping, Sequence

from mitmproxy.connection import Client

from settings.listening import Listener

type IssuersByListener = Mapping[tuple[str, int], frozenset[str]]
"""By host and port of the listener. Two may share a port, each with an address of its own, so the port alone says
nothing. One that is not here takes everybody's word."""


def issuers_by_listener(listen: Sequence[Listener]) -> IssuersByListener:
    """What the settings say of each listener that names issuers."""
    return {(one.address.host, one.address.port): frozenset(one.issuers) for one in listen if one.issuers is not None}


def peers_by_listener(listen: Sequence[Listener]) -> Mapping[tuple[str, int], str]:
    """Who calls at each WireGuard listener: whoever holds the key that it takes. E-mail addresses."""
    return {(one.address.host, one.address.port): one.peer.email for one in listen if one.peer is not None}


def issuers_at(client: Client, listeners: IssuersByListener) -> frozenset[str] | None:
    """The names of those who count for this connection; None: everybody. It is its listener that is asked for, not its
    own address: of one that listens everywhere the two are not the same."""
    return listeners.get(listener_of(client))


def listener_of(client: Client) -> tuple[str, int]:
    mode = client.proxy_mode
    return (mode.custom_listen_host or "").strip("[]"), mode.custom_listen_port or 0
