"""Sign-out at the provider: OpenID Connect RP-Initiated Logout 1.0, and Amazon Cognito's own way.

No ID token is kept to be shown as `id_token_hint` (§2): it would prove somebody to whoever finds it. `client_id` and
`logout_hint` take its place, and most providers then ask the person whether it is meant. That is §2's own advice.
"""

import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from exchange.call import Json
from identities.discovery import endpoint
from outbound.asking import NoAnswer
from settings.sign_in import SignInSettings

log = logging.getLogger(__name__)

_COGNITO: Final = "/logout"
"""Beside the authorization endpoint (Amazon Cognito's developer guide, "The logout endpoint")."""


def sign_out_endpoint(found: Mapping[str, Json], settings: SignInSettings) -> str | None:
    """Where this provider signs people out, by its discovery document; None, and logged: it does not say so."""
    if settings.preset == "cognito":
        there = urlsplit(endpoint(found, "authorization_endpoint"))
        return urlunsplit((there.scheme, there.netloc, _COGNITO, "", ""))
    try:
        return endpoint(found, "end_session_endpoint")
    except NoAnswer as lacking:
        log.warning(
            "sign_in.sign_out_at_provider: %s does not say where people sign out there (%s). They are signed out here "
            "alone.",
            settings.issuer_url,
            lacking,
        )
        return None


def sign_out_address(endpoint: str, settings: SignInSettings, back: str, email: str | None) -> str:
    """The address to lead a browser on to, as `endpoint` wants it. `back` must be known there to the letter."""
    asked = {"client_id": settings.client_id}
    if settings.preset == "cognito":
        asked["logout_uri"] = back
    else:
        asked["post_logout_redirect_uri"] = back
        if email is not None and settings.preset != "entra":  # whose hint is another claim, and never an address
            asked["logout_hint"] = email
    return f"{endpoint}?{urlencode(asked)}"  # which has no query (settings.web_address)
