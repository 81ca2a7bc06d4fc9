"""Mail domains and e-mail addresses as they may be written: only what can be compared byte by byte.

Nothing is ever normalised into acceptance. RFC 5321 §4.1.2 (Dot-string, Domain) without quoted strings, comments,
address literals and RFC 6531's wider letters: in each of those, two systems can read one address differently.
"""

import re
from functools import cache

from publicsuffix2 import PublicSuffixList

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")


def is_domain(text: str) -> bool:
    """Is this a lower-case ASCII domain of two labels or more, and no IP address?"""
    return len(text) <= 253 and _DOMAIN.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()


def mail_parts(email: object) -> tuple[str, str] | None:
    """Local part and domain of an e-mail address, both lower-cased; None when it is not one we can compare.

    Takes what came out of a token, of whatever type. A full-width dot, a Kelvin sign, a second `@`, a NUL, a
    trailing newline: each is None.
    """
    # ASCII before lower(): "\u212a".lower() is "k", and a look-alike would become the real thing.
    if not isinstance(email, str) or not email.isascii() or len(email) > 254 or email.count("@") != 1:
        return None
    local, _, domain = email.partition("@")
    if len(local) > 64 or _LOCAL.fullmatch(local) is None or not is_domain(domain.lower()):
        return None
    return local.lower(), domain.lower()


def domain_problem(text: str) -> str | None:
    """Why this cannot be a mail domain in the settings, with the remedy, to be read after the domain's name;
    None when it can."""
    if not text.isascii():
        return "has letters outside ASCII. Write the name as DNS knows it (its xn-- form)"
    if text != text.strip() or not text:
        return "is empty or has spaces around it. Write the bare domain, as in example.com"
    if "@" in text:
        return "is an address. Write only what stands after the @"
    if "*" in text:
        return "has a wildcard. Name each domain; a sub-domain is named like any other"
    if text != text.lower():
        return f"has capital letters. Write {text.lower()}"
    if text.endswith("."):
        return f"ends in a dot. Write {text.rstrip('.') or 'the bare domain'}"
    if "." not in text:
        return "is a whole top-level domain. Name your own domain under it"
    if not is_domain(text):
        return "is not a domain. Write it as in example.com"
    if _suffixes().get_tld(text) == text:
        return "is a public suffix: anybody can register a domain under it. Name your own domain"
    return None


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
