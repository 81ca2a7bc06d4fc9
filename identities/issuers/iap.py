"""Google Cloud Identity-Aware Proxy, by its signed header.

ES256, and an audience that names one backend exactly. `X-Goog-Authenticated-User-*` beside it are unsigned: whoever
gets around the proxy could write them. No `email_verified`: the proxy has let this account in.
https://cloud.google.com/iap/docs/signed-headers-howto
"""

from identities.claims import subject, texts
from identities.issuer import Claims, Issuer, Person, key_source
from identities.issuers.google import hosted_doubt
from settings.issuers import Iap


def issuer(settings: Iap) -> Issuer:
    """Assertions of the proxy in front of this backend."""

    def person(claims: Claims) -> Person:
        return Person(
            subject(claims),
            claims.get("email"),
            hosted_doubt(claims, settings),
            groups=texts(claims, settings.groups_claim),
        )

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("ES256",),
        issued_by=("https://cloud.google.com/iap",),
        audience=(settings.audience,),
        require=("exp", "iat", "iss", "aud", "sub"),
        max_ttl_s=settings.max_ttl_s,
        keys=key_source(settings, "https://www.gstatic.com/iap/verify/public_key-jwk"),
        person=person,
        map=settings.map,
        one_audience=True,
    )
