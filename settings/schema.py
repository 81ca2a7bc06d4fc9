"""Every setting, with its default. config.yaml shows them all, each with its line of why."""

import ipaddress
import socket
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from exchange.call import Operation
from settings.console import Console
from settings.cors import Cors
from settings.credentials import ProviderCredentials
from settings.domains import domain_problem
from settings.fronts import Front, Notice, front_problems
from settings.hosts import Hosts, host_pattern
from settings.issuers import IssuerSettings, issuer_problems
from settings.listening import Listener, listeners
from settings.section import Section
from settings.sign_in import NAME as SIGN_IN
from settings.sign_in import SignInSettings
from settings.storage import OnFailure, Storage
from settings.units import Duration, Size
from settings.upstream_proxy import UpstreamProxySettings
from settings.web_address import base_address, is_loopback

Profile = Literal["local", "gateway"]
Dialect = Literal["openai", "azure", "anthropic", "gemini", "bedrock", "ollama", "cohere"]
BUILT_IN: dict[str, Dialect] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "azure": "azure",
    "bedrock": "bedrock",
}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


class Provider(ProviderCredentials):
    """One provider of an API: where it is, which dialect it speaks, with which key we call it. `hosts` are the names
    under which callers of the forward mode know it; left out, that of its upstream. `models` are those that it lists to
    callers, as far as the rules let them; left out, it is asked itself."""

    upstream: Annotated[str, AfterValidator(base_address)]
    hosts: tuple[str, ...] | None = None
    models: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    dialect: Dialect | None = None
    insecure_upstream: bool = False
    safety_identifier: bool = False
    ca_file: Path | None = None

    @field_validator("hosts")
    @classmethod
    def _names(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if given is None:
            return None
        if any("*" in one for one in given):
            raise ValueError("has a pattern among its hosts. Name each: a certificate is made for it, and a key sent")
        return tuple(host_pattern(one) for one in given)

    @property
    def known_by(self) -> tuple[str, ...]:
        """The hosts whose requests are this provider's, in forward mode. An address is no name and counts for none."""
        if self.hosts is not None:
            return self.hosts
        host = (urlsplit(self.upstream).hostname or "").removesuffix(".")
        try:
            return (host_pattern(host),) if not _is_address(host) else ()
        except ValueError:
            return ()  # localhost, or a name without a domain

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> Self:
        url = urlsplit(self.upstream)
        if url.scheme == "http" and not self.insecure_upstream and not is_loopback(url.hostname or ""):
            raise ValueError(
                "has a plain http:// upstream, where anybody on the way can read and change what passes. "
                "Use https://, or write insecure_upstream: true beside it"
            )
        return self


class Identity(Section):
    """Whose word counts, and which mail domains may pass."""

    domains: tuple[str, ...] = ()
    include_subdomains: bool = False
    issuers: tuple[IssuerSettings, ...] = ()
    clock_skew: Duration = 30.0
    cut_revoked: bool = False

    @field_validator("domains")
    @classmethod
    def _mail_domains(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        said = [f"{domain!r} {why}" for domain in given if (why := domain_problem(domain))]
        if said:
            raise ValueError("; ".join(said))
        return given

    @field_validator("issuers")
    @classmethod
    def _fit_together(cls, given: tuple[IssuerSettings, ...]) -> tuple[IssuerSettings, ...]:
        if said := issuer_problems(given):
            raise ValueError("; ".join(said))
        return given


class RuleKeep(Section):
    """How long the exchanges of one rule are kept, in place of `storage.keep`, and how much of them: bytes of bodies on
    the wire, the newest."""

    days: Annotated[float, Field(gt=0)] | None = None
    bytes: Size | None = None


class Rule(Section):
    """One rule. What is not named is not looked at: no `domains` means every admitted domain, no `groups` whoever is in
    some or in none, no `models` every model, no `operations` every operation: but `other`, where it allows."""

    name: Annotated[str, Field(min_length=1)]
    action: Literal["allow", "deny"] = "allow"
    domains: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    operations: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    record: Literal["full", "metadata"] = "full"
    keep: RuleKeep | None = None

    @field_validator("operations")
    @classmethod
    def _known_operations(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        known = get_args(Operation)
        if unknown := [each for each in given or () if each not in known]:
            raise ValueError(f"names {', '.join(map(repr, unknown))}. An operation is one of {', '.join(known)}")
        return given


class Policies(Section):
    """What may be called. Nothing said means no in the gateway profile, yes in the local one."""

    rules: tuple[Rule, ...] = ()


class Access(Section):
    """What is asked of people who look at content, or take it away. That they did is written down in any case."""

    reason: Literal["optional", "required"] = "optional"
    two_people: bool = False


class Limits(Section):
    """What one caller may take of us."""

    head: Size = 64 << 10
    head_fields: int = 200
    head_time: Duration = 15.0
    body: Size = 64 << 20
    bodies: Size = 1 << 30
    body_time: Duration = 300.0
    connections: int = 10_000
    idle: Duration = 300.0

    @field_validator("*")
    @classmethod
    def _some(cls, given: float) -> float:
        if given <= 0:
            raise ValueError("must be more than nothing: with this, no request could pass")
        return given


class Timeouts(Section):
    """How long we wait for the provider. A model may think for a long time without a word."""

    connect: Duration = 10.0
    silence: Duration = 3600.0


_DEFAULT_PROVIDERS: dict[str, dict[str, str]] = {
    "openai": {"upstream": "https://api.openai.com"},
    "anthropic": {"upstream": "https://api.anthropic.com"},
    "gemini": {"upstream": "https://generativelanguage.googleapis.com"},
}


class Settings(Section):
    """The whole of config.yaml. Read once at the start; frozen."""

    profile: Profile = "local"
    listen: Annotated[tuple[Listener, ...], BeforeValidator(listeners)] = Field(
        default="127.0.0.1:8080", validate_default=True, min_length=1
    )
    capture: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,200}$")], ...] = ()
    data_dir: Path = Path("data")
    node: str = Field(default_factory=socket.gethostname)
    workers: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = 1
    lane: Literal["express", "mitm"] = "express"
    websockets: Literal["record", "refuse"] = "record"
    drain_s: Annotated[float, Field(ge=0)] = 10.0
    providers: dict[str, Provider] = Field(default=_DEFAULT_PROVIDERS, validate_default=True, min_length=1)
    hosts: Hosts = Hosts()
    upstream_proxy: UpstreamProxySettings | None = None
    identity: Identity = Identity()
    policies: Policies = Policies()
    storage: Storage = Storage()
    access: Access = Access()
    sign_in: SignInSettings | None = None
    console: Console = Console()
    fronts: tuple[Front, ...] = ()
    fronts_notice: Notice = Notice()
    cors: Cors = Cors()
    api_url: Annotated[str, AfterValidator(base_address)] | None = None
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()

    @field_validator("data_dir")
    @classmethod
    def _a_directory(cls, given: Path) -> Path:
        if given.exists() and not given.is_dir():
            raise ValueError(f"names {given}, which is no directory. Name one, or one that is still to be made")
        return given

    @field_validator("providers")
    @classmethod
    def _known_dialects(cls, given: dict[str, Provider]) -> dict[str, Provider]:
        known: dict[str, Provider] = {}
        for name, provider in given.items():
            if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
                raise ValueError(f"{name!r} cannot be a path prefix. Use letters, digits, - and _")
            dialect = provider.dialect or BUILT_IN.get(name)
            if dialect is None:
                raise ValueError(f"{name} needs a dialect: one of {', '.join(sorted(get_args(Dialect)))}")
            if provider.safety_identifier and dialect != "openai":
                raise ValueError(f"{name} has safety_identifier, which is a field of OpenAI's API alone. Take it out")
            if provider.models and dialect != "openai":
                raise ValueError(f"{name} has models, which are listed in the way of OpenAI's API alone. Take them out")
            known[name] = provider.model_copy(update={"dialect": dialect})
        return known

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [issuer.name for issuer in self.identity.issuers]
        problems = [
            f"policies.rules[{i}].providers names {n!r}, which is not under providers"
            for i, rule in enumerate(self.policies.rules)
            for n in rule.providers or ()
            if n not in self.providers
        ]
        for i, listener in enumerate(self.listen):
            if listener.mode in ("transparent", "wireguard") and listener.tls is not None:
                problems.append(f"listen[{i}].tls: {listener.mode} callers do not know that we are there. Take it out")
            if listener.mode == "wireguard" and listener.peer is None:
                problems.append(
                    f"listen[{i}].peer is missing. Say who calls there: {{public_key: …, email: ann@example.com}}"
                )
            if listener.mode != "wireguard" and listener.peer is not None:
                problems.append(f"listen[{i}].peer is for mode: wireguard only. Take it out")
            problems += [
                f"listen[{i}].issuers names {n}, which is not under identity.issuers"
                for n in listener.issuers or ()
                if n not in names
            ]
        problems += [
            f"identity.issuers[{i}] takes client certificates, and no listener where it counts has tls. "
            "Give one tls: {cert: …, key: …}"
            for i, issuer in enumerate(self.identity.issuers)
            if issuer.kind == "mtls"
            and not any(one.tls and (one.issuers is None or issuer.name in one.issuers) for one in self.listen)
        ]
        problems += [
            f"identity.issuers[{i}] takes a connection's address for its proof, and no listener names it: it counts "
            f"nowhere. Write listen: [{{address: …, issuers: [{issuer.name}, …]}}]"
            for i, issuer in enumerate(self.identity.issuers)
            if issuer.kind == "source_network" and not any(issuer.name in (one.issuers or ()) for one in self.listen)
        ]
        named = [(host, name) for name, provider in self.providers.items() for host in provider.hosts or ()]
        problems += [
            f"providers.{name}.hosts names {host}, which is providers.{other}'s already. A host is one provider's"
            for i, (host, name) in enumerate(named)
            if (other := dict(named[:i]).get(host)) is not None
        ]
        rules = {rule.name for rule in self.policies.rules}
        problems += [
            f"providers.{name}.keys[{i}].rules names {rule}, which is not under policies.rules"
            for name, provider in self.providers.items()
            for i, key in enumerate(provider.keys)
            for rule in key.rules
            if rule not in rules
        ]
        problems += front_problems(
            self.fronts,
            providers=self.providers,
            lane=self.lane,
            listeners_with_tls=any(one.mode == "reverse" and one.tls is not None for one in self.listen),
            reverse_listener=any(one.mode == "reverse" for one in self.listen),
            data_dir=self.data_dir,
            sign_in=self.sign_in is not None,
        )
        if self.capture and self.workers != 1:
            problems.append("capture is for one worker: a machine has one redirector. Write workers: 1")
        if self.storage.on_failure == "spill" and self.storage.spill_dir is None:
            problems.append(
                "storage.on_failure is spill, and storage.spill_dir is missing. Name a directory on another disk"
            )
        if self.storage.spill_dir is not None and self.storage.on_failure != "spill":
            problems.append("storage.spill_dir is used with on_failure: spill only. Write that too, or leave it out")
        if self.storage.disk_stop > self.storage.disk_warn:
            problems.append("storage.disk_stop is more than disk_warn. The warning must come first")
        problems += [f"console.{said}" for said in self.console.problems(sign_in=self.sign_in is not None)]
        if self.sign_in is not None:
            if not self.identity.domains and self.profile != "gateway":
                problems.append("identity.domains is empty. Name the mail domains whose people may sign in")
            if SIGN_IN in names:
                problems.append(f"identity.issuers has one named {SIGN_IN}, as sign_in is. Give it another name")
        if self.profile == "gateway":
            if not self.identity.issuers:
                problems.append("identity.issuers is empty. In the gateway profile nobody could pass: name an issuer")
            if not self.identity.domains:
                problems.append("identity.domains is empty. Name the mail domains that may pass")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def on_failure(self) -> OnFailure:
        """What happens to traffic when the record cannot be written."""
        return self.storage.on_failure or ("block" if self.profile == "gateway" else "allow")

    @property
    def ballast(self) -> int:
        """Bytes held for a full disk."""
        given = self.storage.ballast
        return given if given is not None else 64 << 20 if self.profile == "gateway" else 0

    @property
    def default_provider(self) -> str:
        """The provider that answers without a path prefix: `openai` where there is one, else the first."""
        return "openai" if "openai" in self.providers else next(iter(self.providers))
