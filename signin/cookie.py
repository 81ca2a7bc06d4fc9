"""Cookies that prove something: one host's alone, never read by a script, never sent with another site's forms."""

from typing import Final

_LARGEST: Final = 4096  # bytes of a value; browsers keep no larger cookie (RFC 6265 §6.1)


def cookie_name(name: str, *, secure: bool) -> str:
    """Over https with the prefix that no other host, sibling sub-domains included, can set (RFC 6265bis §4.1.3.2)."""
    return f"__Host-{name}" if secure else name


def cookie_value(header: str, name: str) -> str | None:
    """The value of this cookie in a Cookie field. None where there is none, or it came twice: then somebody else may
    have put one there, and nobody can say which is ours."""
    found = [
        value.strip(' "')
        for one in header.split(";")
        for key, equals, value in [one.partition("=")]
        if equals and key.strip() == name
    ]
    return found[0] if len(found) == 1 and len(found[0]) <= _LARGEST else None


def cookie_set(name: str, value: str, *, secure: bool, life: int | None = None) -> str:
    """A Set-Cookie field that sets it. `life` in seconds; without one it ends with the browser, 0 takes it away."""
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if secure:
        parts.append("Secure")
    if life is not None:
        parts.append(f"Max-Age={life}")
    return "; ".join(parts)
