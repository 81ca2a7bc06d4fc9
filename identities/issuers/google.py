"""Google ID tokens.

Without `hd` Google is not the authority on an address, `email_verified` or not: anybody can open a consumer account
with a company address, and keep it after leaving. Both spellings of the issuer are Google's.
https://developers.google.com/identity/gsi/web/guides/verify-google-id-token
"""

from identities.claims import mail_doubt, subject, text, texts
from identities.issuer import Claims, Issuer, Person, key_source
from settings.issuers import Google, Iap


def issuer(settings: Google) -> Issuer:
    """ID tokens for this client, of accounts of these Workspace domains."""

    def person(claims: Claims) -> Person:
        email = text(claims, "email")
        return Person(
            subject(claims),
            claims.get("email"),
            hosted_doubt(claims, settings) or mail_doubt(claims),
            names=(subject(claims), *([email] if email and mail_doubt(claims) is None else ())),
            groups=texts(claims, settings.groups_claim),
        )

    return Issuer(
        name=settings.name,
        header=settings.header.lower().encode(),
        algorithms=("RS256",),
        issued_by=("https://accounts.google.com", "accounts.google.com"),
        audience=settings.audience,
        require=("exp", "iat", "iss", "aud", "sub"),
        max_ttl_s=settings.max_ttl_s,
        keys=key_source(settings, "https://www.googleapis.com/oauth2/v3/certs"),
        person=person,
        map=settings.map,
    )


def hosted_doubt(claims: Claims, settings: Google | Iap) -> tuple[str, str] | None:
    """The doubt about an address whose account belongs to none of our Workspace domains."""
    if claims.get("hd") in settings.hosted_domains:
        return None
    return "domain_not_allowed", "hd is missing or not one of hosted_domains"
