"""By which way somebody comes: by the name that people know, over https; or on this machine itself."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

from settings.console import Console
from settings.web_address import is_loopback

_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")


@dataclass(frozen=True, slots=True)
class Way:
    """`secure`: over https, as the browser sees it. `local`: asked on this machine, by a name of this machine."""

    secure: bool
    local: bool


class WrongWay(Exception):  # noqa: N818 - a page says it
    """Nobody may ask like this; the sentence is a key of the catalogue."""


class Entrance:
    """The ways in. What a proxy says of others counts only from one that the settings name, and even then it can only
    take away: nothing here is believed about who or where somebody is."""

    def __init__(self, console: Console, *, signs_in: bool) -> None:
        self._tls = console.tls is not None
        self._proxies = console.proxies
        self.origin: str | None = console.origin if signs_in else None
        url = urlsplit(console.origin)
        self._public = (url.hostname or "") if signs_in and url.scheme == "https" else None
        self._local = (
            {"127.0.0.1", "localhost", "::1", console.listen.host}
            if is_loopback(console.listen.host)
            else {
                "127.0.0.1",
                "localhost",
                "::1",
            }
        )

    def way(self, request: Request) -> Way:
        """How this request came.

        Raises:
            WrongWay: by a name of somebody else that leads here (DNS rebinding), or round the https.
        """
        host, peer = _host(request.headers), request.client.host if request.client is not None else ""
        if host == self._public:
            proto = request.headers.get("x-forwarded-proto", "https").strip().lower()
            if not self._tls and (not self._is_proxy(peer) or proto != "https"):
                raise WrongWay("Open this console at its https address.")
            return Way(secure=True, local=False)
        if host in self._local and is_loopback(peer):
            if any(name in request.headers for name in _FORWARDED):
                raise WrongWay("This console is not known by that name.")  # a proxy that hides who asks
            return Way(secure=self._tls, local=True)
        raise WrongWay("This console is not known by that name.")

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def _host(headers: Headers) -> str:
    """Host without its port (RFC 9110 §7.2)."""
    host = headers.get("host", "") if len(headers.getlist("host")) == 1 else ""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name.strip("[]").lower()
