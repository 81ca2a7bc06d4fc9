"""The company's proxy, where it is the only way out: the settings' part `upstream_proxy`."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from outbound.upstream_proxy import UpstreamProxy
from settings.secrets import Secret
from settings.section import Section

_NAME: Final = re.compile(r"\.?[a-z0-9*_-]+(\.[a-z0-9*_-]+)*")


class UpstreamProxySettings(Section):
    """Where it is, what it asks for, and what is reached without it.

    `no_proxy`: host names (`host.example.com` alone, `*.example.com` or `.example.com` for all below it) and networks,
    which count for hosts written as addresses. This machine is always reached without it.
    """

    url: str
    user: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    password: Secret | None = None
    no_proxy: tuple[str, ...] = ()
    ca_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _an_address(cls, given: str) -> str:
        try:
            url = urlsplit(given)
            usable = url.scheme in ("http", "https") and url.hostname and url.port and url.path in ("", "/")
        except ValueError:
            usable = False
        if usable and (url.username or url.password):
            raise ValueError("holds a user. Write user: …, password: {env: NAME} beside it")
        if not usable or url.query or url.fragment or not given.isascii():
            raise ValueError("is not a proxy's address. Write http://host:port or https://host:port")
        return given.rstrip("/")

    @field_validator("user")
    @classmethod
    def _fits_basic(cls, given: str | None) -> str | None:
        if given is not None and (":" in given or not given.isprintable()):
            raise ValueError("has a colon or a control character in it, which Basic authentication cannot carry")
        return given

    @field_validator("no_proxy")
    @classmethod
    def _names_and_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_exempt(one) for one in given)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.password is not None and self.user is None:
            raise ValueError("has a password without a user. Add user: …")
        if self.user is not None and self.password is None:
            raise ValueError("has a user without a password. Add password: {env: NAME}")
        if self.ca_file is not None and self.url.startswith("http:"):
            raise ValueError("has a ca_file, which counts for an https:// proxy only. Take it out")
        return self

    def resolved(self) -> UpstreamProxy:
        """With its password. Raises ValueError: that cannot be read; the message says why."""
        url = urlsplit(self.url)
        networks: list[IPv4Network | IPv6Network] = []
        names: list[str] = []
        for one in self.no_proxy:
            try:
                networks.append(ip_network(one))
            except ValueError:
                names.append(one)
        return UpstreamProxy(
            host=url.hostname or "",
            port=url.port or 0,
            is_tls=url.scheme == "https",
            ca_file=self.ca_file,
            user=self.user,
            password=self.password.read() if self.password is not None else None,
            exempt=tuple(names),
            exempt_networks=tuple(networks),
        )


def _exempt(given: str) -> str:
    text = given.strip().lower()
    try:
        return str(ip_network(text))
    except ValueError:
        if _NAME.fullmatch(text) is None:
            raise ValueError(
                f"{given!r} in no_proxy is neither a host nor a network. Write host.example.com, *.example.com or "
                "10.0.0.0/8"
            ) from None
    return f"*{text}" if text.startswith(".") else text
