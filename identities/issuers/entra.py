"""Microsoft Entra ID, v2 tokens of one tenant.

`email` is whatever the administrator of *some* tenant typed: it counts only with `xms_edov`. The tenant is pinned
twice, by `iss` and `tid`; within it a member's user principal name ends in a domain the tenant has proven. Guests are
members of elsewhere and refused. The subject is tenant and object id, which no rename changes.
https://learn.microsoft.com/en-us/entra/identity-platform/id-token-claims-reference
"""

from exchange.call import Json
from identities.claims import subject, text, texts
from identities.issuer import Claims, Issuer, Person, key_source
from identities.refusal import IdentityRefused
from settings.issuers import Entra


def issuer(settings: Entra) -> Issuer:
    """Tokens of this tenant's members for this application."""
    tenant = f"{settings.authority.rstrip('/')}/{settings.tenant}"
    url = f"{tenant}/v2.0"

    def person(claims: Claims) -> Person:
        if claims.get("tid") != settings.tenant:
            raise IdentityRefused("subject_not_allowed", "tid is another tenant")
        if _is_guest(claims, settings.tenant):
            raise IdentityRefused("subject_not_allowed", "a guest of the tenant, not a member")
        object_id = text(claims, "oid")
        who = f"{settings.tenant}/{object_id}" if object_id and object_id.isprintable() else subject(claims)
        app = text(claims, "azp") or text(claims, "appid")
        return Person(
            who,
            _address(claims),
            names=(who, *([object_id] if object_id else ()), *([app] if app and text(claims, "upn") is None else ())),
            groups=texts(claims, settings.groups_claim),
        )

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("RS256",),
        issued_by=(url,),
        audience=settings.audience,
        require=("exp", "iat", "iss", "aud", "sub", "tid"),
        max_ttl_s=settings.max_ttl_s,
        keys=key_source(settings, f"{tenant}/discovery/v2.0/keys"),
        person=person,
        map=settings.map,
        key_issuer=url,
    )


def _address(claims: Claims) -> Json:
    for name in ("upn", "preferred_username"):
        if claims.get(name) is not None:
            return claims[name]
    return claims.get("email") if claims.get("xms_edov") in (True, 1, "1", "true") else None


def _is_guest(claims: Claims, tenant: str) -> bool:
    names = [name for key in ("upn", "preferred_username", "unique_name") if (name := text(claims, key))]
    home = text(claims, "idp")
    return (
        claims.get("acct") in (1, "1")
        or any("#ext#" in name.lower() for name in names)
        or (home is not None and tenant not in home)
    )
