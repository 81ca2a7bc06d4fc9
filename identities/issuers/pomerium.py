"""Pomerium, by its signed header: issuer and audience are both the route's host name (0.22 and newer).

`X-Pomerium-Claim-*` beside it are unsigned. Needs a signing key and `pass_identity_headers` in Pomerium.
https://www.pomerium.com/docs/capabilities/getting-users-identity
"""

from identities.claims import subject, texts
from identities.issuer import Claims, Issuer, Person, key_source
from settings.issuers import Pomerium


def issuer(settings: Pomerium) -> Issuer:
    """Assertions for this route."""

    def person(claims: Claims) -> Person:
        return Person(subject(claims), claims.get("email"), groups=texts(claims, settings.groups_claim))

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("ES256",),
        issued_by=(settings.route,),
        audience=(settings.route,),
        require=("exp", "iat", "iss", "aud", "sub"),
        max_ttl_s=settings.max_ttl_s,
        keys=key_source(settings, f"https://{settings.route}/.well-known/pomerium/jwks.json"),
        person=person,
        map=settings.map,
    )
