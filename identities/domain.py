"""From a person to a principal: is this mail domain admitted?"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from exchange.principal import Principal
from identities.issuer import Person
from identities.refusal import IdentityRefused
from settings.domains import is_domain, mail_parts


@dataclass(frozen=True, slots=True)
class Admission:
    """The mail domains that may pass. `everybody` is the laptop's profile without a list."""

    domains: frozenset[str]
    subdomains: bool = False
    everybody: bool = False

    def admits(self, domain: str) -> bool:
        """Exactly one on the list; below one of them only when sub-domains were asked for."""
        if self.everybody or domain in self.domains:
            return True
        return self.subdomains and any(domain.endswith("." + known) for known in self.domains)

    def principal(self, person: Person, mapping: Mapping[str, str], issuer: str) -> Principal:
        """The principal, by the mapping if one fits, else by the e-mail address.

        Raises:
            IdentityRefused: subject_not_allowed (no address and no mapping), email_not_verified,
                domain_not_allowed, or what the issuer's own doubt says.
        """
        target: object = _mapped(person, mapping)
        if target is None:
            if person.email is None:
                raise IdentityRefused("subject_not_allowed", "no e-mail address, and map names no such subject")
            if person.doubt is not None:
                raise IdentityRefused(*person.doubt)
            target = person.email
        parts = mail_parts(target)
        if parts is not None:
            email, domain = "@".join(parts), parts[1]
        elif isinstance(target, str) and target is not person.email and is_domain(target):
            email, domain = None, target
        else:
            raise IdentityRefused("domain_not_allowed", "the e-mail address is not one that can be compared")
        if not self.admits(domain):
            raise IdentityRefused("domain_not_allowed", f"{domain} is not admitted")
        return Principal(person.subject, email, domain, issuer, person.groups)


def _mapped(person: Person, mapping: Mapping[str, str]) -> str | None:
    for pattern, target in mapping.items():
        group = pattern.startswith("group:")
        candidates = person.groups if group else person.names or (person.subject,)
        if any(fnmatchcase(one, pattern.removeprefix("group:")) for one in candidates):
            return target
    return None
