"""The ID token that an oauth2-proxy hands on: verified as what it is, a token of the issuer behind the proxy.

With `--pass-authorization-header` (or `--set-authorization-header` behind nginx) it rides in `Authorization`. What the
proxy says itself (`X-Forwarded-Email`, `X-Auth-Request-*`) is unsigned, and anybody who reaches us could say it.
https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview
"""

from identities.issuers.oidc import issuer

__all__ = ["issuer"]
