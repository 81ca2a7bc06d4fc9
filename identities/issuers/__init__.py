"""Every kind of issuer: one file, and one row for those whose word is a token."""

from collections.abc import Callable
from typing import Any

from identities.issuer import Issuer
from identities.issuers import (
    alb,
    cloudflare,
    cognito,
    entra,
    github_actions,
    google,
    iap,
    kubernetes,
    oauth2_proxy,
    oidc,
    okta,
    open_webui,
    own_token,
    pomerium,
)
from settings.issuers import TokenIssuerSettings

_KINDS: dict[str, Callable[[Any], Issuer]] = {  # Any: each takes its own kind's settings, as the discriminator says
    "own_token": own_token.issuer,
    "oidc": oidc.issuer,
    "oauth2_proxy": oauth2_proxy.issuer,
    "cognito": cognito.issuer,
    "google": google.issuer,
    "iap": iap.issuer,
    "cloudflare": cloudflare.issuer,
    "alb": alb.issuer,
    "pomerium": pomerium.issuer,
    "entra": entra.issuer,
    "okta": okta.issuer,
    "kubernetes": kubernetes.issuer,
    "github_actions": github_actions.issuer,
    "open_webui": open_webui.issuer,
}


def issuer_from(settings: TokenIssuerSettings) -> Issuer:
    """The issuer that these settings describe."""
    return _KINDS[settings.kind](settings)
