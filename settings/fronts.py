"""Chat fronts: hosts under which people find a chat page, and sign in first."""

import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from settings.section import Networks, Section
from settings.web_address import base_address, is_loopback

FrontKind = Literal["nextchat", "open-webui", "librechat", "other"]
Https = Literal["listener", "proxy", "none"]

SOCKET: Final = "fronts.sock"
"""In data_dir: where the process of the fronts listens for the workers."""

LOCAL: Final = b"unix"
"""In place of a scheme: plain HTTP to a program on this machine; the host is the path where it listens."""

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")
_PATH: Final = re.compile(r"(/[A-Za-z0-9_~.-]+)+")
_OURS: Final = ("/_sekisho", "/me", "/chat")
_EMAIL_HEADER: Final = re.compile(r"X(-[A-Za-z0-9]+){1,8}")
_SAID_OTHERWISE: Final = frozenset({"x-forwarded-host", "x-forwarded-proto"})
_LONGEST_SOCKET: Final = 103
"""Bytes of a socket's path: 107 on Linux, 103 on macOS (unix(7), unix(4))."""


class Front(Section):
    """One chat page. `host` is what browsers send as Host; `upstream` the chat UI behind it, None for our own page;
    `api_path` the UI's path of the API, answered by the checkpoint itself, None where the UI calls from its server.
    `email_header` tells the chat UI whose session it is, by address, where it takes a header's word for that.
    `https` says how https comes: by our listener, by a proxy among `proxies`, or not at all (loopback alone)."""

    host: str
    upstream: str | None = None
    insecure_upstream: bool = False
    api_path: str | None = "/api/openai"
    provider: str | None = None
    kind: FrontKind = "other"
    models: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    email_header: str | None = None
    https: Https | None = None
    proxies: Networks = ()

    @field_validator("host")
    @classmethod
    def _a_host(cls, given: str) -> str:
        host = given.lower()
        if _HOST.fullmatch(host) is None:
            raise ValueError("is no host. Write chat.example.com, with :port where browsers show one")
        return host

    @field_validator("upstream")
    @classmethod
    def _an_address(cls, given: str | None) -> str | None:
        if given is None:
            return None
        address = base_address(given)
        if urlsplit(address).path:
            raise ValueError("is not the address of a chat UI. Write http://host:port, without a path")
        return address

    @field_validator("api_path")
    @classmethod
    def _a_path(cls, given: str | None) -> str | None:
        if given is None:
            return None
        path = given.rstrip("/")
        if _PATH.fullmatch(path) is None or any(step in (".", "..") for step in path.split("/")):
            raise ValueError("is no path. Write it as the UI's pages call it, such as /api/openai")
        if any(path == ours or path.startswith(ours + "/") for ours in _OURS):
            raise ValueError(f"begins with {path.split('/')[1]}, which is ours. Name the path that the UI calls")
        return path

    @field_validator("email_header")
    @classmethod
    def _a_header(cls, given: str | None) -> str | None:
        if given is not None and (_EMAIL_HEADER.fullmatch(given) is None or given.lower() in _SAID_OTHERWISE):
            raise ValueError(
                "is no name for such a header. Write X-Sekisho-Email, and the same in the chat UI's settings"
            )
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        said = []
        if self.email_header is not None and self.upstream is None:
            said.append("has email_header, and no upstream that it could tell. Name the chat UI, or take it out")
        if self.upstream is not None:
            url = urlsplit(self.upstream)
            if url.scheme == "http" and not self.insecure_upstream and not is_loopback(url.hostname or ""):
                said.append(
                    "has a plain http:// upstream, where anybody on the way can read along. Use https://, or write "
                    "insecure_upstream: true beside it"
                )
        if self.secured == "none" and not is_loopback(self.hostname):
            said.append("has https: none, which is for this machine alone. Write https: listener, or https: proxy")
        if self.secured == "proxy" and not self.proxies:
            said.append("has https: proxy. Name the proxy's addresses beside it, as in proxies: [10.0.0.5]")
        if self.secured != "proxy" and self.proxies:
            said.append("names proxies, which are for https: proxy. Write that too, or take them out")
        if said:
            raise ValueError("; ".join(said))
        return self

    @property
    def hostname(self) -> str:
        """The host without its port."""
        return self.host.partition(":")[0]

    @property
    def secured(self) -> Https:
        """How https comes."""
        return self.https or ("none" if is_loopback(self.hostname) else "listener")

    @property
    def origin(self) -> str:
        """What browsers call this place (RFC 6454 §6.2)."""
        return f"{'http' if self.secured == 'none' else 'https'}://{self.host}"

    def trusts(self, peer: str) -> bool:
        """Is this address one of the proxies that bring https, or this machine where there is none?"""
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if self.secured == "none":
            return address.is_loopback
        return any(address in network for network in self.proxies)


class Notice(Section):
    """What people are told before they sign in, in both languages. Left out: that exchanges are recorded."""

    en: str = "Everything you write here, and every answer, is recorded and can be read by the security team."
    ja: str = "ここに入力した内容と回答はすべて記録され、セキュリティ担当者が閲覧することがあります。"


def front_problems(
    fronts: Sequence[Front],
    *,
    providers: Collection[str],
    lane: str,
    listeners_with_tls: bool,
    reverse_listener: bool,
    data_dir: Path,
    sign_in: bool,
) -> list[str]:
    """What of the fronts does not fit the rest of the settings, each by its path, with the remedy."""
    if not fronts:
        return []
    problems = []
    if lane != "express":
        problems.append("fronts need the express lane. Write lane: express, or leave `lane` out")
    if not reverse_listener:
        problems.append("fronts need a listener of mode reverse. Add one to `listen`")
    if not sign_in:
        problems.append("fronts need sign_in. Name the OpenID provider at which people sign in: docs/how-to/sign-in")
    socket = len(str((data_dir / SOCKET).absolute()).encode())
    if socket > _LONGEST_SOCKET:
        problems.append(f"data_dir has too long a path for a socket in it ({socket} bytes). Name a shorter one")
    for i, front in enumerate(fronts):
        if front.provider is not None and front.provider not in providers:
            problems.append(f"fronts[{i}].provider names {front.provider!r}, which is not under providers")
        if front.secured == "listener" and not listeners_with_tls:
            problems.append(
                f"fronts[{i}] ({front.host}) has no https: a session must not travel in the clear. Give a listener "
                "tls: {cert: …, key: …}, or write https: proxy and proxies: [ADDRESS]"
            )
        if any(front.host == other.host for other in fronts[:i]):
            problems.append(f"fronts[{i}].host names {front.host}, which is another front's already")
    return problems
