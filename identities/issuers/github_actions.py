"""GitHub Actions jobs, by the token a job asks for (`permissions: id-token: write`).

No person and no address: the map says which repository, branch or environment is which service. `sub` and
`repository_owner` must agree, so that a customised `sub` cannot speak for another owner.
https://docs.github.com/en/actions/concepts/security/openid-connect
"""

from identities.claims import subject, text
from identities.issuer import Claims, Issuer, Person, key_source
from identities.refusal import IdentityRefused
from settings.issuers import GithubActions


def issuer(settings: GithubActions) -> Issuer:
    """Jobs of the repositories that the map names."""

    def person(claims: Claims) -> Person:
        who = subject(claims)
        if not who.startswith(f"repo:{text(claims, 'repository_owner')}/"):
            raise IdentityRefused("subject_not_allowed", "sub does not begin with the repository's owner")
        return Person(who)

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("RS256",),
        issued_by=(settings.issuer,),
        audience=(settings.audience,),
        require=("exp", "iat", "iss", "aud", "sub", "repository_owner"),
        max_ttl_s=settings.max_ttl_s,
        keys=key_source(settings, f"{settings.issuer.rstrip('/')}/.well-known/jwks"),
        person=person,
        map=settings.map,
    )
