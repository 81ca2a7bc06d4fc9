"""Whose page asks? Cross-site request forgery ends here."""

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from settings.web_address import is_loopback

type Fields = Sequence[tuple[bytes, bytes]]

_OF_NETWORKS = (".local", ".internal", ".test", ".home.arpa")
"""RFC 6762 §3, RFC 6761 §6.2, RFC 8375, and ICANN's reservation of .internal: names that no stranger can have."""


def site_problem(origin: bytes, fields: Fields, *, by_origin: bool = False) -> str | None:
    """`cross_site`, or None. By what the browser says and no page can change: Sec-Fetch-Site (Fetch Metadata) and
    Origin (RFC 6454 §7). A browser that says neither is too old to be believed. `by_origin`: Origin must be there, as
    for a WebSocket, which any site's page may open, with our cookies (RFC 6455 §10.2)."""
    said = [value for name, value in fields if name.lower() == b"sec-fetch-site"]
    origins = [value for name, value in fields if name.lower() == b"origin"]
    foreign = any(site != b"same-origin" for site in said) or any(one != origin for one in origins)
    return "cross_site" if foreign or not (origins or (said and not by_origin)) else None


def strange_page(fields: Fields, origins: Collection[str]) -> str | None:
    """Which web site's page asks, if it is neither of this machine nor one of `origins`: what it says of itself. Pages
    of programs (`vscode-webview://…`, `app://…`) are no web site's; `null` may be anybody's (RFC 6454 §7)."""
    named = [value.decode("latin-1") for name, value in fields if name.lower() == b"origin"]
    for origin in named:
        if origin not in origins and _is_a_sites(origin):
            return origin
    if not named and any(n.lower() == b"sec-fetch-site" and v in (b"cross-site", b"same-site") for n, v in fields):
        return "another site"  # a GET or HEAD that no script can read may leave its Origin out (WHATWG Fetch §3.2)
    return None


def _is_a_sites(origin: str) -> bool:
    try:
        url = urlsplit(origin)
        return url.scheme in ("http", "https", "") and not is_loopback(url.hostname or "")
    except ValueError:
        return True


def strange_name(authority: str) -> bool:
    """Is this a name of the public DNS? A page that was served under it can have it point at this machine afterwards
    (DNS rebinding), and then asks as if it were ours: the Host that it sends is what gives it away."""
    try:
        host = (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return True
    if "." not in host or is_loopback(host) or host.endswith(_OF_NETWORKS):
        return False
    return not host.replace(".", "").isdigit()  # an IPv4 address is nobody's name
