"""Where an issuer says its things are (OIDC Discovery 1.0 §4)."""

from collections.abc import Mapping

from exchange.call import Json
from identities.claims import json_object, text
from outbound.asking import NoAnswer
from settings.web_address import web_address


def well_known(issuer: str) -> str:
    """The address of the document."""
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def discovered(raw: bytes, issuer: str) -> Mapping[str, Json]:
    """The document, which must name the issuer it was fetched for (§4.3).

    Raises:
        NoAnswer: it does not, or is no JSON object.
    """
    found = json_object(raw)
    if found is None or found.get("issuer") != issuer:
        raise NoAnswer("the discovery document is not this issuer's")
    return found


def endpoint(document: Mapping[str, Json], name: str) -> str:
    """One of the addresses in it.

    Raises:
        NoAnswer: it is not there, or keys and codes must not travel that way.
    """
    try:
        return web_address(text(document, name) or "")
    except ValueError as problem:
        raise NoAnswer(f"{name} {problem}") from None
