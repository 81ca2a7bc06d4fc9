"""Amazon Cognito user pools.

ID and access tokens are told apart by `token_use`, so that neither passes for the other. Access tokens have no `aud`:
`client_id` is compared instead. `email` is writable by its owner unless the app client forbids it, hence
`email_verified`, which Cognito writes as a string in places; users of a SAML provider have none, hence
`trusted_providers`.
https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
"""

import re
from typing import Final

from exchange.call import Json
from identities.claims import mail_doubt, subject, text, texts
from identities.issuer import Claims, Issuer, Person, key_source
from identities.refusal import IdentityRefused
from settings.issuers import Cognito

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""The form of a `sub`. Who signs up chooses a name, and it must not be somebody's `sub`."""


def issuer(settings: Cognito) -> Issuer:
    """Tokens of one kind, of one pool, for these app clients."""
    pool = f"https://cognito-idp.{settings.region}.amazonaws.com/{settings.user_pool}"
    if settings.region.startswith("cn-"):
        pool = f"https://cognito-idp.{settings.region}.amazonaws.com.cn/{settings.user_pool}"
    access = settings.token_use == "access"  # noqa: S105 - which kind of token, none itself

    def person(claims: Claims) -> Person:
        if claims.get("token_use") != settings.token_use:
            raise IdentityRefused("invalid_token", f"token_use is not {settings.token_use}")
        if access and claims.get("client_id") not in settings.clients:
            raise IdentityRefused("invalid_token", "client_id is another application's")
        trusted = _provider(claims) in settings.trusted_providers
        name = text(claims, "username") or text(claims, "cognito:username")
        return Person(
            subject(claims),
            None if access else claims.get("email"),
            mail_doubt(claims, "trusted" if trusted else "required"),
            names=(subject(claims), *([name] if name and _UUID.fullmatch(name) is None else ())),
            groups=texts(claims, settings.groups_claim),
        )

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("RS256",),
        issued_by=(pool,),
        audience=() if access else settings.clients,
        require=("exp", "iat", "iss", "sub", "token_use", *(("client_id",) if access else ("aud",))),
        max_ttl_s=settings.max_ttl_s,
        keys=key_source(settings, f"{pool}/.well-known/jwks.json"),
        person=person,
        map=settings.map,
    )


def _provider(claims: Claims) -> Json:
    """The provider a federated user signed in with; None when there is none, or more than one."""
    identities = claims.get("identities")
    if isinstance(identities, list) and len(identities) == 1 and isinstance(identities[0], dict):
        return identities[0].get("providerName")
    return None
