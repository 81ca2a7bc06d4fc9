"""Where to go after signing in: a page of our own, whatever was asked for."""

from typing import Final

LONGEST: Final = 512
"""Characters, where it travels in `state`, through the provider and back."""


def own_path(given: str | None, otherwise: str = "/", *, longest: int = LONGEST) -> str:
    """A path of this site, query included; `otherwise` for whatever could lead elsewhere.

    Browsers read `\\` as `/` and drop tabs and line ends (WHATWG URL, 4.4), so none of them may be in it.
    """
    if given is None or not given.startswith("/") or given.startswith("//") or len(given) > longest:
        return otherwise
    return given if given.isprintable() and "\\" not in given else otherwise
