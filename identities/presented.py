"""Which identities a request shows, and which headers must never go upstream."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from identities.issuer import Issuer
from identities.refusal import IdentityRefused

AUTHORIZATION = b"authorization"
PROXY_AUTHORIZATION = b"proxy-authorization"
_BEARER = b"bearer "

KEY_HEADERS = frozenset({AUTHORIZATION, b"x-api-key", b"api-key", b"x-goog-api-key"})
"""Where a token may ride as if it were the API's own key."""

SIGNED_HEADERS = frozenset(
    {
        b"x-goog-iap-jwt-assertion",
        b"cf-access-jwt-assertion",
        b"x-amzn-oidc-data",
        b"x-pomerium-jwt-assertion",
        b"x-openwebui-user-jwt",
        PROXY_AUTHORIZATION,
    }
)
"""Headers in which issuers that we know put what they sign."""

UNSIGNED_HEADERS = frozenset(
    {
        b"remote-user",
        b"x-remote-user",
        b"x-forwarded-user",
        b"x-forwarded-email",
        b"x-forwarded-groups",
        b"x-forwarded-preferred-username",
        b"x-forwarded-access-token",
        b"x-forwarded-client-cert",
        b"x-auth-request-user",
        b"x-auth-request-email",
        b"x-auth-request-groups",
        b"x-auth-request-preferred-username",
        b"x-auth-request-access-token",
        b"x-auth-request-redirect",
        b"x-goog-authenticated-user-email",
        b"x-goog-authenticated-user-id",
        b"cf-access-authenticated-user-email",
        b"x-amzn-oidc-identity",
        b"x-amzn-oidc-accesstoken",
        b"x-pomerium-assertion",
        b"x-pomerium-claim-email",
        b"x-pomerium-claim-groups",
        b"x-pomerium-claim-name",
        b"x-pomerium-claim-sub",
        b"x-pomerium-claim-user",
        b"x-openwebui-user-name",
        b"x-openwebui-user-id",
        b"x-openwebui-user-email",
        b"x-openwebui-user-role",
        b"x-openwebui-chat-id",
    }
)
"""What the same issuers say without a signature: never read, never handed on."""

UNSIGNED_PREFIXES = (
    b"x-auth-request-",
    b"x-goog-authenticated-user-",
    b"x-pomerium-claim-",
    b"x-openwebui-",
    b"cf-access-",
    b"x-amzn-oidc-",
)


def one_name(name: bytes) -> bytes:
    """Lower-case, with `_` as `-`: servers behind us may read both as one header."""
    low = name.lower()
    return low.replace(b"_", b"-") if b"_" in low else low


@dataclass(frozen=True, slots=True)
class Presented:
    """One token, the header it came in, and the issuers whose tokens ride there."""

    header: bytes
    value: bytes
    token: bytes
    issuers: tuple[Issuer, ...]


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the issuers of one listener are listened to: header → those who ride in it."""

    by_header: Mapping[bytes, tuple[Issuer, ...]]

    def presented(self, fields: Sequence[tuple[bytes, bytes]], key_header: bytes | None) -> list[Presented]:
        """What this request shows, each token with its header. A key that is not shaped like a token is no identity.

        Raises:
            IdentityRefused: duplicate_header, or invalid_token for something else in an issuer's own header.
        """
        riders = self.by_header.get(AUTHORIZATION, ())
        found: dict[bytes, Presented | None] = {}
        for raw_name, value in fields:
            name = one_name(raw_name)
            if name in self.by_header:
                issuers = self.by_header[name]
            elif name == key_header and riders:
                issuers = riders
            else:
                continue
            if name in found:
                raise IdentityRefused("duplicate_header", f"{name.decode('ascii', 'replace')} came twice")
            token = token_in(name, value)
            if looks_signed(token):
                found[name] = Presented(name, value, token, issuers)
            elif name in KEY_HEADERS or name == key_header:
                found[name] = None
            else:
                raise IdentityRefused("invalid_token", f"no token in {name.decode('ascii', 'replace')}")
        return [one for one in found.values() if one is not None]


def token_in(header: bytes, value: bytes) -> bytes:
    """The token in a header's value: after `Bearer` and one space where that is the scheme (RFC 6750 §2.1).

    Programs that know a proxy only as `http://oidc:TOKEN@host` send it as the password of Basic (RFC 7617): taken
    from `Proxy-Authorization` alone, and for the user `oidc`.
    """
    if value[:7].lower() == _BEARER:
        return value[7:]
    if header == PROXY_AUTHORIZATION and value[:6].lower() == b"basic ":
        try:
            user, _, password = base64.b64decode(value[6:], validate=True).partition(b":")
        except binascii.Error:
            return b""
        return password if user == b"oidc" else b""
    return b"" if header in (AUTHORIZATION, PROXY_AUTHORIZATION) else value


def proxy_token(value: bytes) -> bytes:
    """The token in a `Proxy-Authorization` that a proxy's address made: `HTTPS_PROXY=http://USER:TOKEN@host` is sent as
    Basic (RFC 7617), for any user. Empty when there is none."""
    if value[:6].lower() != b"basic ":
        return token_in(PROXY_AUTHORIZATION, value)
    try:
        return base64.b64decode(value[6:].strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def looks_signed(token: bytes) -> bool:
    """Is this meant as a JWT? Providers' own keys (`sk-…`, `AIza…`, `id.secret`) are not."""
    return (token.startswith(b"ey") and b"." in token) or token.count(b".") == 2


def doors_of(issuers: Sequence[Issuer]) -> Doors:
    """The doors these issuers open."""
    by_header: dict[bytes, tuple[Issuer, ...]] = {}
    for issuer in issuers:
        by_header[issuer.header] = (*by_header.get(issuer.header, ()), issuer)
    return Doors(by_header)
