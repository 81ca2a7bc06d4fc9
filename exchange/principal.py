"""Who is calling."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose identity is proven (RFC 7519 words), or the user of a laptop.

    `email` is lower-cased; `domain` is what stands after its `@`, or what the issuer maps a service to.
    Both are None for the operating-system user of the `local` profile (issuer `local`).
    """

    subject: str
    email: str | None
    domain: str | None
    issuer: str
    groups: tuple[str, ...] = ()
