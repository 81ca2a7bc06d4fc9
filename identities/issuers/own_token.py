"""Tokens of our own, made by `sekisho token mint`: an administrator vouches for the address."""

from identities.claims import subject, texts
from identities.issuer import Claims, Issuer, OwnKeys, Person
from settings.issuers import OwnToken

ISSUER = "sekisho"
AUDIENCE = "sekisho"


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
    )
