"""Open WebUI, by the header it signs with a secret it shares with us (HS256).

Set `ENABLE_FORWARD_USER_INFO_HEADERS=true` and `FORWARD_USER_INFO_HEADER_JWT_SECRET`. Without the secret, and when its
signing fails, Open WebUI sends `X-OpenWebUI-User-Email` and the like unsigned: never read. There is no `aud`.
https://docs.openwebui.com/getting-started/env-configuration
"""

from identities.claims import subject, texts
from identities.issuer import Claims, Issuer, Person, SharedSecret
from settings.issuers import OpenWebui


def issuer(settings: OpenWebui) -> Issuer:
    """What this Open WebUI says of those who are signed in there; its log-in decides how good an address is."""

    def person(claims: Claims) -> Person:
        return Person(subject(claims), claims.get("email"), groups=texts(claims, settings.groups_claim or "role"))

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("HS256",),
        issued_by=(settings.issuer,),
        audience=(),
        require=("exp", "iat", "iss", "sub"),
        max_ttl_s=settings.max_ttl_s,
        keys=SharedSecret(settings.secret),
        person=person,
        map=settings.map,
    )
