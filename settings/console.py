"""The record in a browser: where, and who may see what."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from settings.domains import mail_parts
from settings.issuers import Text
from settings.listening import Address, ListenerTls
from settings.section import Networks, Section
from settings.units import Duration
from settings.web_address import is_loopback

GivenRole = Literal["viewer", "auditor", "admin"]


class Members(Section):
    """Who has a role: whoever is in one of these groups, as the sign-in's `groups_claim` names them, or has one of
    these addresses."""

    groups: tuple[Text, ...] = ()
    emails: tuple[str, ...] = ()

    @field_validator("emails")
    @classmethod
    def _addresses(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in given if mail_parts(one) is None]:
            raise ValueError(f"has {wrong[0]!r}, which is no e-mail address. Write it as in ann@example.com")
        return tuple(one.lower() for one in given)


class Console(Section):
    """Where it listens and after how long without a person a session ends; `enabled`: `sekisho serve` starts it, too.
    With sign-in: by which address people know it (`public_url`), who brings https (`tls`, or a proxy at one of
    `proxies`), and who has which role.

    `own`, written `self`: whoever signs in and has no role sees what is recorded about themselves.
    """

    enabled: bool = False
    listen: Address = Address(host="127.0.0.1", port=8090)
    idle: Duration = 1800.0
    sign_in: bool | None = None
    public_url: str | None = None
    tls: ListenerTls | None = None
    proxies: Networks = ()
    roles: Mapping[GivenRole, Members] = {}
    own: bool = Field(default=False, alias="self")
    contact: Text | None = None

    @field_validator("public_url")
    @classmethod
    def _an_origin(cls, given: str | None) -> str | None:
        if given is None:
            return None
        try:
            url = urlsplit(given)
            usable = url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0)
        except ValueError:
            usable = False
        if not usable or url.path.strip("/") or url.query or url.fragment or url.username or given != given.lower():
            raise ValueError("is no address of a site. Write https://audit.example.com, lower case, without a path")
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            raise ValueError("is plain http://, where a session could be read on the way. Use https://")
        return given.rstrip("/")

    def problems(self, *, sign_in: bool) -> list[str]:
        """What of it does not fit together, each to be read after `console.`; `sign_in`: there is such a section."""
        said = []
        on = self.signs_in(sign_in)
        if self.sign_in and not sign_in:
            said.append("sign_in is true, and the section sign_in is missing. Name the OpenID provider there")
        if not on:
            settled: dict[str, object] = {
                "public_url": self.public_url,
                "tls": self.tls,
                "proxies": self.proxies,
                "contact": self.contact,
            }
            settled |= {"roles": self.roles, "self": self.own} if not sign_in else {}
            said += [
                f"{name} is for people who sign in. Set up the section sign_in, and here roles, or take it out"
                for name, given in settled.items()
                if given
            ]
        if not is_loopback(self.listen.host):
            if not on:
                said.append(
                    "listen is not on this machine, and nobody would have to sign in. Set up sign_in, or listen on "
                    "127.0.0.1 and from elsewhere use ssh -L 8090:127.0.0.1:8090"
                )
            elif not self.origin.startswith("https://"):
                said.append("listen is not on this machine. Write by which https:// address people open it: public_url")
        if on and self.origin.startswith("https://") and self.tls is None and not self.proxies:
            said.append(
                "public_url is https://, and nothing brings it. Write tls: {cert: …, key: …}, or the addresses of the "
                "proxy in front: proxies: [10.0.0.5]"
            )
        if self.tls is not None and (self.proxies or not self.origin.startswith("https://")):
            said.append("tls ends https here: write public_url: https://…, and leave proxies out")
        if on and not self.roles and not self.own:
            said.append("roles is empty: whoever signs in would see nothing. Name an auditor, or write self: true")
        return said

    def signs_in(self, section: bool) -> bool:
        """Do people sign in here? `section`: there is a section `sign_in`, which may be for other pages alone."""
        return section and (bool(self.roles or self.own) if self.sign_in is None else self.sign_in)

    @property
    def origin(self) -> str:
        """By which scheme, host and port people know it."""
        return self.public_url or f"http://{self.listen}"
