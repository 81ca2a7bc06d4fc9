"""Kubernetes service accounts, by projected tokens with an audience of our own.

Checked offline, a deleted pod's token lives until `exp`: ask for short ones (`expirationSeconds: 600`). Tokens for the
API server's own audience are refused, and those of old Secrets, which never expire.
https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#serviceaccount-token-volume-projection
"""

from dataclasses import replace

from identities.claims import subject
from identities.issuer import Claims, Issuer, JwksUrl, Person, key_source
from identities.refusal import IdentityRefused
from settings.issuers import Kubernetes


def issuer(settings: Kubernetes) -> Issuer:
    """Service accounts that the map names."""

    def person(claims: Claims) -> Person:
        who = subject(claims)
        if not who.startswith("system:serviceaccount:"):
            raise IdentityRefused("subject_not_allowed", "the subject is no service account")
        return Person(who)

    keys = key_source(settings, f"{settings.issuer.rstrip('/')}/openid/v1/jwks")
    if isinstance(keys, JwksUrl):
        keys = replace(keys, bearer_file=settings.bearer_file)
    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("RS256", "ES256"),
        issued_by=(settings.issuer,),
        audience=(settings.audience,),
        require=("exp", "iat", "iss", "aud", "sub"),
        max_ttl_s=settings.max_ttl_s,
        keys=keys,
        person=person,
        map=settings.map,
    )
