"""AWS Application Load Balancer, by its signed header.

Every balancer of a region signs with keys from one address: only `signer` (the balancer's ARN) and `client` in the
signed header say that it is ours, and both are checked before any key is fetched. The parts are padded base64, there
is no `aud`, and `iss` and `exp` stand in the header. `X-Amzn-Oidc-Identity` beside it is unsigned.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
"""

from identities.claims import mail_doubt, subject, texts
from identities.issuer import Claims, Issuer, PemUrl, Person
from identities.refusal import IdentityRefused
from settings.issuers import Alb


def issuer(settings: Alb) -> Issuer:
    """What this balancer says of those it let in for this client."""

    def person(claims: Claims) -> Person:
        return Person(
            subject(claims),
            claims.get("email"),
            mail_doubt(claims, settings.email_verified),
            groups=texts(claims, settings.groups_claim),
        )

    def check_head(head: Claims) -> None:
        if head.get("signer") != settings.signer:
            raise IdentityRefused("invalid_token", "signer is another load balancer")
        if head.get("client") != settings.client:
            raise IdentityRefused("invalid_token", "client is another application")
        if head.get("iss") != settings.issuer:
            raise IdentityRefused("invalid_token", "the issuer is another")

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("ES256",),
        issued_by=(settings.issuer,),
        audience=(),
        require=("sub",),
        max_ttl_s=settings.max_ttl_s,
        keys=PemUrl(
            settings.keys_url or f"https://public-keys.auth.elb.{settings.region}.amazonaws.com", settings.ca_file
        ),
        person=person,
        map=settings.map,
        padded=True,
        head_claims=("iss", "exp"),
        check_head=check_head,
    )
