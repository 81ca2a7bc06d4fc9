"""Okta: ID tokens of the org server or a custom one, access tokens of a custom one.

The org server's access tokens are opaque by contract (their `typ` and keys change without notice); the settings
refuse them. An access token's `sub` is the login, which has the form of an address and is managed in Okta.
https://developer.okta.com/docs/reference/api/oidc/
"""

from identities.claims import mail_doubt, subject, text, texts
from identities.issuer import Claims, Issuer, Person, key_source
from identities.refusal import IdentityRefused
from settings.issuers import Okta


def issuer(settings: Okta) -> Issuer:
    """Tokens of one kind, of one authorization server."""
    custom = "/oauth2/" in settings.issuer
    access = settings.token == "access"  # noqa: S105 - which kind of token, none itself

    def person(claims: Claims) -> Person:
        # `cid` is in access tokens only, `scp` as well: neither passes for the other.
        if access != ("cid" in claims):
            raise IdentityRefused("invalid_token", f"this is no {settings.token} token")
        if settings.clients and access and claims.get("cid") not in settings.clients:
            raise IdentityRefused("invalid_token", "cid is another application's")
        who = subject(claims)
        client = text(claims, "cid")
        return Person(
            who,
            # A client of its own (client credentials) has itself as `sub` and no `uid`.
            (who if "uid" in claims else None) if access else claims.get("email"),
            None if access else mail_doubt(claims),
            names=(who, *([client] if client and "uid" not in claims else ())),
            groups=texts(claims, settings.groups_claim),
        )

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("RS256",),
        issued_by=(settings.issuer,),
        audience=settings.audience,
        require=("exp", "iat", "iss", "aud", "sub"),
        max_ttl_s=settings.max_ttl_s,
        keys=key_source(settings, f"{settings.issuer}/v1/keys" if custom else f"{settings.issuer}/oauth2/v1/keys"),
        person=person,
        map=settings.map,
    )
