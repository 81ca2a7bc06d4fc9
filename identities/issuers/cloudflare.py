"""Cloudflare Access, by its signed header (not the cookie).

`aud` is a list that holds the application's tag. Tokens of type `org` are for the whole team's account, not for an
application. Service tokens have a `common_name` and no address: they pass by `map` only.
https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/application-token/
"""

from identities.claims import subject, text, texts
from identities.issuer import Claims, Issuer, Person, key_source
from identities.refusal import IdentityRefused
from settings.issuers import Cloudflare


def issuer(settings: Cloudflare) -> Issuer:
    """Application tokens of this team, for these applications."""
    team = f"https://{settings.team}.cloudflareaccess.com"

    def person(claims: Claims) -> Person:
        if claims.get("type") != "app":
            raise IdentityRefused("subject_not_allowed", "type is not app")
        service = text(claims, "common_name")
        if service is not None and text(claims, "sub") is None:
            # A service token's `sub` is the empty string.
            return Person(subject(claims, "common_name"), names=(service,))
        return Person(subject(claims), claims.get("email"), groups=texts(claims, settings.groups_claim))

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("RS256",),
        issued_by=(team,),
        audience=settings.audience,
        require=("exp", "iat", "iss", "aud", "type"),
        max_ttl_s=settings.max_ttl_s,
        keys=key_source(settings, f"{team}/cdn-cgi/access/certs"),
        person=person,
        map=settings.map,
    )
