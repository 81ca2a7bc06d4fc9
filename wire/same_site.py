"""Does a page of this very origin ask? Cross-site request forgery ends here."""

from collections.abc import Sequence

type Fields = Sequence[tuple[bytes, bytes]]


def site_problem(origin: bytes, fields: Fields) -> str | None:
    """`cross_site`, or None. By what the browser says and no page can change: Sec-Fetch-Site (Fetch Metadata) and
    Origin (RFC 6454 §7). A browser that says neither is too old to be believed."""
    said = [value for name, value in fields if name.lower() == b"sec-fetch-site"]
    origins = [value for name, value in fields if name.lower() == b"origin"]
    foreign = any(site != b"same-origin" for site in said) or any(one != origin for one in origins)
    return "cross_site" if foreign or not (said or origins) else None
