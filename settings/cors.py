"""Which pages of other origins may call the API from a browser, with a token of their person."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from settings.section import Section


def _origin(given: str) -> str:
    try:
        url = urlsplit(given)
        usable = url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable or url.path or url.query or url.fragment or url.username or given != given.lower():
        raise ValueError("is no origin. Write https://app.example.com, in small letters, without a path; `*` is none")
    return given


class Cors(Section):
    """`origins` as browsers send them (RFC 6454 §6.2); nobody else's pages read an answer."""

    origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()
