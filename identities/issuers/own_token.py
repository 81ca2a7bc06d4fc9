"""Tokens of our own, made by `sekisho token mint`: an administrator vouches for the address."""

from typing import Final

from exchange.scope import Scope
from identities.claims import subject, texts
from identities.issuer import Claims, Issuer, OwnKeys, Person
from identities.refusal import IdentityRefused
from settings.issuers import OwnToken

ISSUER = "sekisho"
AUDIENCE = "sekisho"
SCOPE: Final = "sekisho_scope"
"""The claim that says what a token is for: {"models": […], "operations": […]}. `scope` is OAuth's, and a string."""


def issuer(settings: OwnToken) -> Issuer:
    """Our own tokens, for this purpose and no other (a session or relay token has another audience)."""

    def person(claims: Claims) -> Person:
        return Person(subject(claims), claims.get("email"), groups=texts(claims, settings.groups_claim or "groups"))

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("EdDSA",),
        issued_by=(ISSUER,),
        audience=(AUDIENCE,),
        require=("exp", "iat", "iss", "aud", "sub", "jti", "email"),
        max_ttl_s=settings.max_ttl_s,
        keys=OwnKeys(),
        person=person,
        map=settings.map,
        one_audience=True,
        scope=_scope,
    )


def _scope(claims: Claims) -> Scope | None:
    """Raises IdentityRefused: what cannot be read must not be taken for everything."""
    given = claims.get(SCOPE)
    if given is None and SCOPE not in claims:
        return None
    if not isinstance(given, dict) or not given.keys() <= {"models", "operations"}:
        raise IdentityRefused("invalid_token", "the token's scope cannot be read")
    return Scope(_names(given.get("models")), _names(given.get("operations")))


def _names(given: object) -> tuple[str, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(one, str) and one for one in given):
        raise IdentityRefused("invalid_token", "the token's scope cannot be read")
    return tuple(given)
