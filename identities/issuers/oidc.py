"""Any OpenID Connect issuer, by its ID tokens (OIDC Core 1.0 §2, §3.1.3.7).

An address counts when the issuer says it has verified it (§5.1), or when the settings say that every address of this
issuer is one it manages itself (`email_verified: trusted`).
"""

from identities.claims import mail_doubt, subject, texts
from identities.issuer import Claims, Issuer, Person, key_source
from settings.issuers import OAuth2Proxy, Oidc


def issuer(settings: Oidc | OAuth2Proxy) -> Issuer:
    """Tokens of this issuer for this audience."""

    def person(claims: Claims) -> Person:
        return Person(
            subject(claims),
            claims.get("email"),
            mail_doubt(claims, settings.email_verified),
            groups=texts(claims, settings.groups_claim),
        )

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=settings.algorithms,
        issued_by=(settings.issuer,),
        audience=settings.audience,
        require=("exp", "iss", "aud", "sub"),
        max_ttl_s=settings.max_ttl_s,
        keys=key_source(settings, settings.issuer, discover=True),
        person=person,
        map=settings.map,
    )
