"""Sign-in with the company account: which OpenID provider, as which of its clients."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, ValidationError, field_validator, model_validator

from settings.issuers import Cognito, Entra, Google, IssuerUrl, Oidc, Okta, Text, TokenIssuerSettings
from settings.secrets import Secret
from settings.section import Section

Preset = Literal["google", "cognito", "entra", "okta", "keycloak", "oidc"]

NAME: Final = "sign-in"
"""The issuer of whoever signed in, in the record and in the log."""

_GOOGLE: Final = "https://accounts.google.com"
_COGNITO: Final = re.compile(
    r"https://cognito-idp\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<user_pool>[a-z0-9-]+_[A-Za-z0-9]+)"
)
_ENTRA: Final = re.compile(r"(?P<authority>https://[a-z0-9.-]+)/(?P<tenant>[^/]+)/v2\.0")
_GROUPS: Final[dict[Preset, str]] = {
    "cognito": "cognito:groups",
    "entra": "groups",
    "okta": "groups",
    "keycloak": "groups",
    "oidc": "groups",
}
_FORMS: Final[dict[Preset, str]] = {
    "cognito": "https://cognito-idp.REGION.amazonaws.com/USER_POOL_ID",
    "entra": "https://login.microsoftonline.com/TENANT_ID/v2.0",
    "okta": "https://ORG.okta.com, or https://ORG.okta.com/oauth2/default",
    "keycloak": "https://HOST/realms/REALM",
    "oidc": "https://idp.example.com, exactly as its tokens have it in iss",
}

_NO_SIGN_OUT: Final[dict[Preset, str]] = {
    "google": "Google has no sign-out to be led on to",
    "okta": "Okta signs out only for who shows it an ID token again (id_token_hint), and none is kept here",
}


def _listed(given: object) -> object:
    return tuple(given.split()) if isinstance(given, str) else given


class SignInSettings(Section):
    """One OpenID provider at which people sign in. Whom it may let in say `identity.domains`.

    `email_verified: trusted` (keycloak and oidc): every address of this provider is one it manages itself.
    `trusted_providers` (cognito): names of its identity providers whose addresses need no `email_verified`.
    Without `client_secret` the client is a public one, which PKCE alone protects.
    `sign_out_at_provider`: whoever signs out here is led on to the provider's own sign-out. Off unless asked for: it
    ends what they have open elsewhere with the company account, and the provider must know where to send them back.
    """

    preset: Preset
    issuer: IssuerUrl | None = None
    client_id: Text
    client_secret: Secret | None = None
    groups_claim: Text | None = None
    scopes: Annotated[tuple[Text, ...], BeforeValidator(_listed)] = ("openid", "email", "profile")
    email_verified: Literal["required", "trusted"] = "required"
    trusted_providers: tuple[Text, ...] = ()
    ca_file: Path | None = None
    sign_out_at_provider: bool = False

    @field_validator("scopes")
    @classmethod
    def _openid(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in given:
            raise ValueError("lacks openid, without which there is no ID token. Add it")
        return given

    @model_validator(mode="after")
    def _fits_the_preset(self) -> Self:
        if self.preset == "google":
            if self.issuer not in (None, _GOOGLE):
                raise ValueError("has an issuer, and Google has one only. Leave issuer out, or use preset: oidc")
        elif self.issuer is None:
            raise ValueError(f"lacks the issuer. Write issuer: {_FORMS[self.preset]}")
        elif self.preset in _PARTS and _PARTS[self.preset].fullmatch(self.issuer) is None:
            raise ValueError(f"has an issuer that is none of preset {self.preset}. Write {_FORMS[self.preset]}")
        if self.email_verified == "trusted" and self.preset not in ("keycloak", "oidc"):
            raise ValueError(f"has email_verified, which is not for preset {self.preset}. Take it out")
        if self.trusted_providers and self.preset != "cognito":
            raise ValueError("has trusted_providers, which is for preset cognito only. Take it out")
        if self.sign_out_at_provider and self.preset in _NO_SIGN_OUT:
            raise ValueError(f"has sign_out_at_provider, and {_NO_SIGN_OUT[self.preset]}. Take it out")
        try:
            self.issuer_settings(("example.com",))
        except ValidationError as refused:  # by the issuer's own kind: `common` as Entra's tenant
            first = refused.errors()[0]
            said = first.get("ctx", {}).get("error", first["msg"])
            raise ValueError(f"has an issuer that cannot be used: its {first['loc'][-1]} {said}") from None
        return self

    @property
    def issuer_url(self) -> str:
        """Where it is discovered (OIDC Discovery 1.0 §4), and what its answers must name (RFC 9207)."""
        return self.issuer or _GOOGLE

    def issuer_settings(self, domains: tuple[str, ...]) -> TokenIssuerSettings:
        """The entry that judges its ID tokens, by the same rules as one under `identity.issuers`. `domains` are those
        whose accounts Google may vouch for."""
        common: dict[str, Any] = {
            "name": NAME,
            "groups_claim": self.groups_claim or _GROUPS.get(self.preset),
            "ca_file": self.ca_file,
        }
        if self.preset == "google":
            return Google(kind="google", audience=(self.client_id,), hosted_domains=domains, **common)
        assert self.issuer is not None
        if self.preset in _PARTS:
            found = _PARTS[self.preset].fullmatch(self.issuer)
            assert found is not None
            common |= found.groupdict()
        if self.preset == "cognito":
            return Cognito(
                kind="cognito", clients=(self.client_id,), trusted_providers=self.trusted_providers, **common
            )
        if self.preset == "entra":
            return Entra(kind="entra", audience=(self.client_id,), **common)
        if self.preset == "okta":
            return Okta(kind="okta", issuer=self.issuer, audience=(self.client_id,), **common)
        return Oidc(
            kind="oidc",
            issuer=self.issuer,
            audience=(self.client_id,),
            email_verified=self.email_verified,
            **common,
        )


_PARTS: Final[dict[Preset, re.Pattern[str]]] = {"cognito": _COGNITO, "entra": _ENTRA}
