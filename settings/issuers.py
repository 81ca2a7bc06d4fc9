"""The settings of each kind of issuer: as little as one must say, and what would be dangerous to leave out.

Every kind fixes its algorithms, its header and which claim names the caller; the settings only say *whose* tokens.
What an issuer signs and where it is documented stands in identities/issuers/, in the file of the same name.
"""

import re
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from settings.domains import is_domain, mail_parts
from settings.secrets import Secret
from settings.section import Section
from settings.web_address import web_address

_HOUR = 3600
_DAY = 24 * _HOUR
_TOKEN_CHARACTERS = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")  # RFC 9110 §5.6.2, without the underscore

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def _header(given: str) -> str:
    if _TOKEN_CHARACTERS.fullmatch(given) is None:
        raise ValueError("is not a header's name. Use letters, digits and hyphens, as in Authorization")
    if given.lower() in _UNSIGNED:
        raise ValueError(
            "is a header that carries no signature, or that others own. Name the one with the signed token"
        )
    return given


_UNSIGNED = frozenset({"host", "cookie", "connection", "content-length", "content-type", "transfer-encoding", "te"})


def _listed(given: object) -> object:
    return (given,) if isinstance(given, str) else given


def _host(given: str) -> str:
    if not is_domain(given):
        raise ValueError("is not a host name. Write it in lower case and without https://, as in llm.example.com")
    return given


Url = Annotated[str, AfterValidator(web_address)]
IssuerUrl = Annotated[str, AfterValidator(web_address)]
Header = Annotated[str, AfterValidator(_header)]
Host = Annotated[str, AfterValidator(_host)]
Text = Annotated[str, Field(min_length=1, max_length=1024)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]


def _mapping(given: dict[str, str]) -> dict[str, str]:
    for pattern, target in given.items():
        bare = pattern.removeprefix("group:")
        if not bare or not bare.strip("*?"):
            raise ValueError(f"maps {pattern!r}, which is everybody. Say which subjects you mean")
        if mail_parts(target) is None and not is_domain(target):
            raise ValueError(f"maps {pattern!r} to {target!r}. Write an e-mail address or a domain, in lower case")
        if target != target.lower():
            raise ValueError(f"maps {pattern!r} to {target!r}. Write it in lower case")
    return given


Mapping = Annotated[dict[str, str], AfterValidator(_mapping)]


class _Entry(Section):
    """What all have in common.

    `map` gives services, which have no e-mail, one: subject (a case-sensitive glob) → e-mail address or domain;
    `group:NAME` matches a group instead. The first match in the order written holds. The mapped domain must be
    admitted like any other. `max_ttl_s` is the longest life a token or certificate may have been given, in seconds.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    max_ttl_s: Annotated[int, Field(ge=60)] = _DAY
    map: Mapping = Field(default_factory=dict)


class _Issuer(_Entry):
    """What all who sign tokens have in common."""

    header: Header = "Authorization"
    groups_claim: Text | None = None


class FetchedIssuer(_Issuer):
    """Keys fetched from the issuer. `jwks_file` reads them from a file instead; `ca_file` holds the certificate
    authorities to trust in place of the system's."""

    jwks_url: Url | None = None
    jwks_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.jwks_url is not None and self.jwks_file is not None:
            raise ValueError("has both jwks_url and jwks_file. Keep the one the keys are to come from")
        return self


class OwnToken(_Issuer):
    """Tokens made by `sekisho token mint`. An administrator decided on their life, so the limit is wide."""

    kind: Literal["own_token"]
    max_ttl_s: Annotated[int, Field(ge=60)] = 366 * _DAY


class _AnyOidc(FetchedIssuer):
    issuer: IssuerUrl
    audience: Texts
    algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(_listed), Field(min_length=1)] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    email_verified: Literal["required", "trusted"] = "required"
    """`trusted`: every address this issuer names is one it manages itself. Never for an issuer with sign-up."""


class Oidc(_AnyOidc):
    """Any OpenID Connect issuer. Without `jwks_url` the address is discovered (OIDC Discovery 1.0 §4)."""

    kind: Literal["oidc"]


class OAuth2Proxy(_AnyOidc):
    """The ID token of the issuer behind an oauth2-proxy, which hands it on. Its own headers are unsigned."""

    kind: Literal["oauth2_proxy"]


class Cognito(FetchedIssuer):
    """An Amazon Cognito user pool. ID and access tokens are different things: one entry each."""

    kind: Literal["cognito"]
    region: Annotated[str, Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d+$")]
    user_pool: Annotated[str, Field(pattern=r"^[a-z0-9-]+_[A-Za-z0-9]+$")]
    clients: Texts
    token_use: Literal["id", "access"] = "id"  # noqa: S105 - which kind of token, none itself
    trusted_providers: Annotated[tuple[Text, ...], BeforeValidator(_listed)] = ()
    groups_claim: Text | None = "cognito:groups"

    @model_validator(mode="after")
    def _access_tokens_need_a_map(self) -> Self:
        if self.token_use == "access" and not self.map:  # noqa: S105 - which kind of token, none itself
            raise ValueError("takes access tokens, which hold no e-mail. Add a map, or use token_use: id")
        return self


class Google(FetchedIssuer):
    """Google ID tokens. `hd` is what makes Google the authority on an address."""

    kind: Literal["google"]
    audience: Texts
    hosted_domains: Annotated[tuple[Host, ...], BeforeValidator(_listed), Field(min_length=1)]

    @field_validator("audience")
    @classmethod
    def _not_googles_own(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if any(audience.startswith("32555940559.") for audience in given):
            raise ValueError(
                "names the client id of the gcloud program, which anybody with a Google account can get a token for. "
                "Make an OAuth client of your own"
            )
        return given


class Iap(FetchedIssuer):
    """Google Cloud Identity-Aware Proxy."""

    kind: Literal["iap"]
    header: Header = "X-Goog-Iap-Jwt-Assertion"
    audience: Annotated[str, Field(pattern=r"^/projects/[0-9]+/[A-Za-z0-9/_.-]+$")]
    hosted_domains: Annotated[tuple[Host, ...], BeforeValidator(_listed), Field(min_length=1)]
    max_ttl_s: Annotated[int, Field(ge=60)] = _HOUR


class Cloudflare(FetchedIssuer):
    """Cloudflare Access. `team` is the first part of TEAM.cloudflareaccess.com, `audience` the application's tag."""

    kind: Literal["cloudflare"]
    header: Header = "Cf-Access-Jwt-Assertion"
    team: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    audience: Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...], BeforeValidator(_listed)] = Field(
        min_length=1
    )
    max_ttl_s: Annotated[int, Field(ge=60)] = 31 * _DAY  # Access sessions last as long as the application says


class Alb(_Issuer):
    """An AWS Application Load Balancer. Without `signer` any AWS account's balancer would pass."""

    kind: Literal["alb"]
    header: Header = "X-Amzn-Oidc-Data"
    region: Annotated[str, Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d+$")]
    signer: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:loadbalancer/app/")]
    client: Text
    issuer: IssuerUrl
    keys_url: Url | None = None
    ca_file: Path | None = None
    email_verified: Literal["required", "trusted"] = "required"
    max_ttl_s: Annotated[int, Field(ge=60)] = _HOUR


class Pomerium(FetchedIssuer):
    """Pomerium 0.22 or newer: issuer and audience are both the route's host name."""

    kind: Literal["pomerium"]
    header: Header = "X-Pomerium-Jwt-Assertion"
    route: Host
    groups_claim: Text | None = "groups"


class Entra(FetchedIssuer):
    """Microsoft Entra ID, v2 tokens of one tenant. Several tenants are several entries."""

    kind: Literal["entra"]
    tenant: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    audience: Texts
    authority: Url = "https://login.microsoftonline.com"

    @field_validator("tenant", mode="before")
    @classmethod
    def _one_tenant(cls, given: object) -> object:
        if given in ("common", "organizations", "consumers"):
            raise ValueError("is every tenant there is, a stranger's too. Write your tenant's id")
        return given


class Okta(FetchedIssuer):
    """Okta. Access tokens of the org server are opaque by contract; only a custom server's can be checked."""

    kind: Literal["okta"]
    issuer: IssuerUrl
    audience: Texts
    token: Literal["id", "access"] = "id"  # noqa: S105 - which kind of token, none itself
    clients: Annotated[tuple[Text, ...], BeforeValidator(_listed)] = ()
    groups_claim: Text | None = "groups"

    @model_validator(mode="after")
    def _access_tokens_of_a_custom_server(self) -> Self:
        if self.token == "access" and "/oauth2/" not in self.issuer:  # noqa: S105 - which kind of token, none itself
            raise ValueError(
                "takes access tokens of the org server, which Okta forbids to read. "
                "Use a custom server's issuer (https://ORG.okta.com/oauth2/ID), or token: id"
            )
        return self


class Kubernetes(FetchedIssuer):
    """Service account tokens projected into a pod, for an audience of our own."""

    kind: Literal["kubernetes"]
    issuer: IssuerUrl
    audience: Text
    bearer_file: Path | None = None
    map: Mapping = Field(min_length=1)
    max_ttl_s: Annotated[int, Field(ge=60)] = 2 * _HOUR

    @model_validator(mode="after")
    def _an_audience_of_our_own(self) -> Self:
        theirs = {self.issuer, "https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local", "api"}
        if self.audience.rstrip("/") in {one.rstrip("/") for one in theirs}:
            raise ValueError(
                "has the API server's own audience: every pod's token would pass. "
                "Project a token with an audience of its own, as in audience: sekisho"
            )
        for pattern in self.map:
            if not re.match(r"system:serviceaccount:[^:*?\[]+:.", pattern):
                raise ValueError(f"maps {pattern!r}. Name the namespace: system:serviceaccount:NAMESPACE:NAME")
        return self


class GithubActions(FetchedIssuer):
    """The token of a GitHub Actions job."""

    kind: Literal["github_actions"]
    issuer: IssuerUrl = "https://token.actions.githubusercontent.com"
    audience: Text
    map: Mapping = Field(min_length=1)
    max_ttl_s: Annotated[int, Field(ge=60)] = _HOUR

    @model_validator(mode="after")
    def _patterns_name_the_owner(self) -> Self:
        for pattern in self.map:
            if not re.match(r"repo:[^/:*?\[]+/.", pattern):
                raise ValueError(
                    f"maps {pattern!r}. Name the owner up to the slash (repo:OWNER/REPO:ref:refs/heads/main): "
                    "repo:acme* is also repo:acme-evil"
                )
        return self


class OpenWebui(_Issuer):
    """Open WebUI, which signs with a secret it shares with us (HS256): 32 random characters or more."""

    kind: Literal["open_webui"]
    header: Header = "X-OpenWebUI-User-Jwt"
    secret: Secret
    issuer: Text = "open-webui"
    max_ttl_s: Annotated[int, Field(ge=60)] = 600

    @field_validator("header")
    @classmethod
    def _a_header_of_its_own(cls, given: str) -> str:
        if given.lower() == "authorization":
            raise ValueError("must be a header of its own: a shared secret never rides where signed tokens do")
        return given


class Mtls(_Entry):
    """A certificate authority of your own, by the certificates that callers show in the TLS handshake.

    `from` says which subject alternative name is the caller's: `email` (rfc822Name), or `uri`, which `map` then gives
    an e-mail address or domain. Revocation is not looked up, so the longest life a certificate may have matters.
    """

    kind: Literal["mtls"]
    ca_file: Path
    named_by: Annotated[Literal["email", "uri"], Field(alias="from")] = "email"
    max_ttl_s: Annotated[int, Field(ge=60)] = 366 * _DAY

    @model_validator(mode="after")
    def _uris_need_a_map(self) -> Self:
        if self.named_by == "email":
            return self
        if not self.map:
            raise ValueError("takes names that are URIs, which hold no e-mail. Add a map, or use from: email")
        for pattern in self.map:
            if not re.match(r"[a-z][a-z0-9+.-]*:(//)?[^/:*?\[]+[/:].", pattern):
                raise ValueError(
                    f"maps {pattern!r}. Name what stands before the path (spiffe://TRUST-DOMAIN/PATH): "
                    "spiffe://acme* is also spiffe://acme-evil"
                )
        return self


class SourceNetwork(_Entry):
    """The address that a connection comes from, for machines that can show nothing. The weakest of all: whoever is at
    the address is that person. It counts only at listeners that name it, and only for callers who show no other proof.

    `people`: address or network → e-mail address. Of several that fit, the narrowest counts.
    """

    kind: Literal["source_network"]
    people: dict[str, str]

    @field_validator("people")
    @classmethod
    def _addresses_of_people(cls, given: dict[str, str]) -> dict[str, str]:
        if not given:
            raise ValueError("is empty. Write address: e-mail, as in 10.0.0.5: ann@example.com")
        known: dict[str, str] = {}
        for network, email in given.items():
            try:
                found = ip_network(network)
            except ValueError:
                raise ValueError(f"has {network!r}, which is no address. Write 10.0.0.5, or 10.0.0.0/24") from None
            if found.prefixlen == 0:
                raise ValueError(f"has {network}, which is everybody. Name the addresses that you know")
            if str(found) in known:
                raise ValueError(f"has {found} twice. Keep one")
            if (parts := mail_parts(email)) is None:
                raise ValueError(f"has {email!r}, which is no e-mail address. Write it as in ann@example.com")
            known[str(found)] = "@".join(parts)
        return known


TokenIssuerSettings = (
    OwnToken
    | Oidc
    | OAuth2Proxy
    | Cognito
    | Google
    | Iap
    | Cloudflare
    | Alb
    | Pomerium
    | Entra
    | Okta
    | Kubernetes
    | GithubActions
    | OpenWebui
)
"""Those whose word is a token in a header."""

IssuerSettings = Annotated[TokenIssuerSettings | Mtls | SourceNetwork, Field(discriminator="kind")]


def issuer_problems(issuers: Sequence[IssuerSettings]) -> list[str]:
    """What is wrong with these entries taken together, each with its remedy; empty when nothing is."""
    said = [
        f"two issuers are named {name!r}. Give each a name of its own"
        for name, times in Counter(issuer.name for issuer in issuers).items()
        if times > 1
    ]
    if sum(issuer.kind == "own_token" for issuer in issuers) > 1:
        said.append("two issuers are of kind own_token, and there is one set of own keys. Keep one")
    in_headers = [issuer for issuer in issuers if not isinstance(issuer, Mtls | SourceNetwork)]
    headers = Counter(issuer.header.lower() for issuer in in_headers)
    said += [
        f"{issuer.name!r} shares the header {issuer.header} with another issuer. A shared secret needs its own header"
        for issuer in in_headers
        if issuer.kind == "open_webui" and headers[issuer.header.lower()] > 1
    ]
    return said


def client_authorities(issuers: Sequence[IssuerSettings], named: Sequence[str] | None) -> tuple[Path, ...]:
    """The files of certificate authorities that a listener asks its callers for certificates of; empty when it asks
    for none. `named` are the issuers that count there; None means all."""
    return tuple(
        issuer.ca_file for issuer in issuers if isinstance(issuer, Mtls) and (named is None or issuer.name in named)
    )
