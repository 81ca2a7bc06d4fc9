"""What the mitm lane asks of whoever judges connections that are not HTTP yet."""

from typing import Final, Protocol

from mitmproxy import http

from exchange.tunnel import WhyUnread
from policies.hosts import Becomes

NAME: Final = "tunnels"
"""The name under which whoever judges is among the master's addons."""


class Tunnel(Protocol):
    """A CONNECT, judged."""

    @property
    def becomes(self) -> Becomes:
        """`block` also for what was refused for any other reason."""

    @property
    def refusal(self) -> http.Response | None:
        """The answer to a CONNECT that may not pass; it is on record already."""


class Tunnels(Protocol):
    """None of these raises, none waits for disk or network but `judge`, for the keys of an issuer."""

    async def judge(self, flow: http.HTTPFlow, fault: str | None) -> Tunnel:
        """Of a flow whose request is the CONNECT: may it pass, and is it read? Who it is, too. `fault` is a code: what
        is wrong with its framing. Host and port are the request's, empty when its target is none."""

    def diverted(self, flow: http.HTTPFlow) -> Tunnel:
        """Of a connection that was meant for somebody else and brought here: may it pass, and is it read? Its host is
        the request's: the name in TLS, or the address. Who calls is for its requests to say."""

    def refuse(self, tunnel: Tunnel, code: str, reason: str) -> http.Response:
        """It may not pass after all; recorded."""

    def may_reach(self, address: str) -> bool:
        """May a connection lead to this address, that a name was resolved to?"""

    def may_be_behind(self, tunnel: Tunnel, name: str) -> bool:
        """It passes unread: may it, now that the caller asks for this name in TLS?"""

    def entered(self, tunnel: Tunnel, client_id: str) -> None:
        """What comes on the connection of this mitmproxy client came through this tunnel."""

    def left(self, client_id: str) -> None:
        """That connection is over."""

    def unread(self, tunnel: Tunnel, why: WhyUnread, *, name: str | None = None, detail: str | None = None) -> None:
        """It was seen, and is not read. `name`: what the caller asked for in TLS. A row now, and one at the end when it
        passes."""

    def is_expelled(self, tunnel: Tunnel) -> bool:
        """It passes unread: was its caller revoked meanwhile, so that it may not go on? Asked with each sweep."""

    def ended(self, tunnel: Tunnel, sent: int, received: int) -> None:
        """An unread connection is over, after so many bytes from the caller and to it."""
