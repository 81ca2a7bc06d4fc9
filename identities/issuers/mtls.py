"""A certificate authority of your own: callers show its certificates in the TLS handshake (RFC 8446 §4.4.2).

The name is the one subject alternative name of the chosen kind: an rfc822Name (RFC 5280 §4.2.1.6), or a URI as
SPIFFE writes them (X509-SVID §2: exactly one). Two would be two people.
"""

from cryptography import x509

from identities.certificate import Authority, Names, roots_in
from identities.issuer import Person
from identities.refusal import IdentityRefused
from settings.issuers import Mtls


def authority(settings: Mtls) -> Authority:
    """Callers whose certificates a CA in `ca_file` has signed. Reads that file.

    Raises:
        ValueError: it cannot be used; told as what follows the entry's path in the settings.
    """

    def person(names: Names) -> Person:
        if settings.named_by == "uri":
            return Person(_one(names, x509.UniformResourceIdentifier, "URI"))
        email = _one(names, x509.RFC822Name, "e-mail address").lower()
        return Person(email, email)

    try:
        roots = roots_in(settings.ca_file)
    except ValueError as problem:
        raise ValueError(f"ca_file names {settings.ca_file}, which {problem}") from None
    return Authority(settings.name, roots, settings.max_ttl_s, person, settings.map)


def _one(names: Names, kind: type[x509.RFC822Name | x509.UniformResourceIdentifier], said: str) -> str:
    found = [str(name.value) for name in names if isinstance(name, kind)]
    if len(found) != 1:
        raise IdentityRefused("invalid_token", f"client certificate: names of the kind {said}: {len(found)}, not one")
    if not (found[0].isascii() and found[0].isprintable()):
        raise IdentityRefused("invalid_token", f"client certificate: its {said} is not printable ASCII")
    return found[0]
