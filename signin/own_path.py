"""Where to go after signing in: a page of our own, whatever was asked for."""

from typing import Final

_LONGEST: Final = 512  # characters; it travels in `state`, through the provider and back


def own_path(given: str | None, otherwise: str = "/") -> str:
    """A path of this site, query included; `otherwise` for whatever could lead elsewhere.

    Browsers read `\\` as `/` and drop tabs and line ends (WHATWG URL, 4.4), so none of them may be in it.
    """
    if given is None or not given.startswith("/") or given.startswith("//") or len(given) > _LONGEST:
        return otherwise
    return given if given.isprintable() and "\\" not in given else otherwise
