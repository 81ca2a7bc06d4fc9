"""A company's proxy, as whoever wants through speaks to it: CONNECT (RFC 9110 §9.3.6, RFC 9112 §3.2.3)."""

import base64
import os
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import quote

PROXY_SAYS: Final = "The upstream proxy "
"""How every sentence of a failure begins, for those who get but the sentence."""

LARGEST_HEAD: Final = 16 << 10
"""Bytes of the head that a proxy answers with."""

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d)(?: [^\r\n]*)?(?:\r\n|$)")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


class UpstreamProxyFailed(OSError):  # noqa: N818 - says what happened
    """There is no way through the proxy; the message is a sentence with the remedy. Nothing is ever sent past it."""


@dataclass(frozen=True, slots=True)
class UpstreamProxy:
    """Where it is, and what is shown to it. `exempt` is reached without it, and so is this machine."""

    host: str
    port: int
    is_tls: bool = False
    ca_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    exempt: tuple[str, ...] = ()
    exempt_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @property
    def name(self) -> str:
        """For people and logs."""
        return f"{self.host}:{self.port}"

    def carries(self, host: str) -> bool:
        """Do connections to this host go through it?"""
        host = host.strip("[]").lower().removesuffix(".")
        try:
            address = ip_address(host)
        except ValueError:
            ours = host == "localhost" or host.endswith(".localhost")
            return not (ours or any(fnmatchcase(host, one) for one in self.exempt))
        return not (address.is_loopback or any(address in one for one in self.exempt_networks))

    def connect_head(self, host: str, port: int) -> bytes:
        """What is asked of it. Raises UpstreamProxyFailed: no host can be written like this."""
        if _is_ipv6(host):
            host = f"[{host}]"
        elif _NAME.fullmatch(host) is None or len(host) > 253:
            raise UpstreamProxyFailed(f"{PROXY_SAYS}cannot be asked for the host {host[:253]!r}.")
        lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
        if (shown := self.authorization) is not None:
            lines.append(f"Proxy-Authorization: {shown}")
        return "\r\n".join((*lines, "", "")).encode("ascii")

    @property
    def authorization(self) -> str | None:
        """RFC 7617, in UTF-8."""
        if self.user is None:
            return None
        return "Basic " + base64.b64encode(f"{self.user}:{self.password or ''}".encode()).decode("ascii")

    @property
    def url(self) -> str:
        """With what is shown to it: for libraries that connect by themselves. Never to be logged."""
        shown = f"{quote(self.user, safe='')}:{quote(self.password or '', safe='')}@" if self.user is not None else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{shown}{host}:{self.port}"

    def url_for(self, host: str) -> str | None:
        """`url` where connections to this host go through it."""
        return self.url if self.carries(host) else None

    def check(self, head: bytes, host: str, port: int) -> None:
        """Of the head of its answer, the empty line left out: is the way open?

        Raises:
            UpstreamProxyFailed: it is not.
        """
        found = _STATUS.match(head)
        if found is None:
            raise UpstreamProxyFailed(
                f"{PROXY_SAYS}{self.name} answered with something that is no HTTP. Is upstream_proxy.url right?"
            )
        status = int(found[1])
        if status == 407:
            raise UpstreamProxyFailed(
                f"{PROXY_SAYS}{self.name} does not take our credentials (407). "
                "Set upstream_proxy.user and password, or correct them."
            )
        if status >= 300:
            raise UpstreamProxyFailed(
                f"{PROXY_SAYS}{self.name} did not connect us to {host}:{port} (status {status}). "
                "Have it allow that, or name the host in upstream_proxy.no_proxy."
            )

    def away(self, problem: BaseException) -> UpstreamProxyFailed:
        """What it means when there is no connection to it, or none any more."""
        number = getattr(problem, "errno", None)
        if isinstance(problem, ConnectionError) and number:
            why = os.strerror(number)  # asyncio says of all that the call failed
        else:
            why = getattr(problem, "strerror", None) or getattr(problem, "reason", None) or str(problem)
        return UpstreamProxyFailed(f"{PROXY_SAYS}{self.name} cannot be reached: {why or type(problem).__name__}."[:300])

    def silent(self) -> UpstreamProxyFailed:
        return UpstreamProxyFailed(f"{PROXY_SAYS}{self.name} closed the connection without an answer.")

    def talkative(self) -> UpstreamProxyFailed:
        return UpstreamProxyFailed(f"{PROXY_SAYS}{self.name} answers with more than {LARGEST_HEAD} bytes.")


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6 and "%" not in host
    except ValueError:
        return False
